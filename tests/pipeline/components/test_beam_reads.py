"""Reads that are spread give the same records, with a shuffle of file names before the reading."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.portability import common_urns
from apache_beam.testing.util import assert_that, equal_to
from tfx_bsl.tfxio import record_based_tfxio, tf_example_record

from columnar.example_writer import SplitWriter
from pipeline.components.beam_reads import spread_reads


@pytest.fixture
def pattern(tmp_path):
    for shard in range(3):
        with SplitWriter(str(tmp_path / f"shard-{shard}")) as writer:
            writer.write(pa.array([f"{shard}-{row}".encode() for row in range(4)], pa.large_binary()))
    return str(tmp_path / "*" / "*.gz")


RECORDS = [f"{shard}-{row}".encode() for shard in range(3) for row in range(4)]


def test_all_records_of_all_files(pattern):
    with beam.Pipeline() as pipeline, spread_reads():
        assert_that(pipeline | record_based_tfxio.ReadTfRecord([pattern]), equal_to(RECORDS))


def test_tfx_reads_file_names_through_a_shuffle(pattern):
    source = tf_example_record.TFExampleRecord(file_pattern=pattern, telemetry_descriptors=["test"])

    def shuffles_before_reading():
        pipeline = beam.Pipeline()
        _ = pipeline | source.RawRecordBeamSource()
        transforms = pipeline.to_runner_api().components.transforms.values()
        return [one.unique_name for one in transforms if one.spec.urn == common_urns.composites.RESHUFFLE.urn]

    with spread_reads():
        assert len(shuffles_before_reading()) == 1
    # Without it there is none, and outside of the block TFX is as it was.
    assert shuffles_before_reading() == []


def test_a_failure_in_the_block_leaves_tfx_as_it_was():
    stock = record_based_tfxio.ReadTfRecord

    with pytest.raises(OSError, match="no disk"), spread_reads():
        raise OSError("no disk")

    assert record_based_tfxio.ReadTfRecord is stock
