"""Asks a model about rows, batch by batch: what is missing is filled, and a bad row does not lose the others."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import DataError, clipped
from pipeline.predict.client import Endpoint, Instance, RefusedError, Signature
from pipeline.predict.rows import Row

_INTEGERS = frozenset({"DT_INT8", "DT_UINT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT32", "DT_UINT64"})
_FLOATS = frozenset({"DT_FLOAT", "DT_DOUBLE"})
_SEPARATORS = (";", "\t", "|")
_SHOWN_COLUMNS = 20
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Prediction:
    """What became of a row.

    Attributes:
      outputs: by name; empty where there is an error.
    """

    number: int
    outputs: Mapping[str, Any]  # Any: JSON.
    error: str = ""


@dataclass
class Notes:
    """What is worth saying once, at the end.

    Attributes:
      ignored: columns of the rows that the model does not take.
      rows: rows that were well formed.
      filled: in how many of them an input was filled, by name.
      absent: in how many of them no column of an input's name was there, by name.
    """

    rows: int = 0
    ignored: set[str] = field(default_factory=set)
    filled: dict[str, int] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)


def predict_rows(
    rows: Iterable[Row],
    endpoint: Endpoint,
    name: str,
    signature: Signature,
    defaults: Mapping[str, Any],
    batch_size: int,
    notes: Notes,
) -> Iterator[Prediction]:
    """Yields one prediction or error for each row, in order.

    Args:
      name: the signature's.
      defaults: what stands for a missing value, by input ("NaN" is spelled out); inputs without one are required.

    Raises:
      DataError: the first rows name columns, and the model takes none of them: the answers would be the same for all.
      PipelineError: the server went away; what was yielded before is answered.
    """
    iterator = iter(rows)
    first = True
    while batch := list(itertools.islice(iterator, batch_size)):
        if first:
            _check_columns(batch, signature)
            first = False
        made = [_instance(row, signature, defaults, notes) for row in batch]
        good = [
            (row.number, instance) for row, instance in zip(batch, made, strict=True) if not isinstance(instance, str)
        ]
        answers = {one.number: one for one in _ask(good, lambda asked: endpoint.predict(name, asked), signature)}
        for row, instance in zip(batch, made, strict=True):
            yield Prediction(row.number, {}, instance) if isinstance(instance, str) else answers[row.number]


def _check_columns(batch: Iterable[Row], signature: Signature) -> None:
    """Raises DataError where rows name columns and none of them is an input."""
    named = dict.fromkeys(column for row in batch for column in row.columns)
    if not named or not named.keys().isdisjoint(signature.inputs):
        return
    received = ", ".join(clipped(column) for column in list(named)[:_SHOWN_COLUMNS])
    what = (
        f"none of the rows' columns is one that the model takes. Expected: {', '.join(signature.inputs)}. "
        f"Received: {received}."
    )
    separator = next((mark for mark in _SEPARATORS if len(named) == 1 and mark in next(iter(named))), None)
    hint = f" The separator looks like {separator!r}; write the file with commas." if separator else ""
    raise DataError(what + hint)


def _ask(
    asked: list[tuple[int, Instance]], predict: Callable[[list[Instance]], list[Any]], signature: Signature
) -> Iterator[Prediction]:
    """Asks about all at once; where the server refuses, about either half, so that only bad rows stay unanswered."""
    if not asked:
        return
    try:
        answers = predict([instance for _, instance in asked])
    except RefusedError as error:
        if len(asked) == 1:
            yield Prediction(asked[0][0], {}, str(error))
            return
        middle = len(asked) // 2
        yield from _ask(asked[:middle], predict, signature)
        yield from _ask(asked[middle:], predict, signature)
        return
    for (number, _), answer in zip(asked, answers, strict=True):
        # With one output, the contract has the bare value.
        one = isinstance(answer, dict) and set(answer) == set(signature.outputs)
        yield Prediction(number, answer if one else {signature.outputs[0]: answer})


def _instance(row: Row, signature: Signature, defaults: Mapping[str, Any], notes: Notes) -> Instance | str:
    """Returns the row as the signature takes it, or why that cannot be."""
    if row.error:
        return row.error
    notes.rows += 1
    notes.ignored.update(set(row.columns) - set(signature.inputs))
    for name in signature.inputs:
        if name not in row.columns:
            notes.absent[name] = notes.absent.get(name, 0) + 1
    instance = {}
    for name, dtype in signature.inputs.items():
        if name not in row.values:
            if name not in defaults:
                return f"{name}: the value is missing, and nothing says what stands for it"
            notes.filled[name] = notes.filled.get(name, 0) + 1
            instance[name] = float("nan") if defaults[name] == "NaN" and dtype in _FLOATS else defaults[name]
            continue
        try:
            instance[name] = _convert(row.values[name], dtype)
        except (ValueError, OverflowError):
            return f"{name}: expected {_expected(dtype)}. Received: {clipped(repr(row.values[name]))}"
    return instance


def _convert(value: Any, dtype: str) -> Any:
    """Returns a value as JSON for an input of `dtype`; lists are left to the server. Raises ValueError."""
    if isinstance(value, list | dict):
        return value
    if dtype == "DT_BOOL":
        if str(value).lower() not in _BOOLEANS:
            raise ValueError
        return _BOOLEANS[str(value).lower()]
    if dtype not in _FLOATS | _INTEGERS:
        if not isinstance(value, str):
            raise ValueError
        return value
    # Python reads 1_000 as a number, which nobody else does.
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError
    if dtype in _FLOATS:
        return float(value)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _expected(dtype: str) -> str:
    if dtype in _FLOATS:
        return "a number"
    if dtype in _INTEGERS:
        return "a whole number"
    return "true or false" if dtype == "DT_BOOL" else "text"
