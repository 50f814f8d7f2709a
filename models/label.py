"""The label as a declared expression: a 0/1 column, or a comparison such as `tips > 0.2 * fare` or `churn == "Yes"`.

The language is that of models/expressions.py. One walk over the syntax tree serves Arrow and numpy arrays and
TensorFlow tensors, so that ingestion, the transform graph and the evaluation agree on every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from columnar import numbers
from models import expressions, label_grammar
from models.errors import ExpressionError, LabelError
from models.expression_values import ArrowRows, TensorRows
from models.expression_values import evaluate as evaluate_expression
from models.expressions import Column, Node, Type
from models.label_grammar import parse

Array = Any  # pyarrow.Array, numpy.ndarray or tf.Tensor: TensorFlow is not imported for a type.

NO_LABEL = -1
"""What `evaluate` answers where the label is unknown: a missing operand, or a label column that is not 0 or 1."""


def label_columns(expression: str) -> frozenset[str]:
    """Names of the columns that the label is computed from.

    Raises:
      LabelError: `expression` is not in the grammar.
    """
    return frozenset(label_grammar.columns(parse(expression)))


def is_column(expression: str) -> bool:
    """Whether the label is a column of its own rather than a comparison of others."""
    return isinstance(parse(expression), Column)


def texts(expression: str, column: str) -> tuple[str, ...]:
    """The texts that a column is compared with in a binary label; none where it is read as a number."""
    return label_grammar.texts(parse(expression), column)


def evaluate(expression: str, columns: Mapping[str, Array]) -> Array:
    """Computes the label of each row: 1, 0, or NO_LABEL; int64, (rows,).

    Args:
      expression: see models/label_grammar.py.
      columns: arrays of one length, all Arrow, all numpy or all TensorFlow; null, NaN and the empty text are missing.
        Floating point columns are rounded to float32 first, because that is what a tf.Example stores: a row keeps its
        label when it is written and read back. Arithmetic is in float64.

    Raises:
      LabelError: `expression` is not in the grammar, or a column of it is not given, is not numeric or is not text.
    """
    # A truth is 1, 0 or NaN; a column may be anything else too, which is no label.
    library, values = _computed(expression, parse(expression), columns)
    yes, no, unknown = np.int64(1), np.int64(0), np.int64(NO_LABEL)
    return library.where(library.equal(values, 1.0), yes, library.where(library.equal(values, 0.0), no, unknown))


def number(expression: str, columns: Mapping[str, Array]) -> tuple[Any, Array]:
    """Computes a numeric expression of each row: float64, NaN where an operand is missing.

    Args:
      columns: as `evaluate` takes them.

    Returns:
      The library of the arrays, the module numpy or tensorflow, and the numbers.

    Raises:
      LabelError: `expression` is no number of the grammar, or a column of it is not given or not numeric.
    """
    return _computed(expression, label_grammar.parse_number(expression), columns)


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


def _computed(expression: str, tree: Node, columns: Mapping[str, Array]) -> tuple[Any, Array]:
    """The library of the arrays (the module numpy or tensorflow) and the value of each row, float64."""
    given = {name: _given(expression, name, columns) for name in sorted(label_grammar.columns(tree))}
    for name, kind in expressions.columns(tree):
        _check(expression, name, kind, given[name])
    rows: ArrowRows | TensorRows
    if any(_is_tensor(column) for column in given.values()):
        rows = TensorRows(lambda name, is_number: _dense(given[name], is_number), ())
    else:
        rows = ArrowRows(pa.table({name: _arrow(column) for name, column in given.items()}), ())
    try:
        return rows.library, evaluate_expression(tree, rows)
    except ExpressionError as error:
        raise LabelError(f"The label {expression!r}: {error}") from error


def _is_tensor(column: Array) -> bool:
    return not isinstance(column, pa.Array | pa.ChunkedArray | np.ndarray)


def _dense(column: Any, is_number: bool) -> Any:
    """A tensor as TensorRows takes it."""
    import tensorflow as tf  # Only callers that already hold tensors come here.

    if not is_number:
        return column
    # As a tf.Example stores it; whole numbers are not rounded to 24 bits.
    return tf.cast(tf.cast(column, tf.float32) if column.dtype.is_floating else column, tf.float64)


def _arrow(column: Array) -> pa.Array | pa.ChunkedArray:
    if isinstance(column, np.ndarray):
        return pa.array(column)
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _given(expression: str, name: str, columns: Mapping[str, Array]) -> Array:
    if name not in columns:
        raise LabelError(f"The label {expression!r} needs the column {name!r}, which is not among {sorted(columns)}.")
    return columns[name]


def _check(expression: str, name: str, kind: Type, column: Array) -> None:
    """Refuses a column of another kind than the expression reads."""
    if isinstance(column, pa.Array | pa.ChunkedArray):
        found: object = column.type
        is_number, is_text = numbers.is_numeric(column.type), _is_text(column.type) or pa.types.is_null(column.type)
    elif isinstance(column, np.ndarray):
        found, is_number, is_text = column.dtype, column.dtype.kind in "biuf", column.dtype.kind in "OU"
    else:
        found, is_text = column.dtype.name, column.dtype.name == "string"
        is_number = bool(column.dtype.is_floating or column.dtype.is_integer or column.dtype.is_bool)
    if kind == "number" and not is_number:
        raise LabelError(
            f"The label {expression!r} needs numbers in {name!r}. Received: {found}. "
            "Declare the column INT or FLOAT in the schema."
        )
    if kind == "text" and not is_text:
        raise LabelError(
            f"The label {expression!r} needs text in {name!r}. Received: {found}. "
            "Compare the column with numbers, or declare it BYTES in the schema."
        )
