"""Offline predictions for all rows of a span or a file: TFX's BulkInferrer on whole Arrow batches.

Rows are read, predicted, encoded and written batch by batch, so memory does not grow with the file; the model and the
encoding run side by side on all cores.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from columnar.example_encoder import encode as encode_examples
from columnar.example_writer import SplitWriter
from columnar.threads import map_ahead
from models.predictor import Predictor
from pipeline import files
from pipeline.errors import DataError
from pipeline.predict.prediction_logs import AskedModel
from pipeline.predict.prediction_logs import encode as encode_logs

# As BulkInferrer names them.
PREDICTION_LOGS = "prediction_logs"

Outputs = Mapping[str, npt.NDArray[Any]]


class Writer(Protocol):
    """Where predictions go; whole when the block around it ends normally, and not at all otherwise."""

    def prepare(self, batch: pa.RecordBatch, outputs: Outputs) -> Any:
        """Turns a batch and its outputs, (rows, ...), into what `write` takes; called by several threads."""

    def write(self, prepared: Any) -> None:
        """Appends; called in the order of the batches."""


def infer(predictor: Predictor, batches: Iterator[pa.RecordBatch], writer: Writer) -> int:
    """Predicts every batch; returns the number of rows.

    Raises:
      DataError: a row of the input cannot be read.
      OSError: the disk is full.
    """

    def work(batch: pa.RecordBatch) -> tuple[int, Any]:
        return batch.num_rows, writer.prepare(batch, predictor.outputs(batch))

    rows = 0
    for count, prepared in map_ahead(work, batches, threads=len(os.sched_getaffinity(0))):
        writer.write(prepared)
        rows += count
    return rows


def open_writer(output: Path, model: AskedModel) -> "AbstractContextManager[Writer]":
    """Returns the writer of a path: a .csv or .parquet file, else a folder of TFRecords of PredictionLog."""
    if output.suffix in _TABLES:
        return TableWriter(output)
    return LogWriter(output, model)


class LogWriter(AbstractContextManager["LogWriter"]):
    """Writes `prediction_logs-00000-of-0000N.gz`, as BulkInferrer does."""

    def __init__(self, folder: Path, model: AskedModel) -> None:
        self._model = model
        self._shards = SplitWriter(str(folder), PREDICTION_LOGS)

    def prepare(self, batch: pa.RecordBatch, outputs: Outputs) -> pa.LargeBinaryArray:
        return encode_logs(encode_examples(batch).records, outputs, self._model)

    def write(self, prepared: pa.LargeBinaryArray) -> None:
        self._shards.write(prepared)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shards.__exit__(kind, error, traceback)


def _csv_writer(path: str, schema: pa.Schema) -> Any:
    return pa_csv.CSVWriter(path, schema)


def _parquet_writer(path: str, schema: pa.Schema) -> Any:
    return pq.ParquetWriter(path, schema)


_TABLES = {".csv": _csv_writer, ".parquet": _parquet_writer}


def _one_value_each(outputs: Outputs) -> Outputs:
    """Returns a multiclass model's outputs with one of each class's probability in place of all in one, and others as
    they are."""
    if not {"classes", "probabilities"} <= set(outputs) or not len(outputs["classes"]):
        return outputs
    names = [name.decode("utf-8") for name in outputs["classes"][0]]
    rest = {name: array for name, array in outputs.items() if name not in ("classes", "probabilities")}
    return rest | {f"probability of {name}": outputs["probabilities"][:, index] for index, name in enumerate(names)}


class TableWriter(AbstractContextManager["TableWriter"]):
    """Writes the rows with their predictions as further columns; under a hidden name until the file is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._writer: Any = None  # pyarrow's, untyped.

    def __enter__(self) -> "TableWriter":
        self._unfinished = self._open.enter_context(files.replacing(self._path))
        return self

    def prepare(self, batch: pa.RecordBatch, outputs: Outputs) -> pa.RecordBatch:
        taken = set(batch.schema.names)
        if self._path.suffix == ".csv":
            outputs = _one_value_each(outputs)
        for name, array in outputs.items():
            if array.ndim > 1 and self._path.suffix == ".csv":
                raise DataError(f"{self._path}: output {name!r} has several values for a row. Write .parquet instead.")
            values = np.char.decode(array.astype(np.bytes_), "utf-8", "replace") if array.dtype == np.object_ else array
            column = pa.array(values.tolist() if array.ndim > 1 or array.dtype == np.object_ else values)
            batch = batch.append_column(f"predicted_{name}" if name in taken else name, column)
        return batch

    def write(self, prepared: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = _TABLES[self._path.suffix](str(self._unfinished), prepared.schema)
            self._open.callback(self._writer.close)
        self._writer.write_batch(prepared)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, traceback)
