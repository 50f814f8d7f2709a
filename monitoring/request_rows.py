"""From `PredictionLog` records to flat rows: features as the schema has them, the answer, the key.

Beside the features a row has columns of its own, with a slash in their names, which no feature of a signature has.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar.errors import ExamplesError
from columnar.examples import flat_schema, flatten
from models.features import FeatureSpec
from models.target import Target
from monitoring import request_key
from serving.log import reader

if TYPE_CHECKING:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

logger = logging.getLogger(__name__)

PREDICTION = "request/prediction"
"""The number by which a distribution of answers is watched, see `models.tasks.one_number`; null where there is none."""
ANSWER = "request/answer"
"""All that was answered, as a JSON list: a probability of each class, or value, lower and upper. Null of two classes,
where one number says it all, and in rows that an earlier release kept."""
KEY = "request/key"

NOT_A_RECORD = "not_a_record"
OTHER_MODEL = "other_model"
UNREADABLE = "unreadable_request"
# What tfx_bsl makes of a C++ status, and what has several values, or bytes that are no text.
_NOT_THE_SCHEMA = (RuntimeError, ValueError, ExamplesError)
_POSITIVE_CLASSES = frozenset({"1", "true", "yes", "positive"})


@dataclass(frozen=True, kw_only=True)
class RowFormat:
    """What rows are made by.

    Attributes:
      model: name of the served model; records of others are dropped.
      schema: the curated one, of the whole span.
      serving_dir: each version's folder says what stands for a missing value.
    """

    model: str
    schema: schema_pb2.Schema
    features: FeatureSpec
    key: tuple[str, ...]
    serving_dir: Path
    window_seconds: int

    def features_schema(self) -> schema_pb2.Schema:
        """Returns the schema of the features alone."""
        kept = schema_pb2.Schema()
        kept.CopyFrom(self.schema)
        del kept.feature[:]
        kept.feature.extend(feature for feature in self.schema.feature if feature.name in self.features.names)
        return kept

    def rows_schema(self) -> schema_pb2.Schema:
        """Returns the schema of rows: features and the columns beside them."""
        schema = self.features_schema()
        kinds = ((PREDICTION, schema_pb2.FLOAT), (ANSWER, schema_pb2.BYTES), (KEY, schema_pb2.INT))
        for name, kind in kinds:
            schema.feature.add(name=name, type=kind)
        return schema


Place = tuple[int, int]
"""A window's start, seconds since 1970, and the version that answered; 0 where the log names none."""


@dataclass
class Decoded:
    """Rows by window and version, and what else the records held.

    Attributes:
      requests: records by version; errors: those of them without an answer.
      represented: requests that the records stand for, by version.
      dropped: records without rows, by reason.
    """

    tables: dict[Place, pa.Table] = field(default_factory=dict)
    requests: Counter[int] = field(default_factory=Counter)
    represented: Counter[int] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


