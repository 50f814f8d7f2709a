"""The label as a declared expression: a 0/1 column, or one comparison such as `tips > 0.2 * fare`.

    label      := name | sum comparison sum
    comparison := < | <= | > | >= | == | !=
    sum        := term { (+ | -) term }
    term       := factor { (* | /) factor }
    factor     := - factor | number | name | ( sum )
    name       := letters, digits and underscores, no digit first | `any text, a backtick in it written twice`

The same walk over the syntax tree serves numpy arrays and TensorFlow tensors, so that ingestion, the
transform graph and the evaluation agree on every row.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from columnar import numbers
from models.errors import LabelError

Array = Any  # pyarrow.Array, numpy.ndarray or tf.Tensor: TensorFlow is not imported for a type.

NO_LABEL = -1
"""What `evaluate` answers where the label is unknown: a missing operand, or a label column that is not 0 or 1."""

_GRAMMAR = (
    "Write one column of 0 and 1, or one comparison of columns and numbers joined by + - * /, "
    "such as 'tips > 0.2 * fare'. Put other names than letters, digits and underscores in backticks."
)
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
# Functions of numpy and of tensorflow alike.
_COMPARISONS = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "==": "equal",
    "!=": "not_equal",
}
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<name>[^\W\d]\w*)
    |`(?P<quoted>(?:[^`]|``)+)`(?!`)
    |(?P<symbol><=|>=|==|!=|[-+*/()<>])
    |(?P<end>$)
    )""",
    re.VERBOSE,
)
_DEEPEST = 100


@dataclass(frozen=True)
class _Column:
    name: str


@dataclass(frozen=True)
class _Number:
    value: float


@dataclass(frozen=True)
class _Negative:
    operand: _Sum


@dataclass(frozen=True)
class _Operation:
    symbol: str
    left: _Sum
    right: _Sum


@dataclass(frozen=True)
class _Comparison:
    symbol: str
    left: _Sum
    right: _Sum


_Sum: TypeAlias = _Column | _Number | _Negative | _Operation


def column_expression(column: str) -> str:
    """The expression of a label column: its name, in backticks unless it is a name as it is."""
    return column if re.fullmatch(r"[^\W\d]\w*", column) else f"`{column.replace('`', '``')}`"


def label_columns(expression: str) -> frozenset[str]:
    """Names of the columns that the label is computed from.

    Raises:
      LabelError: `expression` is not in the grammar.
    """
    return frozenset(_columns(_parse(expression)))


def is_column(expression: str) -> bool:
    """Whether the label is a column of its own rather than a comparison of others."""
    return isinstance(_parse(expression), _Column)


def evaluate(expression: str, columns: Mapping[str, Array]) -> Array:
    """Computes the label of each row: 1, 0, or NO_LABEL; int64, of the columns' shape.

    Args:
      expression: see the module's grammar.
      columns: numeric arrays of one shape, all Arrow, all numpy or all TensorFlow; null and NaN are missing values.
        Floating point columns are rounded to float32 first, because that is what a tf.Example stores: a row keeps its
        label when it is written and read back. Arithmetic is in float64.

    Raises:
      LabelError: `expression` is not in the grammar, or a column of it is not given or is not numeric.
    """
    tree = _parse(expression)
    library, values = _as_float64(expression, columns)
    yes, no, unknown = np.int64(1), np.int64(0), np.int64(NO_LABEL)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(tree, _Column):
            value = values[tree.name]
            one, zero = library.equal(value, 1.0), library.equal(value, 0.0)
            return library.where(one, yes, library.where(zero, no, unknown))
        left, right = _compute(tree.left, values), _compute(tree.right, values)
        holds = getattr(library, _COMPARISONS[tree.symbol])(left, right)
        # A missing operand is NaN, NaN survives arithmetic, and only NaN differs from itself.
        known = library.logical_and(library.equal(left, left), library.equal(right, right))
        return library.where(known, library.where(holds, yes, no), unknown)


def _parse(expression: str) -> _Column | _Comparison:
    return _Parser(expression).label()


