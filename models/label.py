"""The label as a declared expression: a 0/1 column, or one comparison such as `tips > 0.2 * fare`.

    label      := column | sum comparison sum
    comparison := < | <= | > | >= | == | !=
    sum        := columns and numbers joined by + - * / and parentheses

The same walk over the syntax tree serves numpy arrays and TensorFlow tensors, so that ingestion, the
transform graph and the evaluation agree on every row.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from columnar import numbers
from models.errors import LabelError

Array = Any  # pyarrow.Array, numpy.ndarray or tf.Tensor: TensorFlow is not imported for a type.

NO_LABEL = -1
"""What `evaluate` answers where the label is unknown: a missing operand, or a label column that is not 0 or 1."""

_GRAMMAR = (
    "Write one column of 0 and 1, or one comparison of columns and numbers joined by + - * /, "
    "such as 'tips > 0.2 * fare'."
)
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
# Functions of numpy and of tensorflow alike.
_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("less", "<"),
    ast.LtE: ("less_equal", "<="),
    ast.Gt: ("greater", ">"),
    ast.GtE: ("greater_equal", ">="),
    ast.Eq: ("equal", "=="),
    ast.NotEq: ("not_equal", "!="),
}


def label_columns(expression: str) -> frozenset[str]:
    """Names of the columns that the label is computed from.

    Raises:
      LabelError: `expression` is not in the grammar.
    """
    return frozenset(node.id for node in ast.walk(_parse(expression)) if isinstance(node, ast.Name))


def is_column(expression: str) -> bool:
    """Whether the label is a column of its own rather than a comparison of others."""
    return isinstance(_parse(expression), ast.Name)


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
        if isinstance(tree, ast.Name):
            value = values[tree.id]
            one, zero = library.equal(value, 1.0), library.equal(value, 0.0)
            return library.where(one, yes, library.where(zero, no, unknown))
        left, right = _compute(tree.left, values), _compute(tree.comparators[0], values)
        holds = getattr(library, _COMPARISONS[type(tree.ops[0])][0])(left, right)
        # A missing operand is NaN, NaN survives arithmetic, and only NaN differs from itself.
        known = library.logical_and(library.equal(left, left), library.equal(right, right))
        return library.where(known, library.where(holds, yes, no), unknown)


def _parse(expression: str) -> ast.Name | ast.Compare:
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise LabelError(f"The label expression {expression!r} cannot be parsed: {error}. {_GRAMMAR}") from error
    if isinstance(tree, ast.Name):
        return tree
    if not isinstance(tree, ast.Compare):
        raise LabelError(f"The label expression {expression!r} is neither a column nor a comparison. {_GRAMMAR}")
    if len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
        allowed = " ".join(symbol for _, symbol in _COMPARISONS.values())
        raise LabelError(f"The label expression {expression!r} needs exactly one of {allowed}. {_GRAMMAR}")
    _check_sum(tree.left, expression)
    _check_sum(tree.comparators[0], expression)
    if not any(isinstance(node, ast.Name) for node in ast.walk(tree)):
        raise LabelError(f"The label expression {expression!r} names no column. {_GRAMMAR}")
    return tree


def _check_sum(node: ast.expr, expression: str) -> None:
    match node:
        case ast.Name():
            return
        case ast.Constant(value=value) if type(value) in (int, float):
            return
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check_sum(operand, expression)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check_sum(left, expression)
            _check_sum(right, expression)
        case _:
            text = ast.unparse(node)
            raise LabelError(f"{text!r} is not allowed in the label expression {expression!r}. {_GRAMMAR}")


def _compute(node: ast.expr, values: Mapping[str, Array]) -> Array:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int() | float() as value):
            return np.float64(value)
        case ast.UnaryOp(operand=operand):
            return -_compute(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_compute(left, values), _compute(right, values))
    raise AssertionError(f"_check_sum let {ast.dump(node)} through")


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
