"""The grammar of label expressions, and their syntax trees.

label      := name | sum comparison sum | name (== | !=) text | name in [ value { , value } ]
comparison := < | <= | > | >= | == | !=
sum        := term { (+ | -) term }
term       := factor { (* | /) factor }
factor     := - factor | number | name | ( sum )
name       := letters, digits and underscores, no digit first | `any text, a backtick in it written twice`
value      := text | whole number; the values of one list are of one kind
text       := "any text, a quote in it written twice"
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from models.errors import LabelError

_GRAMMAR = (
    "Write one column of 0 and 1, or one comparison of columns and numbers joined by + - * /, "
    "such as 'tips > 0.2 * fare', or one column and its values, such as 'churn == \"Yes\"' or 'churn in [\"Yes\", "
    '"yes"]\'. Put other names than letters, digits and underscores in backticks.'
)
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
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_DEEPEST = 100


@dataclass(frozen=True)
class Column:
    """A column."""

    name: str


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True)
class Negative:
    """A sum with its sign turned."""

    operand: Sum


@dataclass(frozen=True)
class Operation:
    """Two sums joined by + - * or /."""

    symbol: str
    left: Sum
    right: Sum


@dataclass(frozen=True)
class Comparison:
    """Two sums and how they are compared."""

    symbol: str
    left: Sum
    right: Sum


@dataclass(frozen=True)
class Membership:
    """One column and values of it; `among`: whether they are the positive ones or all others are."""

    column: str
    values: tuple[str, ...] | tuple[float, ...]
    among: bool = True

    @property
    def is_text(self) -> bool:
        """Whether the values are texts, and not whole numbers."""
        return isinstance(self.values[0], str)


Label: TypeAlias = "Column | Comparison | Membership"


Sum: TypeAlias = Column | Number | Negative | Operation


def column_expression(column: str) -> str:
    """The expression of a label column: its name, in backticks unless it is a name as it is."""
    return column if re.fullmatch(r"[^\W\d]\w*", column) else f"`{column.replace('`', '``')}`"


def values_expression(column: str, values: Sequence[str | int]) -> str:
    """The expression of a label column of which these values, all texts or all whole numbers, are positive."""
    name = column_expression(column)
    written = ['"' + value.replace('"', '""') + '"' if isinstance(value, str) else str(value) for value in values]
    return f"{name} == {written[0]}" if len(written) == 1 else f"{name} in [{', '.join(written)}]"


@functools.lru_cache(maxsize=64)  # Some callers ask row by row; the tree never changes.
def parse(expression: str) -> Label:
    """Returns the syntax tree of a label.

    Raises:
      LabelError: `expression` is not in the grammar; points at the character.
    """
    return _Parser(expression).label()


@functools.lru_cache(maxsize=64)
def parse_number(expression: str) -> Sum:
    """Returns the syntax tree of a number: a column, or columns and numbers joined by + - * /.

    Raises:
      LabelError: `expression` is not in the grammar, or compares; points at the character.
    """
    return _Parser(expression).number()


class _Parser:
    """Recursive descent over the module's grammar, one token ahead."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._position = 0
        self._depth = 0
        self._advance()

    def label(self) -> Label:
        left = self._sum()
        if self._is_end and isinstance(left, Column):
            return left
        if isinstance(left, Column) and self._token["name"] == "in":
            self._advance()
            return self._ended(Membership(left.name, self._values()), "expected the end")
        if self._is_end:
            raise self._error("expected one of < <= > >= == !=")
        if self._symbol not in COMPARISONS:
            raise self._error("expected one of + - * / < <= > >= == !=")
        symbol = self._take()
        if self._token["text"] is not None:
            if not isinstance(left, Column) or symbol not in ("==", "!="):
                raise self._error("a text is compared with one column, by == or !=")
            return self._ended(Membership(left.name, (self._take_text(),), among=symbol == "=="), "expected the end")
        tree = self._ended(
            Comparison(symbol, left, self._sum()), "expected + - * / or the end; one comparison is allowed"
        )
        if not columns(tree):
            raise LabelError(f"The label expression {self._text!r} names no column. {_GRAMMAR}")
        return tree

    def number(self) -> Sum:
        tree = self._sum()
        if not self._is_end:
            raise self._error("expected + - * / or the end, since it is a number and not a comparison")
        if not columns(tree):
            raise LabelError(f"The expression {self._text!r} names no column. {_GRAMMAR}")
        return tree

    def _ended(self, tree: Label, expected: str) -> Label:
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

    def _sum(self) -> Sum:
        left = self._term()
        while self._symbol in ("+", "-"):
            left = Operation(self._take(), left, self._term())
        return left

    def _term(self) -> Sum:
        left = self._factor()
        while self._symbol in ("*", "/"):
            left = Operation(self._take(), left, self._factor())
        return left

    def _factor(self) -> Sum:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"expected at most {_DEEPEST} parentheses and signs inside one another")
        try:
            if self._symbol == "-":
                self._take()
                return Negative(self._factor())
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
            return Number(float(token["number"]))
        if token["name"] is not None or token["quoted"] is not None:
            self._advance()
            return Column(token["name"] or token["quoted"].replace("``", "`"))
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


def columns(node: Sum | Label) -> set[str]:
    """Returns the names of the columns in a tree."""
    match node:
        case Column(name) | Membership(name):
            return {name}
        case Negative(operand):
            return columns(operand)
        case Operation(_, left, right) | Comparison(_, left, right):
            return columns(left) | columns(right)
    return set()
