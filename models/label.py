"""The label as a declared expression: a 0/1 column, or one comparison such as `tips > 0.2 * fare` or `churn == "Yes"`.

    label      := name | sum comparison sum | name (== | !=) text | name in [ value { , value } ]
    comparison := < | <= | > | >= | == | !=
    sum        := term { (+ | -) term }
    term       := factor { (* | /) factor }
    factor     := - factor | number | name | ( sum )
    name       := letters, digits and underscores, no digit first | `any text, a backtick in it written twice`
    value      := text | whole number; the values of one list are of one kind
    text       := "any text, a quote in it written twice"

The same walk over the syntax tree serves Arrow and numpy arrays and TensorFlow tensors, so that ingestion, the
transform graph and the evaluation agree on every row.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from columnar import numbers
from models.errors import LabelError

Array = Any  # pyarrow.Array, numpy.ndarray or tf.Tensor: TensorFlow is not imported for a type.

NO_LABEL = -1
"""What `evaluate` answers where the label is unknown: a missing operand, or a label column that is not 0 or 1."""

_GRAMMAR = (
    "Write one column of 0 and 1, or one comparison of columns and numbers joined by + - * /, "
    "such as 'tips > 0.2 * fare', or one column and its values, such as 'churn == \"Yes\"' or 'churn in [\"Yes\", "
    '"yes"]\'. Put other names than letters, digits and underscores in backticks.'
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
    |"(?P<text>(?:[^"]|"")+)"(?!")
    |(?P<symbol><=|>=|==|!=|[-+*/()<>\[\],])
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


@dataclass(frozen=True)
class _Membership:
    """One column and values of it; `among`: whether they are the positive ones or all others are."""

    column: str
    values: tuple[str, ...] | tuple[float, ...]
    among: bool = True

    @property
    def is_text(self) -> bool:
        return isinstance(self.values[0], str)


_Label: TypeAlias = "_Column | _Comparison | _Membership"
_Sum: TypeAlias = _Column | _Number | _Negative | _Operation


def column_expression(column: str) -> str:
    """The expression of a label column: its name, in backticks unless it is a name as it is."""
    return column if re.fullmatch(r"[^\W\d]\w*", column) else f"`{column.replace('`', '``')}`"


def values_expression(column: str, values: Sequence[str | int]) -> str:
    """The expression of a label column of which these values, all texts or all whole numbers, are positive."""
    name = column_expression(column)
    written = ['"' + value.replace('"', '""') + '"' if isinstance(value, str) else str(value) for value in values]
    return f"{name} == {written[0]}" if len(written) == 1 else f"{name} in [{', '.join(written)}]"


def label_columns(expression: str) -> frozenset[str]:
    """Names of the columns that the label is computed from.

    Raises:
      LabelError: `expression` is not in the grammar.
    """
    return frozenset(_columns(_parse(expression)))


def is_column(expression: str) -> bool:
    """Whether the label is a column of its own rather than a comparison of others."""
    return isinstance(_parse(expression), _Column)


def texts(expression: str) -> tuple[str, ...]:
    """The texts that the label's column is compared with; none where the label is computed from numbers."""
    tree = _parse(expression)
    return tuple(map(str, tree.values)) if isinstance(tree, _Membership) and tree.is_text else ()


def evaluate(expression: str, columns: Mapping[str, Array]) -> Array:
    """Computes the label of each row: 1, 0, or NO_LABEL; int64, of the columns' shape.

    Args:
      expression: see the module's grammar.
      columns: numeric arrays of one shape, all Arrow, all numpy or all TensorFlow; null and NaN are missing values.
        Floating point columns are rounded to float32 first, because that is what a tf.Example stores: a row keeps its
        label when it is written and read back. Arithmetic is in float64. A column that is compared with texts is of
        Arrow or TensorFlow; null and the empty text are missing.

    Raises:
      LabelError: `expression` is not in the grammar, or a column of it is not given, is not numeric or is not text.
    """
    tree = _parse(expression)
    if isinstance(tree, _Membership) and tree.is_text:
        return _evaluate_text(expression, tree, _given(expression, tree.column, columns))
    library, values = _as_float64(expression, columns)
    yes, no, unknown = np.int64(1), np.int64(0), np.int64(NO_LABEL)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(tree, _Column):
            value = values[tree.name]
            one, zero = library.equal(value, 1.0), library.equal(value, 0.0)
            return library.where(one, yes, library.where(zero, no, unknown))
        if isinstance(tree, _Membership):
            value = values[tree.column]
            among = library.equal(value, tree.values[0])
            for other in tree.values[1:]:
                among = library.logical_or(among, library.equal(value, other))
            return library.where(library.equal(value, value), library.where(among, yes, no), unknown)
        left, right = _compute(tree.left, values), _compute(tree.right, values)
        holds = getattr(library, _COMPARISONS[tree.symbol])(left, right)
        # A missing operand is NaN, NaN survives arithmetic, and only NaN differs from itself.
        known = library.logical_and(library.equal(left, left), library.equal(right, right))
        return library.where(known, library.where(holds, yes, no), unknown)


