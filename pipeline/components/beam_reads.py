"""TFX's stock executors on Beam, with every worker reading.

TFX reads the TFRecords of a split with `beam.io.ReadFromTFRecord`. On Beam's portable runners (Flink, Spark) one task
reads all of its files, whatever the cluster's size (https://github.com/apache/beam/issues/21222), and everything up to
the first shuffle stays in that task. `ReadAllFromTFRecord` puts a shuffle of file names before the reading.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from tfx.types import Artifact
from tfx_bsl.tfxio import record_based_tfxio

ExecProperties = dict[str, Any]  # TFX's own type.
Artifacts = dict[str, list[Artifact]]


@contextlib.contextmanager
def spread_reads() -> Iterator[None]:
    """Lets Beam pipelines that are made in the block read in every worker; tfx_bsl has no setting for it."""
    stock = record_based_tfxio.ReadTfRecord
    record_based_tfxio.ReadTfRecord = _ReadTfRecord
    try:
        yield
    finally:
        record_based_tfxio.ReadTfRecord = stock


class _ReadTfRecord(beam.PTransform):
    """tfx_bsl's ReadTfRecord: the records (bytes) of all files that match the patterns."""

    def __init__(self, file_pattern: list[str]) -> None:
        super().__init__()
        self._patterns = file_pattern

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[bytes]:
        read = beam.io.ReadAllFromTFRecord(coder=beam.coders.BytesCoder()).with_output_types(bytes)
        return pipeline | "Patterns" >> beam.Create(self._patterns) | "Files" >> read
