"""Expressions computed row by row: over Arrow columns and over TensorFlow tensors by one walk.

A number is float64, NaN where it is missing; a text is "" there. Floating point columns are rounded to float32 first,
because that is what a tf.Example stores and a client sends; arithmetic is in float64.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from columnar import numbers
from models import moments
from models.errors import ExpressionError
from models.expressions import Call, Column, Node, Number, Text, Type, argument_types

Values = Any  # numpy.ndarray and pyarrow.Array, or tf.Tensor: TensorFlow is not imported for a type.
CROSS = " × "
"""Between the parts of a cross."""

_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PARTS: Mapping[str, Callable[[Any, Any], Any]] = {
    "year": lambda library, seconds: moments.civil(library, _days(library, seconds))[0],
    "month": lambda library, seconds: moments.civil(library, _days(library, seconds))[1],
    "day": lambda library, seconds: moments.civil(library, _days(library, seconds))[2],
    "weekday": lambda library, seconds: _modulo(library, _days(library, seconds) + 3.0, 7.0) + 1.0,
    "hour": lambda library, seconds: library.floor(_modulo(library, seconds, moments.DAY) / 3600.0),
    "days": lambda library, seconds: _days(library, seconds),
}


class Rows(Protocol):
    """Columns of one library, and what it does with texts."""

    library: Any  # The module numpy or tensorflow.

    def column(self, name: str, kind: Type) -> Values:
        """Returns a column: float64 for a number or a moment, texts for a text or a category."""

    def constant(self, value: str) -> Values:
        """Returns a text that compares with texts of every row."""

    def equal(self, left: Values, right: Values) -> Values:
        """Returns where two texts are equal."""

    def choose(self, condition: Values, left: Values, right: Values) -> Values:
        """Returns the left text where the condition holds, else the right one."""

    def join(self, parts: Sequence[Values]) -> Values:
        """Returns the texts of each row with CROSS between them."""

    def moment(self, text: str) -> Values:
        """Returns the seconds since 1970 of a text, float64."""


def evaluate(node: Node, rows: Rows, kind: Type = "number") -> Values:
    """Computes an expression of each row.

    Raises:
      ExpressionError: a column is not there, or is of a kind that the expression cannot read.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _evaluate(node, rows, kind)


def _evaluate(node: Node, rows: Rows, kind: Type) -> Values:
    match node:
        case Column(name):
            return rows.column(name, kind)
        case Number(value):
            return np.float64(value)
        case Text(value):
            return rows.moment(value) if kind == "moment" else rows.constant(value)
        case Call(function, arguments):
            kinds = argument_types(node)
            values = [_evaluate(one, rows, of_one) for one, of_one in zip(arguments, kinds, strict=True)]
            return _call(function, values, kinds, rows)


def _call(function: str, values: list[Values], kinds: Sequence[Type], rows: Rows) -> Values:
    library = rows.library
    if function in _PARTS:
        return _PARTS[function](library, values[0])
    match function:
        case "+" | "-" | "*" | "/":
            return _ARITHMETIC[function](*values)
        case "negative":
            return -values[0]
        case "log":
            return (np.log if library is np else library.math.log)(values[0])
        case "abs":
            return library.abs(values[0])
        case "min" | "max":
            smaller = _ARITHMETIC["<" if function == "min" else ">"]
            result = values[0]
            for other in values[1:]:
                chosen = library.where(smaller(result, other), result, other)
                result = library.where(_known(library, result, other), chosen, np.float64(np.nan))
            return result
        case "days_between":
            return (values[1] - values[0]) / moments.DAY
        case "cross":
            return rows.join(values)
        case "if":
            return _choose(values, kinds[1], rows)
        case "and" | "or":
            return _decide(library, values, np.float64(function == "or"))
        case "not":
            return _truth(library, library.equal(values[0], 0.0), _known(library, values[0]))
        case "<" | "<=" | ">" | ">=":
            return _truth(library, _ARITHMETIC[function](*values), _known(library, *values))
    return _compare(function, values, kinds[0], rows)


def _compare(function: str, values: list[Values], kind: Type, rows: Rows) -> Values:
    """`==`, `!=` and `in`, of numbers or texts."""
    library = rows.library
    equal = rows.equal if kind == "text" else library.equal
    among = equal(values[0], values[1])
    for other in values[2:]:
        among = library.logical_or(among, equal(values[0], other))
    if kind == "text":
        missing = equal(values[0], rows.constant(""))
        if function != "in":
            missing = library.logical_or(missing, equal(values[1], rows.constant("")))
        known = library.logical_not(missing)
    else:
        known = _known(library, *(values[:1] if function == "in" else values))
    return _truth(library, library.logical_not(among) if function == "!=" else among, known)


def _choose(values: list[Values], kind: Type, rows: Rows) -> Values:
    library = rows.library
    condition, left, right = values
    known, no = _known(library, condition), library.equal(condition, 0.0)
    if kind == "text":
        return rows.choose(known, rows.choose(no, right, left), rows.constant(""))
    return library.where(known, library.where(no, right, left), np.float64(np.nan))


def _decide(library: Any, values: list[Values], decisive: np.float64) -> Values:
    """`and` where 0 decides, `or` where 1 does; missing where none decides and one is missing."""
    truths = [_truth(library, library.not_equal(value, 0.0), _known(library, value)) for value in values]
    decided = library.logical_or(*(library.equal(truth, decisive) for truth in truths))
    missing = library.logical_not(_known(library, *truths))
    rest = library.where(missing, np.float64(np.nan), 1.0 - decisive)
    return library.where(decided, decisive, rest)


def _known(library: Any, *values: Values) -> Values:
    """Where none is missing: only NaN differs from itself."""
    known = library.equal(values[0], values[0])
    for other in values[1:]:
        known = library.logical_and(known, library.equal(other, other))
    return known


