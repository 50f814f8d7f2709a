"""Does the whole gate ask for a rerun when nothing happened, where a number or one of several classes is predicted?

The flights' delay on arrival, in minutes and as a class, and the minutes weighted by the miles flown. All else is
as in whole.py: the challenger's trees, over frozen bins, stand for the network, with an interval that holds nine of
ten of the rows that they were fitted on, so on others it holds fewer, before and after alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from benchmarks.gate import whole
from benchmarks.gate.whole import Setting
from pipeline.config.dataset import Dataset
from pipeline.gate import challenger
from pipeline.gate.challenger import Rows

CLASSES = ("on time", "late", "very late")
ENDS = (15, 60)
"""Minutes up to which a flight is on time, and late."""
SIZES = {"flights": (300, 1_000, 5_000)}
REFERENCE_ROWS = {"flights": 12_000}


class TaskModel(whole.Model):
    """The challenger's trees over the frozen bins."""

    def _fit(self, rows: pa.Table, truth: npt.NDArray[Any]) -> None:
        trees = challenger.Trees(target=self._target, categorical=(), loss="squared", seed=0)
        matrix = self.encode(rows).astype(np.float64)
        self._answer = trees.learn(Rows(matrix=matrix, truth=truth, weights=np.ones(len(truth))))
        self._ends: npt.NDArray[np.float64] | None = None
        if self.task == "regression":
            self._ends = np.quantile(truth - self._answer(matrix)[:, 0], (0.05, 0.95))

    def predict(self, table: pa.Table) -> np.ndarray:
        """Returns probabilities (rows, classes), or value, lower and upper (rows, 3)."""
        answers = self._answer(self.encode(table).astype(np.float64))
        if self._ends is not None:
            answers[:, 1:] += self._ends
        return answers


def with_class(table: pa.Table) -> pa.Table:
    """Returns flights with how late each was, in words."""
    late = table["arr_delay"]
    kind = pc.if_else(pc.less_equal(late, ENDS[1]), CLASSES[1], CLASSES[2])
    kind = pc.if_else(pc.less_equal(late, ENDS[0]), CLASSES[0], kind).cast(pa.large_string())
    return table.append_column("how_late", kind)


def _predicting(**target: Any) -> Any:  # Any: fields of a FeatureSpec, and what a Setting takes.
    def change(
        dataset: Dataset, schema: schema_pb2.Schema, pool: pa.Table, _rng: np.random.Generator
    ) -> tuple[Dataset, pa.Table]:
        schema.feature.add(name="how_late", type=schema_pb2.BYTES)
        features = dataclasses.replace(dataset.features, **target)
        return dataclasses.replace(dataset, features=features), with_class(pool)

    return change


def _setting(**target: Any) -> Setting:  # Any: as above.
    return Setting(SIZES, _predicting(**target), model=TaskModel, reference_rows=REFERENCE_ROWS)


SETTINGS = {
    "minutes late, a number": _setting(label="arr_delay", task="regression"),
    "minutes late, weighted by distance": _setting(label="arr_delay", task="regression", weight="distance"),
    "how late, one of three classes": _setting(label="how_late", task="multiclass", classes=CLASSES),
    "late or not, weighted by distance": _setting(weight="distance"),
}


def measure(
    name: str, spans: Mapping[int, pa.Table], repeats: int, only: str | None, recorded: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """See whole.measure."""
    return whole.measure(name, spans, repeats, only, recorded, SETTINGS)


def table(found: Mapping[str, Any]) -> str:
    """See whole.table."""
    return whole.table(found, SETTINGS)
