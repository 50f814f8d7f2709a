import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models import predictor as predictor_module
from models.errors import FeatureError, ModelError
from models.predictor import Predictor
from tests.models.conftest import make_table


@pytest.fixture(scope="module")
def predictor(model_dir):
    return Predictor(str(model_dir))


def test_takes_record_batches_and_tables_in_any_chunks(predictor):
    table = make_table(500, seed=2)
    chunked = pa.Table.from_batches(table.to_batches(max_chunksize=77))

    expected = predictor.predict(table)

    assert expected.dtype == np.float32
    np.testing.assert_array_equal(predictor.predict(chunked), expected)
    np.testing.assert_array_equal(predictor.predict(table.combine_chunks().to_batches()[0]), expected)


def test_long_tables_are_scored_in_parts(predictor, monkeypatch):
    table = make_table(500, seed=2)
    expected = predictor.predict(table)
    monkeypatch.setattr(predictor_module, "_BATCH_ROWS", 128)

    np.testing.assert_allclose(predictor.predict(table), expected, atol=1e-6)


def test_columns_that_are_not_there_are_missing(predictor):
    table = make_table(20)
    nulls = table.set_column(table.schema.get_field_index("town"), "town", [pa.nulls(20, pa.large_string())])

    np.testing.assert_array_equal(predictor.predict(table.drop_columns(["town"])), predictor.predict(nulls))


def test_rows_with_none_of_the_inputs_are_refused(predictor):
    with pytest.raises(FeatureError, match=r"needs 'amount', 'born', 'code', .*The rows have: 'Amount', 'other'"):
        predictor.predict(pa.table({"Amount": [1.0], "other": [2.0]}))


def test_an_input_is_required_where_nothing_stands_for_it(model_dir, tmp_path):
    shutil.copytree(model_dir, tmp_path / "model")
    described = tmp_path / "model" / "assets.extra" / "feature_defaults.json"
    defaults = json.loads(described.read_text(encoding="utf-8"))
    del defaults["town"]
    described.write_text(json.dumps(defaults), encoding="utf-8")

    with pytest.raises(FeatureError, match=r"The model in .*model needs 'town'\. The rows have: 'amount', "):
        Predictor(str(tmp_path / "model")).predict(make_table(3).drop_columns(["town", "code"]))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=f"No SavedModel can be loaded from {tmp_path}"):
        Predictor(str(tmp_path))


def test_a_model_without_the_signature_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))

    with pytest.raises(ModelError, match=r"has no signature 'serving_default'. Its signatures: none"):
        Predictor(str(tmp_path))


def test_a_column_of_another_type_is_refused(predictor):
    with pytest.raises(FeatureError, match=r"'amount' is used as a number. Received: string"):
        predictor.predict(pa.table({"amount": ["12"]}))