def _truth(library: Any, holds: Values, known: Values) -> Values:
    return library.where(known, library.where(holds, np.float64(1.0), np.float64(0.0)), np.float64(np.nan))


def _days(library: Any, seconds: Values) -> Values:
    return library.floor(seconds / moments.DAY)


def _modulo(library: Any, x: Values, period: float) -> Values:
    return x - library.floor(x / period) * period


def arrow_column(node: Node, table: pa.Table | pa.RecordBatch, as_stored: Collection[str]) -> pa.Array:
    """Returns an expression of flat Arrow columns as a column: float64 or large_string, null where missing.

    A lone column is itself.

    Args:
      as_stored: see ArrowRows.

    Raises:
      ExpressionError: as `evaluate`.
    """
    rows = ArrowRows(table, as_stored)
    if isinstance(node, Column):
        return rows.plain(node.name)
    values = evaluate(node, rows)
    if isinstance(values, np.ndarray):
        return pa.array(values, mask=np.isnan(values))
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)


class ArrowRows:
    """Flat Arrow columns.

    Args:
      as_stored: columns that a client sends as they are stored: among whole numbers, -1 is missing.
    """

    def __init__(self, table: pa.Table | pa.RecordBatch, as_stored: Collection[str]) -> None:
        self.library: Any = np
        self._table, self._as_stored = table, as_stored

    def column(self, name: str, kind: Type) -> Values:
        """See Rows."""
        column = self.plain(name)
        whole, empty = pa.types.is_integer(column.type), pa.types.is_null(column.type)
        if kind == "number":
            if not numbers.is_numeric(column.type):
                raise ExpressionError(_unlike(name, "a number", "INT or FLOAT", column.type))
            return _number(np, numbers.as_float64(column), name in self._as_stored)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or whole or empty):
            raise ExpressionError(_unlike(name, f"a {kind}", "BYTES or INT", column.type))
        if kind == "moment":
            return moments.from_arrow(column)
        text = pc.fill_null(column.cast(pa.large_string()), "")
        return pc.if_else(pc.equal(text, "-1"), "", text) if whole else text

    def plain(self, name: str) -> pa.Array:
        """Returns a column as it is.

        Raises:
          ExpressionError: it is not there.
        """
        index = self._table.schema.get_field_index(name)
        if index < 0:
            names = ", ".join(self._table.schema.names)
            raise ExpressionError(f"The column {name!r} is not in the data. Its columns: {names}.")
        column = self._table.column(index)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()  # Arrow gives an array, or chunks of them.
        return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column

    def constant(self, value: str) -> Values:
        """See Rows."""
        return pa.scalar(value, pa.large_string())

    def equal(self, left: Values, right: Values) -> Values:
        """See Rows."""
        return np.asarray(pc.equal(self._spread(left), self._spread(right)))

    def choose(self, condition: Values, left: Values, right: Values) -> Values:
        """See Rows."""
        return pc.if_else(self._spread(pa.array(np.atleast_1d(condition))), self._spread(left), self._spread(right))

    def join(self, parts: Sequence[Values]) -> Values:
        """See Rows."""
        joined = pc.binary_join_element_wise(*parts, pa.scalar(CROSS, pa.large_string()))
        for part in parts:
            joined = pc.if_else(pc.equal(part, ""), "", joined)
        return joined

    def moment(self, text: str) -> Values:
        """See Rows."""
        return moments.from_arrow(pa.array([text]))[0]

    def _spread(self, value: Values) -> Values:
        """A value of every row, also where it is one for all."""
        if isinstance(value, pa.Scalar):
            return pa.array([value.as_py()] * self._table.num_rows, value.type)
        return value.take(pa.array(np.zeros(self._table.num_rows, np.int64))) if len(value) == 1 else value


class TensorRows:
    """Columns of a batch of tensors.

    Args:
      read: a column as a dense tensor, (rows,): float64 with NaN if a number is asked for, else string or int64.
      as_stored: see ArrowRows.
    """

    def __init__(self, read: Callable[[str, bool], Any], as_stored: Collection[str]) -> None:
        import tensorflow as tf  # Only callers that already hold tensors come here.

        self.library: Any = tf
        self._read, self._as_stored = read, as_stored

    def column(self, name: str, kind: Type) -> Values:
        """See Rows."""
        tf = self.library
        values = self._read(name, kind == "number")
        if kind == "number":
            return _number(tf, values, name in self._as_stored)
        if kind == "moment":
            return moments.from_tensor(values)
        if values.dtype == tf.string:
            return values
        return tf.where(tf.equal(values, -1), "", tf.strings.as_string(values))

    def constant(self, value: str) -> Values:
        """See Rows."""
        return self.library.constant(value)

    def equal(self, left: Values, right: Values) -> Values:
        """See Rows."""
        return self.library.equal(left, right)

    def choose(self, condition: Values, left: Values, right: Values) -> Values:
        """See Rows."""
        return self.library.where(condition, left, right)

    def join(self, parts: Sequence[Values]) -> Values:
        """See Rows."""
        tf = self.library
        joined = tf.strings.join(list(parts), CROSS)
        for part in parts:
            joined = tf.where(tf.equal(part, ""), "", joined)
        return joined

    def moment(self, text: str) -> Values:
        """See Rows."""
        return moments.from_arrow(pa.array([text]))[0]


def _number(library: Any, values: Values, as_stored: bool) -> Values:
    return library.where(library.equal(values, -1.0), np.float64(np.nan), values) if as_stored else values


def _unlike(name: str, wanted: str, types: str, received: object) -> str:
    return f"The column {name!r} is used as {wanted}. Received: {received}. Declare it {types} in the schema."
