"""The transform graph made without Beam is the one that TFT makes with it, on nasty data."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from models.analysis import analyze
from models.errors import FeatureError
from models.preprocessing import preprocessing_fn
from models.transform_graph import TransformGraph, write_transform_graph
from tests.models.conftest import FEATURES, SCHEMA, make_table, to_examples


@pytest.fixture(scope="module")
def by_tft(tmp_path_factory):
    """TFT's graph: its own analyzers, run by Beam over tf.Examples, several batches."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata
    from tfx_bsl.public import tfxio

    folder = tmp_path_factory.mktemp("tft")
    tf_examples = tfxio.TFExampleBeamRecord(physical_format="inmem", telemetry_descriptors=["test"], schema=SCHEMA)
    custom_config = {"features": FEATURES.to_json()}
    with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        batches = pipeline | beam.Create(to_examples(make_table(600))) | tf_examples.BeamSource(batch_size=100)
        metadata = tf_examples.TensorAdapterConfig()
        transform_fn = (batches, metadata) | tft_beam.AnalyzeDataset(lambda x: preprocessing_fn(x, custom_config))
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
        _ = dataset_metadata.DatasetMetadata(SCHEMA) | tft_beam.WriteMetadata(
            str(folder / "metadata"), pipeline=pipeline
        )
    return folder


def test_vocabularies_are_the_same_files(by_tft, transform_dir):
    ours, theirs = tft.TFTransformOutput(str(transform_dir)), tft.TFTransformOutput(str(by_tft))

    for column in FEATURES.categorical:
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


def test_metadata_are_the_same(by_tft, transform_dir):
    ours, theirs = tft.TFTransformOutput(str(transform_dir)), tft.TFTransformOutput(str(by_tft))

    assert ours.transformed_feature_spec() == theirs.transformed_feature_spec()
    used = {name: spec for name, spec in theirs.raw_feature_spec().items() if name != "unused"}
    assert ours.raw_feature_spec() == used


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
