"""The label as a declared expression: a 0/1 column, or one comparison such as `tips > 0.2 * fare` or `churn == "Yes"`.

The grammar is in models/label_grammar.py. The same walk over the syntax tree serves Arrow and numpy arrays and
TensorFlow tensors, so that ingestion, the transform graph and the evaluation agree on every row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from columnar import numbers
from models import label_grammar
from models.errors import LabelError
from models.label_grammar import Column, Membership, Negative, Number, Operation, Sum, parse

Array = Any  # pyarrow.Array, numpy.ndarray or tf.Tensor: TensorFlow is not imported for a type.

NO_LABEL = -1
"""What `evaluate` answers where the label is unknown: a missing operand, or a label column that is not 0 or 1."""

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


def label_columns(expression: str) -> frozenset[str]:
    """Names of the columns that the label is computed from.

    Raises:
      LabelError: `expression` is not in the grammar.
    """
    return frozenset(label_grammar.columns(parse(expression)))


def is_column(expression: str) -> bool:
    """Whether the label is a column of its own rather than a comparison of others."""
    return isinstance(parse(expression), Column)


def texts(expression: str) -> tuple[str, ...]:
    """The texts that the label's column is compared with; none where the label is computed from numbers."""
    tree = parse(expression)
    return tuple(map(str, tree.values)) if isinstance(tree, Membership) and tree.is_text else ()


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
    tree = parse(expression)
    if isinstance(tree, Membership) and tree.is_text:
        return _evaluate_text(expression, tree, _given(expression, tree.column, columns))
    library, values = _as_float64(expression, label_grammar.columns(tree), columns)
    yes, no, unknown = np.int64(1), np.int64(0), np.int64(NO_LABEL)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(tree, Column):
            value = values[tree.name]
            one, zero = library.equal(value, 1.0), library.equal(value, 0.0)
            return library.where(one, yes, library.where(zero, no, unknown))
        if isinstance(tree, Membership):
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


def number(expression: str, columns: Mapping[str, Array]) -> tuple[Any, Array]:
    """Computes a numeric expression of each row: float64, NaN where an operand is missing.

    Args:
      columns: as `evaluate` takes them.

    Returns:
      The library of the arrays, the module numpy or tensorflow, and the numbers.

    Raises:
      LabelError: `expression` is no number of the grammar, or a column of it is not given or not numeric.
    """
    tree = label_grammar.parse_number(expression)
    library, values = _as_float64(expression, label_grammar.columns(tree), columns)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return library, _compute(tree, values)


def class_index(expression: str, classes: Sequence[str], columns: Mapping[str, Array]) -> Array:
    """The index of each row's class, int64; NO_LABEL where it is missing or none of `classes`.

    Args:
      expression: a column of texts, or a number.
      classes: texts; a number is of the class that is written like it.
      columns: as `evaluate` takes them; a column of texts is of Arrow or TensorFlow.

    Raises:
      LabelError: a column is not given, or a number is compared with classes that are no numbers.
    """
    tree = label_grammar.parse_number(expression)
    if isinstance(tree, Column):
        column = _given(expression, tree.name, columns)
        if isinstance(column, pa.Array | pa.ChunkedArray):
            if _is_text(column.type):
                found = pc.index_in(column.cast(pa.large_string()), value_set=pa.array(classes, pa.large_string()))
                return np.asarray(pc.fill_null(found, NO_LABEL)).astype(np.int64)
        elif not isinstance(column, np.ndarray) and column.dtype.name == "string":
            return _first_equal(column, classes)
    try:
        numbers_of_classes = [float(name) for name in classes]
    except ValueError as error:
        raise LabelError(
            f"The label {expression!r} is a number, and the classes are not: {', '.join(classes)}. "
            "Write whole numbers, or declare the column BYTES in the schema."
        ) from error
    library, values = number(expression, columns)
    if library is np:
        equal = values[..., None] == np.array(numbers_of_classes)
        return np.where(equal.any(axis=-1), equal.argmax(axis=-1), NO_LABEL).astype(np.int64)
    return _first_equal(values, numbers_of_classes)


def _first_equal(tensor: Any, values: Sequence[str] | Sequence[float]) -> Any:
    """The index of each element among `values`, NO_LABEL where it is none of them; int64."""
    import tensorflow as tf  # Only callers that already hold tensors come here.

    equal = tf.equal(tf.expand_dims(tensor, -1), tf.constant(values, tensor.dtype))
    index = tf.argmax(tf.cast(equal, tf.int32), axis=-1, output_type=tf.int64)
    return tf.where(tf.reduce_any(equal, axis=-1), index, tf.constant(NO_LABEL, tf.int64))


def _is_text(arrow_type: pa.DataType) -> bool:
    kind = arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _compute(node: Sum, values: Mapping[str, Array]) -> Array:
    match node:
        case Column(name):
            return values[name]
        case Number(value):
            return np.float64(value)
        case Negative(operand):
            return -_compute(operand, values)
        case Operation(symbol, left, right):
            return _ARITHMETIC[symbol](_compute(left, values), _compute(right, values))


def _as_float64(expression: str, names: Collection[str], columns: Mapping[str, Array]) -> tuple[Any, dict[str, Array]]:
    """The library of the arrays (the module numpy or tensorflow) and the label's columns as float64."""
    values = {}
    library: Any = np
    for name in sorted(names):
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


def _evaluate_text(expression: str, tree: Membership, column: Array) -> Array:
    yes, no, unknown = np.int64(tree.among), np.int64(not tree.among), np.int64(NO_LABEL)
    if isinstance(column, pa.Array | pa.ChunkedArray):
        if not (_is_text(column.type) or pa.types.is_null(column.type)):
            raise LabelError(_not_text(expression, tree.column, column.type))
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
