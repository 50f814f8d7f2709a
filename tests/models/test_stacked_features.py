import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.analysis import analyze
from models.errors import FeatureError
from models.extreme_rows import extreme_rows
from models.features import FeatureSpec
from models.packed import Layout, pack
from models.stacked_features import StackedFeatures, packed
from models.transform_graph import TransformGraph, serving_arrays, write_transform_graph
from tests.models.conftest import FEATURES, SCHEMA, make_table


def transformed_both_ways(graph, inputs):
    """By the stacked graph, and by TFT's own graph column by column; packed for the network."""
    stacked = StackedFeatures(graph.features, graph)
    sizes = {one.name: len(graph.vocabulary(one.name)) for one in graph.features.having("vocabulary")}
    layout = Layout.of(graph.features, sizes)
    traced = tf.function(lambda x: packed(stacked(x), stacked.names, layout), input_signature=[graph.serving_inputs])
    inputs = {name: tf.constant(values, graph.serving_inputs[name].dtype) for name, values in inputs.items()}
    plain = {name: x.numpy() for name, x in graph.transform(inputs).items()}
    return [x.numpy() for x in traced(inputs)], pack(plain, layout)


def test_features_equal_those_of_tfts_graph_to_the_last_bit(transform_dir):
    graph = TransformGraph(str(transform_dir), FEATURES)
    arrays = serving_arrays(make_table(500, seed=3), graph.serving_inputs)
    odd = extreme_rows(arrays, graph.constants().boundaries)

    (floats, ids), (plain_floats, plain_ids) = transformed_both_ways(graph, odd)

    assert len(odd["amount"]) == 4096
    np.testing.assert_array_equal(floats, plain_floats)
    np.testing.assert_array_equal(ids, plain_ids)
    sizes = dict.fromkeys((one.name for one in FEATURES.having("vocabulary")), 6)
    assert {0, 1, 2} <= set(ids[:, list(Layout.of(FEATURES, sizes).ids).index("town_id_xf")])


def test_no_rows(transform_dir):
    graph = TransformGraph(str(transform_dir), FEATURES)
    none = serving_arrays(make_table(3).slice(0, 0), graph.serving_inputs)

    (floats, ids), (plain_floats, plain_ids) = transformed_both_ways(graph, none)

    assert (floats.shape, ids.shape) == (plain_floats.shape, plain_ids.shape) == ((0, 58), (0, 18))


@pytest.mark.parametrize(
    "groups",
    [
        {"numeric": ("amount",)},
        {"categorical": ("town",)},
        {"hashed": {"plate": 16, "number": 16, "town": 5}},
        {"cyclical": {"hour": 24}},
        {"bucketized": {"degrees": 4, "count": 9}},
        {"dates": ("born",)},
        {"multivalued": {"kinds": "|"}},
        {"text": {"remark": 16}},
        {"derived": {"stay": "days_between(born, left)"}},
    ],
)
def test_each_kind_alone(groups, tmp_path, train_table):
    features = FeatureSpec(label="paid > 0.5 * amount", **groups)
    write_transform_graph(analyze(train_table.to_batches(), features), features, SCHEMA, str(tmp_path))
    graph = TransformGraph(str(tmp_path), features)
    odd = extreme_rows(serving_arrays(train_table, graph.serving_inputs), graph.constants().boundaries)

    (floats, ids), (plain_floats, plain_ids) = transformed_both_ways(graph, odd)

    np.testing.assert_array_equal(floats, plain_floats)
    np.testing.assert_array_equal(ids, plain_ids)


def test_boundaries_that_are_infinite(tmp_path):
    table = make_table(200)
    index = table.schema.get_field_index("amount")
    infinite = pa.array([np.inf, -np.inf, 1.0, 2.0] * 50, pa.float64())
    table = table.set_column(index, "amount", infinite)
    write_transform_graph(analyze(table.to_batches(), FEATURES), FEATURES, SCHEMA, str(tmp_path))
    graph = TransformGraph(str(tmp_path), FEATURES)
    odd = extreme_rows(serving_arrays(table, graph.serving_inputs), graph.constants().boundaries)

    (floats, _), (plain_floats, _) = transformed_both_ways(graph, odd)

    assert not np.isfinite(graph.constants().boundaries["amount"]).all()
    np.testing.assert_array_equal(floats, plain_floats)


def test_a_kind_that_is_not_stacked_comes_from_tfts_graph(transform_dir, monkeypatch):
    monkeypatch.setattr("models.stacked_features._STACKED", frozenset({"categorical", "numeric"}))
    graph = TransformGraph(str(transform_dir), FEATURES)
    odd = extreme_rows(serving_arrays(make_table(500), graph.serving_inputs), graph.constants().boundaries)

    (floats, ids), (plain_floats, plain_ids) = transformed_both_ways(graph, odd)

    np.testing.assert_array_equal(floats, plain_floats)
    np.testing.assert_array_equal(ids, plain_ids)


def test_vocabularies_that_are_too_large_for_one_lookup_have_their_own(transform_dir, monkeypatch):
    monkeypatch.setattr("models.stacked_features._LARGEST_LOOKUP", 1)
    graph = TransformGraph(str(transform_dir), FEATURES)
    odd = extreme_rows(serving_arrays(make_table(500), graph.serving_inputs), graph.constants().boundaries)

    (_, ids), (_, plain_ids) = transformed_both_ways(graph, odd)

    np.testing.assert_array_equal(ids, plain_ids)


def test_a_graph_without_named_constants_is_refused(transform_dir, monkeypatch):
    monkeypatch.setattr("models.transform_graph.constant_name", lambda column, what: f"{column} {what}")

    with pytest.raises(FeatureError, match="does not name its constants amount mean"):
        StackedFeatures(FEATURES, TransformGraph(str(transform_dir), FEATURES))
