"""The language of derived columns and labels: its grammar, its functions and their types, and syntax trees.

expression := and { or and }
and        := not { and not }                        `or`, `and`, `not`, `in` and `if` are words of the language
not        := not not | comparison
comparison := sum [ (< | <= | > | >= | == | !=) sum | in [ value { , value } ] ]
sum        := term { (+ | -) term }
term       := factor { (* | /) factor }
factor     := - factor | number | text | column | function ( expression { , expression } ) | ( expression )
column     := letters, digits and underscores, no digit first | `any text, a backtick in it written twice`
value      := [-] number | text; the values of one list are of one kind
text       := "any text, a quote in it written twice"

A value is a number or a text. What is true is 1, what is false 0. A missing operand makes the result missing, except
where the others decide it: `x and y` is 0 where either is 0, and `if` looks at the branch that it takes alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from models.errors import ExpressionError

Type = Literal["number", "text", "moment", "category", "same"]
"""How a value is read. A moment is a column of dates or seconds since 1970, or a text in ISO 8601. A category is a text
or a whole number. `same`: as the other arguments of the kind, a number where none of them is a text."""

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_DEEPEST = 100
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


@dataclass(frozen=True)
class Function:
    """What a function or an operator takes and gives.

    Attributes:
      takes: of each argument; the last one stands for all further ones.
      most: arguments; 0 for any number of them, at least as many as `takes` says.
      period: after which its values begin again; 0 where they do not.
    """

    takes: tuple[Type, ...]
    gives: Literal["number", "text", "same"]
    says: str
    most: int = 0
    period: int = 0


_NUMBERS: tuple[Type, ...] = ("number", "number")
FUNCTIONS: Mapping[str, Function] = {
    "log": Function(("number",), "number", "natural logarithm; missing below 0", most=1),
    "abs": Function(("number",), "number", "the number without its sign", most=1),
    "min": Function(_NUMBERS, "number", "the smallest"),
    "max": Function(_NUMBERS, "number", "the largest"),
    "if": Function(("number", "same", "same"), "same", "the second where the first is not 0, else the third", most=3),
    "year": Function(("moment",), "number", "the year", most=1),
    "month": Function(("moment",), "number", "1 to 12", most=1, period=12),
    "day": Function(("moment",), "number", "of the month, 1 to 31", most=1, period=31),
    "weekday": Function(("moment",), "number", "1, Monday, to 7, Sunday", most=1, period=7),
    "hour": Function(("moment",), "number", "0 to 23", most=1, period=24),
    "days": Function(("moment",), "number", "whole days since 1970-01-01", most=1),
    "days_between": Function(("moment", "moment"), "number", "from the first to the second, with a fraction", most=2),
    "cross": Function(("category", "category"), "text", "the combination of categories, as one category"),
}
OPERATORS: Mapping[str, Function] = {
    **{symbol: Function(_NUMBERS, "number", "", most=2) for symbol in ("+", "-", "*", "/", "and", "or")},
    **{symbol: Function(_NUMBERS, "number", "", most=2) for symbol in COMPARISONS},
    **{symbol: Function(("same", "same"), "number", "", most=2) for symbol in ("==", "!=")},
    "in": Function(("same", "same"), "number", ""),
    "negative": Function(("number",), "number", "", most=1),
    "not": Function(("number",), "number", "", most=1),
}
_WORDS = ("and", "or", "not", "in", "if")


@dataclass(frozen=True)
class Column:
    """A column; `at` is where it stands in the text."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Text:
    """A text."""

    value: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Call:
    """A function or an operator, and its arguments."""

    function: str
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


Node: TypeAlias = Column | Number | Text | Call


@functools.lru_cache(maxsize=256)
def parse(expression: str) -> Node:
    """Returns the syntax tree.

    Raises:
      ExpressionError: the text is not in the grammar, or a function takes no such argument; points at the character.
    """
    return _Parser(expression).whole()


def column_text(column: str) -> str:
    """Returns a column as expressions name it: in backticks unless its name may stand alone."""
    alone = re.fullmatch(r"[^\W\d]\w*", column) and column not in _WORDS
    return column if alone else f"`{column.replace('`', '``')}`"


