import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from models.analysis import analyze
from models.errors import FeatureError
from models.features import FeatureSpec
from models.transform_graph import TransformGraph, serving_arrays, write_transform_graph
from tests.models.conftest import FEATURES, SCHEMA, make_table, to_examples

TINY = FeatureSpec(
    label="paid > amount",
    numeric=("amount",),
    bucketized={"degrees": 2},
    categorical=("town", "code"),
    hashed={"plate": 4},
    cyclical={"hour": 24},
    numeric_buckets=4,
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Made from amounts 0, 1, 2, 3, 4 and a handful of categories: every transformed value is known by hand."""
    table = pa.table(
        {
            "amount": pa.array([0.0, 1.0, 2.0, 3.0, 4.0]),
            "degrees": pa.array([10.0, 20.0, 30.0, 40.0, 50.0]),
            "town": pa.array(["a", "a", "b", "b", "b"], pa.large_string()),
            "code": pa.array([7, 7, 7, 5, 5], pa.int64()),
            "plate": pa.array(["p", "q", "r", "s", "t"], pa.large_string()),
            "hour": pa.array([0, 6, 12, 18, 23], pa.int64()),
            "paid": pa.array([0.0] * 5),
        }
    )
    folder = tmp_path_factory.mktemp("tiny")
    write_transform_graph(analyze(table.to_batches(), TINY), TINY, SCHEMA, str(folder))
    return TransformGraph(str(folder), TINY)


def one_column(name, values, arrow_type):
    columns = {n: pa.nulls(len(values)) for n in TINY.names if n != name}
    return pa.table({**columns, name: pa.array(values, arrow_type)})


def test_numeric(tiny):
    batch = one_column("amount", [2.0, 0.0, None, float("nan"), 1e9, float("inf"), float("-inf")], pa.float64())

    x = tiny.transform_batch(batch)

    # Mean 2, standard deviation sqrt(2); limited to 10; missing is 0.
    root = np.sqrt(2)
    np.testing.assert_allclose(x["amount_z_xf"], [0, -root, 0, 0, 10, 10, -10], rtol=1e-6)
    # The quartile boundaries are 1, 2 and 3; the outer buckets are 2 wide.
    np.testing.assert_allclose(x["amount_quantile_xf"], [2.0, 0.5, -1, -1, 4, 4, 0], rtol=1e-6)


def test_bucketized(tiny):
    batch = one_column("degrees", [29.0, 30.0, None, float("inf"), float("-inf")], pa.float64())

    assert tiny.transform_batch(batch)["degrees_id_xf"].tolist() == [1, 2, 0, 2, 1]


def test_categorical(tiny):
    towns = tiny.transform_batch(one_column("town", ["b", "a", "new", "", None], pa.large_string()))
    codes = tiny.transform_batch(one_column("code", [7, 5, 2**63 - 1, -1, None], pa.int64()))

    assert towns["town_id_xf"].tolist() == [2, 3, 1, 0, 0]
    assert codes["code_id_xf"].tolist() == [2, 3, 1, 0, 0]


def test_hashed(tiny):
    ids = tiny.transform_batch(one_column("plate", ["p", "p", "", None], pa.large_string()))["plate_id_xf"]

    expected = 1 + int(tf.strings.to_hash_bucket_fast("p", 4))
    assert ids.tolist() == [expected, expected, 0, 0]


def test_cyclical(tiny):
    x = tiny.transform_batch(one_column("hour", [6, 24, -1, 23, None], pa.int64()))

    np.testing.assert_allclose(x["hour_phase_xf"], [0.25, 0, 23 / 24, 23 / 24, 0], rtol=1e-6)
    assert x["hour_id_xf"].tolist() == [7, 1, 24, 24, 0]


def test_is_a_standard_transform_graph(transform_dir, train_table):
    output = tft.TFTransformOutput(str(transform_dir))
    parsed = tf.io.parse_example(to_examples(train_table.slice(0, 50)), output.raw_feature_spec())

    transformed = output.transform_features_layer()(parsed)

    assert set(transformed) == set(output.transformed_feature_spec())
    assert output.vocabulary_by_name("town")[:1] == [analyze_towns(train_table)[0].encode()]
    assert output.vocabulary_size_by_name("town") == 6
    assert output.vocabulary_file_by_name("code").endswith("assets/vocabulary_code")
    expected = (train_table["paid"].to_numpy() > 0.5 * train_table["amount"].to_numpy())[:50]
    assert transformed["label_xf"].numpy().tolist() == expected.astype(int).tolist()


def analyze_towns(table):
    return analyze(table.to_batches(), FEATURES).vocabularies["town"]


def test_batches_and_layer_agree(transform_dir, train_table):
    graph = TransformGraph(str(transform_dir), FEATURES)
    output = tft.TFTransformOutput(str(transform_dir))
    parsed = tf.io.parse_example(to_examples(train_table), output.raw_feature_spec())

    by_layer = output.transform_features_layer()(parsed)
    by_batch = graph.transform_batch(train_table)

    assert set(by_batch) == set(by_layer) - {"label_xf"}
    for name, values in by_batch.items():
        np.testing.assert_array_equal(values, by_layer[name].numpy(), err_msg=name)


WIDTHS = {"kinds_bag_xf": (5,), "remark_bag_xf": (32,)}


def test_a_batch_without_any_value_is_transformed(transform_dir):
    graph = TransformGraph(str(transform_dir), FEATURES)
    table = make_table(3)
    empty = pa.table({name: pa.nulls(3, table.schema.field(name).type) for name in table.schema.names})

    transformed = graph.transform_batch(empty)

    assert all(values.shape == (3, *WIDTHS.get(name, ())) for name, values in transformed.items())
    assert transformed["town_id_xf"].tolist() == [0, 0, 0]
    assert transformed["amount_quantile_xf"].tolist() == [-1, -1, -1]


def test_zero_rows_are_transformed(transform_dir):
    graph = TransformGraph(str(transform_dir), FEATURES)

    transformed = graph.transform_batch(make_table(5).slice(0, 0))

    assert all(values.shape == (0, *WIDTHS.get(name, ())) for name, values in transformed.items())


def test_dense_schemas_are_taken_too(tmp_path):
    schema = type(SCHEMA)()
    schema.CopyFrom(SCHEMA)
    for feature in schema.feature:
        if feature.name in ("amount", "paid"):
            feature.presence.min_fraction = 1.0
            feature.shape.SetInParent()
        if feature.name == "hour":
            feature.presence.min_fraction = 1.0
            feature.shape.dim.add(size=1)
    table = make_table(50)
    features = FeatureSpec(label="paid > amount", numeric=("amount",), cyclical={"hour": 24})

    write_transform_graph(analyze(table.to_batches(), features), features, schema, str(tmp_path))

    transformed = TransformGraph(str(tmp_path), features).transform_batch(table)
    assert transformed["hour_id_xf"].shape == (50,)
    assert tft.TFTransformOutput(str(tmp_path)).raw_feature_spec()["hour"] == tf.io.FixedLenFeature([1], tf.int64)


def test_columns_that_the_schema_lacks_are_named(tmp_path):
    features = FeatureSpec(label="paid > amount", numeric=("amount", "height"))

    with pytest.raises(FeatureError, match=r"not in the schema: height. The schema has: amount, born, code"):
        write_transform_graph(analyze(make_table(9).to_batches(), TINY), features, SCHEMA, str(tmp_path))


def test_a_column_of_another_type_than_the_model_takes_is_refused(tiny):
    with pytest.raises(FeatureError, match=r"takes 'code' as int64. Received: large_string"):
        serving_arrays(
            pa.table({"code": pa.array(["7"], pa.large_string())}), {"code": tf.TensorSpec([None], tf.int64)}
        )
