"""Label expressions: what the language of models/expressions.py says that is true or false, a number, or one column.

A binary label is one column, or a truth: a comparison, `in`, `and`, `or`, `not`. A label of another task, and a weight,
is a number or one column.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from models import expressions
from models.errors import ExpressionError, LabelError
from models.expressions import COMPARISONS, Call, Column, Node, Text, column_text

_HINT = (
    "Write one column of 0 and 1, or a comparison of columns and numbers joined by + - * /, "
    "such as 'tips > 0.2 * fare', or one column and its values, such as 'churn == \"Yes\"' or 'churn in [\"Yes\", "
    '"yes"]\'. Put other names than letters, digits and underscores in backticks.'
)
_TRUTHS = (*COMPARISONS, "in", "and", "or", "not")


def column_expression(column: str) -> str:
    """The expression of a label column: its name, in backticks unless it is a name as it is."""
    return column_text(column)


def values_expression(column: str, values: Sequence[str | int]) -> str:
    """The expression of a label column of which these values, all texts or all whole numbers, are positive."""
    name = column_expression(column)
    written = ['"' + value.replace('"', '""') + '"' if isinstance(value, str) else str(value) for value in values]
    return f"{name} == {written[0]}" if len(written) == 1 else f"{name} in [{', '.join(written)}]"


@functools.lru_cache(maxsize=64)  # Some callers ask row by row; the tree never changes.
def parse(expression: str) -> Node:
    """Returns the syntax tree of a binary label.

    Raises:
      LabelError: `expression` is not in the grammar, or is a number; points at the character.
    """
    tree = _tree(expression)
    if not isinstance(tree, Column) and not _is_truth(tree):
        raise LabelError(f"The label expression {expression!r}: expected a comparison, or one column. {_HINT}")
    return tree


@functools.lru_cache(maxsize=64)
def parse_number(expression: str) -> Node:
    """Returns the syntax tree of a number: a column, or columns and numbers joined by operators and functions.

    Raises:
      LabelError: `expression` is not in the grammar, or no number; points at the character.
    """
    tree = _tree(expression)
    if expressions.is_text(tree) or _is_truth(tree):
        what = "a text" if expressions.is_text(tree) else "a comparison"
        raise LabelError(f"The expression {expression!r}: expected a number and not {what}.")
    return tree


def is_number(expression: str) -> bool:
    """Whether an expression is a number, and neither a comparison nor a lone column, which may hold either."""
    tree = _tree(expression)
    return not (isinstance(tree, Column) or _is_truth(tree) or expressions.is_text(tree))


def columns(node: Node) -> set[str]:
    """Returns the names of the columns in a tree."""
    return {name for name, _ in expressions.columns(node)}


def texts(node: Node, column: str) -> tuple[str, ...]:
    """Returns the texts that a column is compared with, in their order."""
    if not isinstance(node, Call):
        return ()
    if node.function in ("==", "!=", "in") and any(Column(column) == one for one in node.arguments):
        return tuple(one.value for one in node.arguments if isinstance(one, Text))
    return tuple(text for argument in node.arguments for text in texts(argument, column))


def _tree(expression: str) -> Node:
    try:
        return expressions.parse(expression)
    except ExpressionError as error:
        raise LabelError(f"The label expression {error} {_HINT}") from error


def _is_truth(node: Node) -> bool:
    return isinstance(node, Call) and node.function in _TRUTHS