def is_text(node: Node) -> bool:
    """Returns whether the value is a text; a lone column counts as a number."""
    if isinstance(node, Call):
        gives = (FUNCTIONS.get(node.function) or OPERATORS[node.function]).gives
        return gives == "text" or (gives == "same" and any(map(is_text, node.arguments[1:])))
    return isinstance(node, Text)


def argument_types(call: Call) -> tuple[Type, ...]:
    """Returns how each argument is read: never as `same`."""
    takes = (FUNCTIONS.get(call.function) or OPERATORS[call.function]).takes
    padded = (*takes, *takes[-1:] * (len(call.arguments) - len(takes)))
    alike = [argument for argument, kind in zip(call.arguments, padded, strict=True) if kind == "same"]
    same: Type = "text" if any(map(is_text, alike)) else "number"
    return tuple(same if kind == "same" else kind for kind in padded)


def columns(node: Node, read_as: Type = "number") -> Iterator[tuple[str, Type]]:
    """Yields each column of the tree with how it is read there, as often as it occurs."""
    if isinstance(node, Column):
        yield node.name, read_as
    elif isinstance(node, Call):
        for argument, kind in zip(node.arguments, argument_types(node), strict=True):
            yield from columns(argument, kind)


def as_cross(node: Node) -> Call | None:
    """Returns a product of columns alone as their cross; None for anything else."""
    factors: list[Node] = []
    rest: Node = node
    while isinstance(rest, Call) and rest.function == "*":
        rest, factor = rest.arguments
        factors.insert(0, factor)
    factors.insert(0, rest)
    if len(factors) < 2 or not all(isinstance(factor, Column) for factor in factors):
        return None
    return Call("cross", tuple(factors), at=factors[0].at)


