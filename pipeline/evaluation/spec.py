"""What dataset.toml's [evaluation] says: which slices are measured, and what a candidate must reach.

Nothing here imports TensorFlow, so a wrong file is refused in milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Slices and thresholds of an evaluation.

    Attributes:
      slices: each entry names the columns that are crossed into one family of slices; the whole split is always
        evaluated and is not listed.
      min_slice_examples: a slice with fewer examples is reported and not judged.
      min_auc: the candidate's AUC over the whole eval split must reach this.
      max_auc_drop: by how much the candidate's AUC may lie below the live model's, over the whole eval split.
      max_slice_auc_drop: the same on each slice that has `min_slice_examples`.
      max_calibration_error: upper limit of the candidate's expected calibration error over the whole eval split:
        the mean distance between predicted and observed rate, in probability.
      bootstraps: Poisson bootstrap replicates behind the 95 % confidence intervals; 0 for no intervals. The Beam
        engine takes TFMA's fixed 20 for any number above 0.
      seed: of the replicates, so that a repeated evaluation writes the same intervals.
    """

    slices: tuple[tuple[str, ...], ...] = ()
    min_slice_examples: int = 100
    min_auc: float = 0.5
    max_auc_drop: float = 0.01
    max_slice_auc_drop: float = 0.05
    max_calibration_error: float = 0.05
    bootstraps: int = 20
    seed: int = 20_130_101

    def __post_init__(self) -> None:
        for name in ("min_auc", "max_auc_drop", "max_slice_auc_drop", "max_calibration_error"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be a number in [0, 1]. Received: {value!r}.")
        for name, least in {"min_slice_examples": 1, "bootstraps": 0, "seed": 0}.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}. Received: {value!r}.")
        if self.bootstraps == 1:
            raise ValueError("bootstraps must be 0 (no confidence intervals) or at least 2. Received: 1.")
        self._check_slices()

    def _check_slices(self) -> None:
        if type(self.slices) is not tuple or any(type(columns) is not tuple for columns in self.slices):
            raise ValueError(f"slices must be a list of lists of column names. Received: {self.slices!r}.")
        for columns in self.slices:
            if not columns:
                raise ValueError("slices holds an empty list. The whole split is always evaluated: remove it.")
            if any(not isinstance(column, str) or not column for column in columns):
                raise ValueError(f"slices must be a list of lists of column names. Received: {list(columns)!r}.")
            if len(set(columns)) != len(columns):
                raise ValueError(f"slices crosses a column with itself. Received: {list(columns)!r}.")
        families = [tuple(sorted(columns)) for columns in self.slices]
        twice = sorted({columns for columns in families if families.count(columns) > 1})
        if twice:
            raise ValueError(f"slices lists the same columns twice. Received: {list(twice[0])!r}.")

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """All columns that slices are made of, sorted."""
        return tuple(sorted({column for columns in self.slices for column in columns}))
