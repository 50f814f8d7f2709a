"""What the transform graph needs to know of the training window, computed from Arrow record batches without Beam.

One pass, bounded memory: running moments, the quantile sketch that TFT itself uses, and exact value counts. The
results are those of the TFT analyzers in models/preprocessing.py: the same vocabularies in the same order, moments
to rounding, quantile boundaries within the sketch's error (see docs/model.md).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from columnar import numbers
from models import bags, expressions, moments
from models.errors import ExpressionError, FeatureError
from models.expression_values import arrow_column
from models.features import FeatureSpec
from models.kinds import Feature
from models.tensor_names import alias

QUANTILE_ERROR = 0.001
"""Largest error of a quantile boundary's rank, as a share of the rows."""

MISSING_INT = -1
"""The integer that stands for a missing value where a tensor cannot hold a null."""

_LEAST_DATES = 0.5
"""Share of the texts of a date column that must be dates."""
_MAX_DISTINCT = 2_000_000
_SKETCH_CAPACITY = 1 << 32  # TFT's own bound on the number of values for which the error is guaranteed.
# TFT's own word in a vocabulary of nothing: TensorFlow cannot read an empty file.
_NOTHING = "49d0cd50-04bb-48c0-bc6f-5b575dce351a"
# TFT discards such tokens from text vocabularies: one line holds one token.
_NOT_A_LINE = r"^$|[\n\r]"


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean and standard deviation (population) of a column's finite values; both 0 if there are none."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Constants of the transform graph.

    Attributes:
      vocabularies: tokens of each categorical column: by frequency, then by bytes, both descending (TFT's order).
      boundaries: inner quantile boundaries of each numeric and bucketized column, as float32 values, ascending.
      moments: of each numeric column.
      rows: number of rows analyzed.
      frequencies: of each text column, in how many rows each bucket of its n-grams occurs.
    """

    vocabularies: Mapping[str, tuple[str, ...]]
    boundaries: Mapping[str, tuple[float, ...]]
    moments: Mapping[str, Moments]
    rows: int
    frequencies: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def save(self, directory: str | Path) -> None:
        """Writes analysis.json and one vocabulary file per categorical column; `load` reads them back."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, tokens in self.vocabularies.items():
            text = "".join(f"{token}\n" for token in tokens)
            (directory / vocabulary_file_name(name)).write_bytes(text.encode("utf-8"))
        value = dataclasses.asdict(self) | {"vocabularies": sorted(self.vocabularies)}
        (directory / "analysis.json").write_text(json.dumps(value, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> Analysis:
        """Reads what `save` wrote."""
        directory = Path(directory)
        value = json.loads((directory / "analysis.json").read_text(encoding="utf-8"))
        return cls(
            vocabularies={
                name: tuple((directory / vocabulary_file_name(name)).read_bytes().decode("utf-8").split("\n")[:-1])
                for name in value["vocabularies"]
            },
            boundaries={name: tuple(boundaries) for name, boundaries in value["boundaries"].items()},
            moments={name: Moments(**moments) for name, moments in value["moments"].items()},
            frequencies={name: tuple(counts) for name, counts in value["frequencies"].items()},
            rows=value["rows"],
        )


def vocabulary_file_name(column: str) -> str:
    """The asset file of a column's vocabulary, safe on every file system."""
    return f"vocabulary_{alias(column)}"


def analyze(batches: Iterable[pa.RecordBatch], features: FeatureSpec) -> Analysis:
    """Computes the constants that `features` needs over all rows of flat record batches.

    Null, NaN, the empty string and the integer -1 are missing values; infinities count towards quantiles only.

    Raises:
      FeatureError: no rows at all; most texts of a column of dates are none; a column is absent or of a type its group
        cannot take; or a categorical column has so many values that it must be hashed.
    """
    counts: dict[str, Counter[object]] = {one.name: Counter() for one in features.having("vocabulary")}
    running = {one.name: _RunningMoments() for one in features.having("moments")}
    buckets = {one.name: one.size for one in features.having("boundaries")}
    sketches = {name: _new_sketch() for name in buckets}
    documents = {one.name: np.zeros(one.size, np.int64) for one in features.having("frequencies")}
    analyzed = {one.name: one for one in features.encoded if one.kind.constants}
    integers: set[str] = set()
    dates = _Dates(features)
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        dates.add(batch)
        columns = {name: _column(batch, feature, features) for name, feature in analyzed.items()}
        for name in documents:
            documents[name] += bags.document_frequencies(columns[name], len(documents[name]))
        for name in counts:
            column = columns[name]
            if analyzed[name].kind.is_bag:
                column = bags.items(column, analyzed[name].separator).values
            _count(counts[name], column, name)
            if pa.types.is_integer(column.type):
                integers.add(name)
        for name, sketch in sketches.items():
            values = as_float32(columns[name], name)
            values = values[~np.isnan(values)].astype(np.float64)
            sketch.AddValues(pa.array(values))
            if name in running:
                running[name].add(values[np.isfinite(values)])
    dates.check()
    if rows == 0:
        raise FeatureError("There is no row to compute vocabularies and quantiles from. Give a window with examples.")
    return Analysis(
        vocabularies={
            name: _vocabulary(counted, analyzed[name], features)
            or (str(MISSING_INT) if name in integers else _NOTHING,)
            for name, counted in counts.items()
        },
        boundaries={name: _boundaries(sketch, buckets[name]) for name, sketch in sketches.items()},
        moments={name: moments.result() for name, moments in running.items()},
        frequencies={name: tuple(counted.tolist()) for name, counted in documents.items()},
        rows=rows,
    )


def as_float32(column: pa.Array, name: str) -> np.ndarray:
    """A numeric, bucketized or cyclical column as the serving signature takes it: float32, NaN where missing."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
        raise FeatureError(
            f"The column {name!r} is used as a number. Received: {column.type}. Declare it INT or FLOAT in the schema, "
            "or move it to `categorical` or `hashed`."
        )
    return numbers.as_float32(column)


def is_integer_category(column_type: pa.DataType, name: str) -> bool:
    """Whether a categorical or hashed column holds integers rather than strings.

    Raises:
      FeatureError: it holds neither.
    """
    if pa.types.is_integer(column_type):
        return True
    if pa.types.is_string(column_type) or pa.types.is_large_string(column_type) or pa.types.is_null(column_type):
        return False
    raise FeatureError(
        f"The column {name!r} is used as a category. Received: {column_type}. Declare it BYTES or INT in the schema, "
        "or move it to `numeric` or `bucketized`."
    )


class _Dates:
    """Counts the texts of date columns, and those that are no date: a model would learn nothing from them."""

    def __init__(self, features: FeatureSpec) -> None:
        read = {column for one in features.encoded for column in expressions.columns(one.value)}
        self._names = sorted(name for name, kind in read if kind == "moment")
        self._given: Counter[str] = Counter()
        self._read: Counter[str] = Counter()
        self._example: dict[str, str] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        for name in self._names:
            index = batch.schema.get_field_index(name)
            if index < 0 or pa.types.is_integer(kind := batch.column(index).type) or pa.types.is_null(kind):
                continue
            column = batch.column(index)
            given = pc.not_equal(pc.fill_null(column, ""), "").to_numpy(zero_copy_only=False)
            wrong = given & np.isnan(moments.from_arrow(column))
            self._given[name] += int(given.sum())
            self._read[name] += int(given.sum() - wrong.sum())
            if wrong.any():
                self._example.setdefault(name, column[int(wrong.argmax())].as_py())

    def check(self) -> None:
        """Raises FeatureError for the first column most of whose texts are no dates."""
        for name in self._names:
            if self._read[name] < _LEAST_DATES * self._given[name]:
                raise FeatureError(
                    f"The column {name!r} is used as a date, and {self._read[name]:,} of its {self._given[name]:,} "
                    f"texts are one, such as 2024-03-31 or 2024-03-31T14:30. Received: {self._example[name]!r}. "
                    "Say in [spans.csv] dates how CSV writes them, or write ISO 8601."
                )


class _RunningMoments:
    """Merges the moments of batches (Chan, Golub and LeVeque, 1979), in float64."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0  # Sum of squared differences from the mean.

    def add(self, values: np.ndarray) -> None:
        if values.size == 0:
            return
        mean = float(values.mean())
        squares = float(np.square(values - mean).sum())
        total = self._count + values.size
        delta = mean - self._mean
        self._squares += squares + delta * delta * self._count * values.size / total
        self._mean += delta * values.size / total
        self._count = total

    def result(self) -> Moments:
        if self._count == 0:
            return Moments(mean=0.0, std=0.0)
        return Moments(mean=self._mean, std=math.sqrt(self._squares / self._count))


def _column(batch: pa.RecordBatch, feature: Feature, features: FeatureSpec) -> pa.Array:
    try:
        return arrow_column(feature.value, batch, features.as_stored)
    except ExpressionError as error:
        raise FeatureError(f"The feature {feature.name!r}: {error}") from error


def _count(counts: Counter[object], column: pa.Array, name: str) -> None:
    if is_integer_category(column.type, name):
        counted = pc.value_counts(column.filter(pc.not_equal(column, MISSING_INT)))
    elif pa.types.is_null(column.type):
        return
    else:
        counted = pc.value_counts(column.filter(pc.invert(pc.match_substring_regex(column, _NOT_A_LINE))))
    for value, count in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True):
        counts[value] += count
    if len(counts) > _MAX_DISTINCT:
        raise FeatureError(
            f"The categorical column {name!r} has more than {_MAX_DISTINCT:,} different values. "
            "Move it to `hashed`, with a number of hash buckets."
        )


def _vocabulary(counts: Counter[object], feature: Feature, features: FeatureSpec) -> tuple[str, ...]:
    kept = ((count, str(value)) for value, count in counts.items() if count >= features.vocabulary_min_count)
    ordered = sorted(kept, key=lambda item: (item[0], item[1].encode("utf-8")), reverse=True)
    return tuple(token for _, token in ordered[: feature.size or features.vocabulary_size])


def _new_sketch() -> Any:
    from tfx_bsl.sketches import QuantilesSketch  # Loads a large shared library.

    return QuantilesSketch(QUANTILE_ERROR, _SKETCH_CAPACITY, 1)


def _boundaries(sketch: Any, buckets: int) -> tuple[float, ...]:
    quantiles = sketch.GetQuantiles(buckets).to_pylist()
    if not quantiles:
        return (0.0,) * (buckets - 1)  # TFT's answer for a column without values.
    return tuple(np.asarray(quantiles[0][1:-1], dtype=np.float32).astype(float).tolist())
