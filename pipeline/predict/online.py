"""Asks a model about rows, batch by batch: what is missing is filled, and a bad row does not lose the others."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError, clipped
from pipeline.predict.client import Endpoint, Instance, RefusedError, Signature
from pipeline.predict.examples_endpoint import ExamplesEndpoint
from pipeline.predict.instances import InputError, instance
from pipeline.predict.rows import Row

_SHOWN_COLUMNS = 20


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
    endpoint: Endpoint | ExamplesEndpoint,
    name: str,
    signature: Signature,
    defaults: Mapping[str, Any],
    separators: Mapping[str, str],
    batch_size: int,
    notes: Notes,
) -> Iterator[Prediction]:
    """Yields one prediction or error for each row, in order.

    Args:
      name: the signature's.
      defaults: what stands for a missing value, by input ("NaN" is spelled out); inputs without one are required.
      separators: what stands between several values, by input.

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
        made = [_instance(row, signature, defaults, separators, notes) for row in batch]
        good = [(row.number, one) for row, one in zip(batch, made, strict=True) if not isinstance(one, str)]
        answers = {one.number: one for one in _ask(good, lambda asked: endpoint.predict(name, asked), signature)}
        for row, one in zip(batch, made, strict=True):
            yield Prediction(row.number, {}, one) if isinstance(one, str) else answers[row.number]


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
    raise DataError(what)


def _ask(
    asked: list[tuple[int, Instance]], predict: Callable[[list[Instance]], list[Any]], signature: Signature
) -> Iterator[Prediction]:
    """Asks about all at once; where the server refuses, about either half, so that only bad rows stay unanswered."""
    if not asked:
        return
    try:
        answers = predict([one for _, one in asked])
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


def _instance(
    row: Row, signature: Signature, defaults: Mapping[str, Any], separators: Mapping[str, str], notes: Notes
) -> Instance | str:
    """Returns the row as the signature takes it, or why that cannot be."""
    if row.error:
        return row.error
    notes.rows += 1
    notes.ignored.update(set(row.columns) - set(signature.inputs))
    for name in signature.inputs:
        if name not in row.columns:
            notes.absent[name] = notes.absent.get(name, 0) + 1
        if name not in row.values and name in defaults:
            notes.filled[name] = notes.filled.get(name, 0) + 1
    try:
        return instance(row.plain(signature.inputs), signature.inputs, defaults, separators)
    except (InputError, pa.ArrowInvalid) as error:
        return str(error)