class _Parser:
    """Recursive descent over the module's grammar, one token ahead."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._position = 0
        self._depth = 0
        self._advance()

    def label(self) -> _Column | _Comparison:
        left = self._sum()
        if self._is_end and isinstance(left, _Column):
            return left
        if self._is_end:
            raise self._error("expected one of < <= > >= == !=")
        if self._symbol not in _COMPARISONS:
            raise self._error("expected one of + - * / < <= > >= == !=")
        symbol = self._take()
        tree = _Comparison(symbol, left, self._sum())
        if not self._is_end:
            raise self._error("expected + - * / or the end; one comparison is allowed")
        if not _columns(tree):
            raise LabelError(f"The label expression {self._text!r} names no column. {_GRAMMAR}")
        return tree

    def _sum(self) -> _Sum:
        left = self._term()
        while self._symbol in ("+", "-"):
            left = _Operation(self._take(), left, self._term())
        return left

    def _term(self) -> _Sum:
        left = self._factor()
        while self._symbol in ("*", "/"):
            left = _Operation(self._take(), left, self._factor())
        return left

    def _factor(self) -> _Sum:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"expected at most {_DEEPEST} parentheses and signs inside one another")
        try:
            if self._symbol == "-":
                self._take()
                return _Negative(self._factor())
            if self._symbol == "(":
                self._take()
                inner = self._sum()
                if self._symbol != ")":
                    raise self._error("expected + - * / or )")
                self._take()
                return inner
        finally:
            self._depth -= 1
        token = self._token
        if token["number"] is not None:
            self._advance()
            return _Number(float(token["number"]))
        if token["name"] is not None or token["quoted"] is not None:
            self._advance()
            return _Column(token["name"] or token["quoted"].replace("``", "`"))
        raise self._error("expected a column, a number, - or (")

    @property
    def _symbol(self) -> str:
        """The symbol ahead; empty if it is another token."""
        return self._token["symbol"] or ""

    @property
    def _is_end(self) -> bool:
        return self._token["end"] is not None

    def _take(self) -> str:
        symbol = self._symbol
        self._advance()
        return symbol

    def _advance(self) -> None:
        token = _TOKEN.match(self._text, self._position)
        if token is None:
            rest = self._text[self._position :]
            raise self._refusal(self._position + len(rest) - len(rest.lstrip()), "is not allowed")
        self._token, self._position = token, token.end()

    def _error(self, expected: str) -> LabelError:
        return self._refusal(self._position - len(self._token[0].lstrip()), expected)

    def _refusal(self, position: int, problem: str) -> LabelError:
        here = repr(self._text[position]) if position < len(self._text) else "the end"
        where = f"character {position + 1}, {here}"
        return LabelError(f"The label expression {self._text!r} cannot be parsed: {where}: {problem}. {_GRAMMAR}")


def _columns(node: _Sum | _Comparison) -> set[str]:
    match node:
        case _Column(name):
            return {name}
        case _Negative(operand):
            return _columns(operand)
        case _Operation(_, left, right) | _Comparison(_, left, right):
            return _columns(left) | _columns(right)
    return set()


def _compute(node: _Sum, values: Mapping[str, Array]) -> Array:
    match node:
        case _Column(name):
            return values[name]
        case _Number(value):
            return np.float64(value)
        case _Negative(operand):
            return -_compute(operand, values)
        case _Operation(symbol, left, right):
            return _ARITHMETIC[symbol](_compute(left, values), _compute(right, values))


def _as_float64(expression: str, columns: Mapping[str, Array]) -> tuple[Any, dict[str, Array]]:
    """The library of the arrays (the module numpy or tensorflow) and the label's columns as float64."""
    values = {}
    library: Any = np
    for name in sorted(label_columns(expression)):
        if name not in columns:
            raise LabelError(
                f"The label {expression!r} needs the column {name!r}, which is not among {sorted(columns)}."
            )
        column = columns[name]
        if isinstance(column, pa.Array | pa.ChunkedArray):
            if not numbers.is_numeric(column.type):
                raise LabelError(_not_numeric(expression, name, column.type))
            values[name] = numbers.as_float64(column)
        elif isinstance(column, np.ndarray):
            if column.dtype.kind not in "biuf":
                raise LabelError(_not_numeric(expression, name, column.dtype))
            with np.errstate(over="ignore"):
                column = column.astype(np.float32) if column.dtype.kind == "f" else column
            values[name] = column.astype(np.float64)
        else:
            library, values[name] = _tensor_as_float64(name, expression, column)
    return library, values


def _not_numeric(expression: str, name: str, kind: object) -> str:
    return (
        f"The label {expression!r} needs numbers in {name!r}. Received: {kind}. "
        "Declare the column INT or FLOAT in the schema."
    )


def _tensor_as_float64(name: str, expression: str, column: Any) -> tuple[Any, Any]:
    import tensorflow as tf  # Only callers that already hold tensors come here.

    if not (column.dtype.is_floating or column.dtype.is_integer or column.dtype.is_bool):
        raise LabelError(_not_numeric(expression, name, column.dtype.name))
    if column.dtype.is_floating:
        column = tf.cast(column, tf.float32)
    return tf, tf.cast(column, tf.float64)
