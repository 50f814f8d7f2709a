"""An own preprocessing_fn becomes a transform graph of TFT's format, without what it makes of the label."""

import numpy as np
import pytest

from models.errors import OwnCodeError
from models.own import source
from models.own.layout import layout_of
from models.own.transform import write_own_graph
from models.transform_graph import TransformGraph
from tests.models.conftest import FEATURES, SCHEMA
from tests.models.own.conftest import TABLE


@pytest.fixture(scope="module")
def graph(own_transform_dir):
    return TransformGraph(own_transform_dir, FEATURES)


def test_analyzers_see_all_rows_and_each_is_transformed(graph):
    amount = np.asarray(TABLE["amount"], np.float32)

    found = graph.transform_batch(TABLE)

    np.testing.assert_allclose(found["amount"], (amount - amount.min()) / (amount.max() - amount.min()), atol=1e-6)
    np.testing.assert_array_equal(found["pair"], np.stack([amount, -amount], axis=1))
    # The mean of the label's column is a constant of the window, and no label.
    np.testing.assert_allclose(found["paid_in_town"], np.mean(np.asarray(TABLE["paid"])), rtol=1e-5)
    np.testing.assert_array_equal(found["named"], 3.0)  # FEATURES has three numeric columns.


def test_what_is_computed_from_the_label_is_no_feature(graph):
    assert set(graph.outputs) == {"amount", "bucket", "hour", "named", "paid_in_town", "pair", "town"}


def test_integers_are_ids_where_tft_knows_their_values(preprocessing, graph, own_transform_dir):
    layout = layout_of(preprocessing, graph, own_transform_dir, ids_of_any_size=False)

    # Buckets 0 to 3; a vocabulary of three, and -1 for every other value.
    assert layout.ids == {"bucket": 4, "town": 4}
    assert layout.least == {"town": -1}
    assert layout.plain == {"amount": 1, "hour": 1, "named": 1, "paid_in_town": 1, "pair": 2}


def test_a_model_of_its_own_gets_other_integers_as_they_are(preprocessing, graph, own_transform_dir):
    layout = layout_of(preprocessing, graph, own_transform_dir, ids_of_any_size=True)

    assert layout.ids == {"bucket": 4, "hour": 0, "town": 4}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('return {"x": inputs["unused"]}', r"line 3: preprocessing_fn: LookupError: the column 'unused' is not in"),
        ('return {"x": inputs["town"].values + 1}', r"model\.py, line 3: preprocessing_fn: "),
        ("return []", r"model\.py: preprocessing_fn: expected a dict of tensors by name\. Received: list\."),
        ('return {"x": inputs["paid"]}', r"every output depends on columns of the label"),
    ],
)
def test_a_mistake_names_its_line(tmp_path, line, message):
    (tmp_path / "model.py").write_text(f"import tensorflow as tf\ndef preprocessing_fn(inputs):\n    {line}\n")
    own = source.read(tmp_path, "model.py")

    with pytest.raises(OwnCodeError, match=message):
        write_own_graph(own, FEATURES, SCHEMA, TABLE.to_batches, str(tmp_path / "transform"))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ('inputs["town"]', r"'x' is sparse or ragged\. Make it dense"),
        ('tf.sparse.to_dense(inputs["town"], "")[:, 0]', r"'x' is string\. Expected numbers: map texts by"),
        ('tf.zeros([tf.shape(inputs["amount"])[0], 2, 2])', r"'x' has the shape \(None, 2, 2\)\. Expected \(rows,\)"),
    ],
)
def test_what_no_model_takes_is_told_by_its_name(tmp_path, output, message):
    text = f'import tensorflow as tf\ndef preprocessing_fn(inputs):\n    return {{"x": {output}}}\n'
    (tmp_path / "model.py").write_text(text)
    own = source.read(tmp_path, "model.py")
    write_own_graph(own, FEATURES, SCHEMA, TABLE.to_batches, str(tmp_path / "transform"))
    graph = TransformGraph(str(tmp_path / "transform"), FEATURES)

    with pytest.raises(OwnCodeError, match=message):
        layout_of(own, graph, str(tmp_path / "transform"), ids_of_any_size=True)