@functools.lru_cache(maxsize=64)  # Some callers ask row by row; the tree never changes.
def _parse(expression: str) -> _Label:
    return _Parser(expression).label()


class _Parser:
    """Recursive descent over the module's grammar, one token ahead."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._position = 0
        self._depth = 0
        self._advance()

    def label(self) -> _Label:
        left = self._sum()
        if self._is_end and isinstance(left, _Column):
            return left
        if isinstance(left, _Column) and self._token["name"] == "in":
            self._advance()
            return self._ended(_Membership(left.name, self._values()), "expected the end")
        if self._is_end:
            raise self._error("expected one of < <= > >= == !=")
        if self._symbol not in _COMPARISONS:
            raise self._error("expected one of + - * / < <= > >= == !=")
        symbol = self._take()
        if self._token["text"] is not None:
            if not isinstance(left, _Column) or symbol not in ("==", "!="):
                raise self._error("a text is compared with one column, by == or !=")
            return self._ended(_Membership(left.name, (self._take_text(),), among=symbol == "=="), "expected the end")
        tree = self._ended(
            _Comparison(symbol, left, self._sum()), "expected + - * / or the end; one comparison is allowed"
        )
        if not _columns(tree):
            raise LabelError(f"The label expression {self._text!r} names no column. {_GRAMMAR}")
        return tree

    def _ended(self, tree: _Label, expected: str) -> _Label:
        if not self._is_end:
            raise self._error(expected)
        return tree

    def _values(self) -> tuple[str, ...] | tuple[float, ...]:
        """The values between brackets, all texts or all whole numbers."""
        self._expect("[")
        texts: list[str] = []
        numbers: list[float] = []
        while True:
            if self._token["text"] is not None and not numbers:
                texts.append(self._take_text())
            elif not texts:
                numbers.append(self._whole_number())
            else:
                raise self._error("expected a text in double quotes, as the values before it")
            if self._symbol != ",":
                break
            self._take()
        self._expect("]")
        return tuple(texts) or tuple(numbers)

    def _whole_number(self) -> float:
        sign = 1.0
        if self._symbol == "-":
            self._take()
            sign = -1.0
        number = self._token["number"]
        if number is None or not float(number).is_integer():
            raise self._error("expected a text in double quotes or a whole number")
        self._advance()
        return sign * float(number)

    def _expect(self, symbol: str) -> None:
        if self._symbol != symbol:
            raise self._error(f"expected {symbol}")
        self._take()

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

    def _take_text(self) -> str:
        text = self._token["text"].replace('""', '"')
        self._advance()
        return text

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


def _columns(node: _Sum | _Label) -> set[str]:
    match node:
        case _Column(name) | _Membership(name):
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
        column = _given(expression, name, columns)
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


def _given(expression: str, name: str, columns: Mapping[str, Array]) -> Array:
    if name not in columns:
        raise LabelError(f"The label {expression!r} needs the column {name!r}, which is not among {sorted(columns)}.")
    return columns[name]


def _evaluate_text(expression: str, tree: _Membership, column: Array) -> Array:
    yes, no, unknown = np.int64(tree.among), np.int64(not tree.among), np.int64(NO_LABEL)
    if isinstance(column, pa.Array | pa.ChunkedArray):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            raise LabelError(_not_text(expression, tree.column, kind))
        text = pc.fill_null(column.cast(pa.large_string()), "")
        among = pc.is_in(text, value_set=pa.array(tree.values, pa.large_string()))
        missing = pc.equal(text, "")
        return np.where(np.asarray(missing), unknown, np.where(np.asarray(among), yes, no))
    import tensorflow as tf  # Only callers that already hold tensors come here.

    if column.dtype != tf.string:
        raise LabelError(_not_text(expression, tree.column, column.dtype.name))
    among = tf.reduce_any(tf.equal(tf.expand_dims(column, -1), tf.constant(tree.values)), axis=-1)
    return tf.where(tf.equal(column, ""), unknown, tf.where(among, yes, no))


def _not_text(expression: str, name: str, kind: object) -> str:
    return (
        f"The label {expression!r} needs text in {name!r}. Received: {kind}. "
        "Compare the column with numbers, or declare it BYTES in the schema."
    )


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