class Decoder:
    """Owns the protos' decoder and what was read of each version's folder."""

    def __init__(self, row_format: RowFormat) -> None:
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

        self._format = row_format
        schema = row_format.features_schema()
        self._flat = flat_schema(schema)
        plain = [schema_pb2.Feature(name=feature.name, type=feature.type) for feature in schema.feature]
        self._decoder = ExamplesToRecordBatchDecoder(schema_pb2.Schema(feature=plain).SerializeToString())
        self._kinds: dict[str, reader.Kind] = {
            feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature
        }
        self._missing: dict[int, Mapping[str, Any]] = {}  # Any: JSON.

    def decode(self, records: Sequence[bytes], written_at: float) -> Decoded:
        """Returns the rows of serialized PredictionLogs.

        Args:
          written_at: when the file was written, seconds since 1970: the time of records that have none of their own.
        """
        from google.protobuf.message import DecodeError
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

        decoded = Decoded()
        rows: dict[Place, _Rows] = {}
        for data in records:
            try:
                log = PredictionLog.FromString(data)
            except DecodeError:
                decoded.dropped[NOT_A_RECORD] += 1
                continue
            if name_of(log) not in ("", self._format.model):
                decoded.dropped[OTHER_MODEL] += 1
                continue
            version = version_of(log)
            try:
                logged = reader.logged_rows(log, self._missing_values(version), self._kinds)
            except (ValueError, TypeError, DecodeError) as error:
                logger.warning("A logged request of version %d cannot be read: %s", version, error)
                decoded.dropped[UNREADABLE] += 1
                continue
            decoded.requests[version] += 1
            decoded.represented[version] += round(1 / (log.log_metadata.sampling_config.sampling_rate or 1.0))
            decoded.errors[version] += not any(row.answer for row in logged)
            seconds = self._format.window_seconds
            time = log.log_metadata.timestamp_secs or int(written_at)
            place = rows.setdefault((time // seconds * seconds, version), _Rows())
            for row in logged:
                place.examples.append(row.example.SerializeToString())
                place.predictions.append(probability(row.answer))
                place.answers.append(whole_answer(row.answer, self._format.features.target))
        for where, gathered in rows.items():
            try:
                table = self._table(gathered)
            except _NOT_THE_SCHEMA:
                readable = gathered.only([self._fits(example) for example in gathered.examples])
                decoded.dropped[UNREADABLE] += len(gathered.examples) - len(readable.examples)
                if not readable.examples:
                    continue
                table = self._table(readable)
            decoded.tables[where] = table
        return decoded

    def _fits(self, example: bytes) -> bool:
        try:
            flatten(self._decoder.DecodeBatch([example]), self._flat, "a logged request")
        except _NOT_THE_SCHEMA as error:
            logger.warning("A logged request is not what the schema describes: %s", error)
            return False
        return True

    def _table(self, rows: _Rows) -> pa.Table:
        batch = flatten(self._decoder.DecodeBatch(rows.examples), self._flat, "the request log")
        table = pa.Table.from_batches([batch])
        keys = request_key.keys(table, self._format.key, self._format.features)
        table = table.append_column(PREDICTION, pa.array(rows.predictions, pa.float64()))
        table = table.append_column(ANSWER, pa.array(rows.answers, pa.large_string()))
        return table.append_column(KEY, pa.array(keys, pa.int64()))

    def _missing_values(self, version: int) -> Mapping[str, Any]:  # Any: JSON.
        """Returns what clients send for missing values; nothing is known of a version that is gone."""
        if version not in self._missing:
            path = self._format.serving_dir / str(version) / "assets.extra" / "feature_defaults.json"
            try:
                described = json.loads(path.read_text(encoding="utf-8"))
                self._missing[version] = {name: entry["missing"] for name, entry in described.items()}
            except FileNotFoundError:
                self._missing[version] = {}
        return self._missing[version]


@dataclass
class _Rows:
    examples: list[bytes] = field(default_factory=list)
    predictions: list[float | None] = field(default_factory=list)
    answers: list[str | None] = field(default_factory=list)

    def only(self, kept: Sequence[bool]) -> _Rows:
        """Returns the rows that are kept."""
        return _Rows(
            examples=list(compress(self.examples, kept)),
            predictions=list(compress(self.predictions, kept)),
            answers=list(compress(self.answers, kept)),
        )


def name_of(log: PredictionLog) -> str:
    """Returns the model's name; "" where the record has none."""
    return str(log.log_metadata.model_spec.name or getattr(_spec(log, "request"), "name", ""))


def version_of(log: PredictionLog) -> int:
    """Returns the version that answered: as the log says, or else as the answer does; 0 where neither does."""
    answered = _spec(log, "response")
    return int(log.log_metadata.model_spec.version.value or (answered.version.value if answered is not None else 0))


def _spec(log: PredictionLog, side: str) -> Any:  # Any: a ModelSpec, or None: not every record has one.
    kind = log.WhichOneof("log_type")
    return getattr(getattr(getattr(log, kind), side), "model_spec", None) if kind else None


def probability(answer: Mapping[str, Any]) -> float | None:  # Any: what LoggedRow holds.
    """Returns the positive label's probability in an answer, or None.

    The output `probability`, a regression's value, the largest of `probabilities`, the score of a class called 1 or
    true, the last of two scores, or the only floating-point output there is.
    """
    if "probability" in answer:
        return _number(answer["probability"])
    if "value" in answer:
        return _number(answer["value"])
    if isinstance(answer.get("probabilities"), list):
        return max((number for each in answer["probabilities"] if (number := _number(each)) is not None), default=None)
    if "scores" in answer and isinstance(answer["scores"], list):
        classes = [str(name).lower() for name in answer.get("classes", [])]
        for name, score in zip(classes, answer["scores"], strict=False):
            if name in _POSITIVE_CLASSES:
                return _number(score)
        return _number(answer["scores"])
    floats = [value for value in answer.values() if _number(value) is not None]
    return _number(floats[0]) if len(floats) == 1 else None


def whole_answer(answer: Mapping[str, Any], target: Target) -> str | None:  # Any: what LoggedRow holds.
    """Returns an answer as `ANSWER` holds it; None where it is not a whole one of the target's task."""
    if target.task == "multiclass":
        scores = answer.get("probabilities", answer.get("scores"))
        names = answer.get("classes")
        if not isinstance(scores, list) or not isinstance(names, list) or len(scores) != len(names):
            return None
        texts = (name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names)
        by_class = dict(zip(texts, scores, strict=True))
        numbers = [by_class.get(name) for name in target.classes]
    elif target.task == "regression":
        numbers = [answer.get(name) for name in ("value", "lower", "upper")]
    else:
        return None
    known = [_number(number) for number in numbers]
    return json.dumps(known) if known[0] is not None and None not in known else None


def answers_of(rows: pa.Table, target: Target) -> npt.NDArray[np.float64]:
    """Returns what was answered, as `Predictor.predict` gives it, NaN where it is not known: (rows,) or (rows, ...).

    Of numbers the ends are NaN where the value alone is known.
    """
    numbers = rows.column(PREDICTION).to_numpy()
    if target.task == "binary":
        return np.asarray(numbers, np.float64)
    texts = rows.column(ANSWER).to_pylist() if ANSWER in rows.column_names else [None] * rows.num_rows
    values = np.full((rows.num_rows, target.outputs), np.nan)
    if target.task == "regression":
        values[:, 0] = numbers
    for row, text in enumerate(texts):
        if text:
            values[row] = json.loads(text)
    return values


def _number(value: Any) -> float | None:  # Any: a number, or a list of one or two.
    if isinstance(value, list) and 0 < len(value) <= 2:
        value = value[-1]
    return float(value) if isinstance(value, float) and np.isfinite(value) else None