class _Parser:
    """Recursive descent over the module's grammar, one token ahead."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._position = 0
        self._depth = 0
        self._advance()

    def whole(self) -> Node:
        tree = self._expression()
        if self._token["end"] is None:
            raise self._error("expected an operator or the end")
        if not any(True for _ in columns(tree)):
            raise ExpressionError(f"{self._text!r} names no column.")
        self._check(tree)
        return tree

    def _check(self, node: Node) -> None:
        """Refuses arguments of a kind that their function does not take."""
        if not isinstance(node, Call):
            return
        for argument, kind in zip(node.arguments, argument_types(node), strict=True):
            self._check(argument)
            if kind in ("moment", "category") and not (
                isinstance(argument, Column) or (kind == "moment" and isinstance(argument, Text))
            ):
                what = 'a column of dates or a date in quotes, such as "2024-03-31"' if kind == "moment" else "a column"
                raise self._refusal(argument.at, f"expected {what}")
            if (
                kind in ("number", "text")
                and not isinstance(argument, Column)
                and is_text(argument) != (kind == "text")
            ):
                raise self._refusal(argument.at, f"expected a {kind}")

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"expected at most {_DEEPEST} expressions inside one another")
        left = self._and()
        while self._word == "or":
            at = self._take()
            left = Call("or", (left, self._and()), at)
        self._depth -= 1
        return left

    def _and(self) -> Node:
        left = self._not()
        while self._word == "and":
            at = self._take()
            left = Call("and", (left, self._not()), at)
        return left

    def _not(self) -> Node:
        nots = []
        while self._word == "not":
            nots.append(self._take())
        node = self._comparison()
        for at in reversed(nots):
            node = Call("not", (node,), at)
        return node

    def _comparison(self) -> Node:
        left = self._sum()
        if self._symbol in COMPARISONS:
            symbol = self._symbol
            at = self._take()
            return Call(symbol, (left, self._sum()), at)
        if self._word == "in":
            at = self._take()
            return Call("in", (left, *self._values()), at)
        return left

    def _values(self) -> list[Node]:
        self._expect("[")
        values = [self._value(None)]
        while self._symbol == ",":
            self._take()
            values.append(self._value(values[0]))
        self._expect("]")
        return values

    def _value(self, first: Node | None) -> Node:
        at, sign = self._at, 1.0
        if self._symbol == "-":
            self._take()
            sign = -1.0
        value: Node | None = None
        if self._token["number"] is not None:
            value = Number(sign * float(self._token["number"]), at)
        elif self._token["text"] is not None and sign > 0:
            value = Text(self._token["text"].replace('""', '"'), at)
        if value is None or (first is not None and type(value) is not type(first)):
            like = "a text in double quotes" if isinstance(first, Text) else "a number"
            raise self._error(f"expected {like}" if first is not None else "expected a number or a text in quotes")
        self._advance()
        return value

    def _sum(self) -> Node:
        left = self._term()
        while self._symbol in ("+", "-"):
            symbol = self._symbol
            at = self._take()
            left = Call(symbol, (left, self._term()), at)
        return left

    def _term(self) -> Node:
        left = self._factor()
        while self._symbol in ("*", "/"):
            symbol = self._symbol
            at = self._take()
            left = Call(symbol, (left, self._factor()), at)
        return left

    def _factor(self) -> Node:
        signs = []
        while self._symbol == "-":
            signs.append(self._take())
        node = self._operand()
        for at in reversed(signs):
            node = Call("negative", (node,), at)
        return node

    def _operand(self) -> Node:
        token, at = self._token, self._at
        if self._symbol == "(":
            self._take()
            inner = self._expression()
            self._expect(")")
            return inner
        if token["number"] is not None:
            self._advance()
            return Number(float(token["number"]), at)
        if token["text"] is not None:
            self._advance()
            return Text(token["text"].replace('""', '"'), at)
        if token["quoted"] is not None:
            self._advance()
            return Column(token["quoted"].replace("``", "`"), at)
        if token["name"] is None or token["name"] in ("and", "or", "in"):
            raise self._error("expected a column, a number, a text, a function, - or (")
        self._advance()
        if self._symbol == "(":
            return self._call(token["name"], at)
        if token["name"] in _WORDS:
            raise self._error("expected (")
        return Column(token["name"], at)

    def _call(self, name: str, at: int) -> Node:
        if name not in FUNCTIONS:
            raise self._refusal(at, f"there is no function {name!r}. Functions: {', '.join(FUNCTIONS)}")
        self._take()
        arguments = [self._expression()]
        while self._symbol == ",":
            self._take()
            arguments.append(self._expression())
        function = FUNCTIONS[name]
        least = len(function.takes)
        if len(arguments) < least or (function.most and len(arguments) > function.most):
            wanted = f"{'' if function.most else 'at least '}{least} argument{'s' if least > 1 else ''}"
            raise self._refusal(at, f"{name} takes {wanted}. Received: {len(arguments)}")
        self._expect(")")
        return Call(name, tuple(arguments), at)

    def _expect(self, symbol: str) -> None:
        if self._symbol != symbol:
            raise self._error(f"expected {symbol}")
        self._take()

    @property
    def _symbol(self) -> str:
        """The symbol ahead; empty if it is another token."""
        return self._token["symbol"] or ""

    @property
    def _word(self) -> str:
        """The name ahead; empty if it is another token."""
        return self._token["name"] or ""

    @property
    def _at(self) -> int:
        return self._position - len(self._token[0].lstrip())

    def _take(self) -> int:
        """Passes the token ahead, and returns where it was."""
        at = self._at
        self._advance()
        return at

    def _advance(self) -> None:
        token = _TOKEN.match(self._text, self._position)
        if token is None:
            rest = self._text[self._position :]
            raise self._refusal(self._position + len(rest) - len(rest.lstrip()), "is not allowed")
        self._token, self._position = token, token.end()

    def _error(self, problem: str) -> ExpressionError:
        return self._refusal(self._at, problem)

    def _refusal(self, position: int, problem: str) -> ExpressionError:
        here = repr(self._text[position]) if position < len(self._text) else "the end"
        return ExpressionError(f"{self._text!r}, character {position + 1}, {here}: {problem}.")
