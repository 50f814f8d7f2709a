"""Which columns a file must have, may have and has, and how its values become flat ones."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar.examples import flat_schema
from models.target import Target, is_known
from pipeline.ingest import as_text
from pipeline.ingest.errors import ColumnsError, IngestError, LabelValueError, ValueTypeError

KIND_NAMES = {"int64": "INT", "double": "FLOAT", "large_string": "BYTES (UTF-8 text)"}


@dataclass(frozen=True)
class Columns:
    """What the schema and the label want of a file.

    Attributes:
      flat: names and Arrow types, in the schema's order.
      required: columns that a file may not lack.
      label: columns that label and weight are computed from; a row that lacks one has no label.
      label_only: those of `label` that are no features; a span without any of them is unlabelled.
      target: how the label is computed from `label`; None where there is none.
    """

    flat: pa.Schema
    required: frozenset[str]
    label: frozenset[str] = field(default=frozenset())
    label_only: frozenset[str] = field(default=frozenset())
    target: Target | None = None

    def without_label(self) -> "Columns":
        """Returns the same for rows whose label nobody needs: it may be missing, or any value."""
        return replace(self, label=frozenset(), label_only=frozenset(), target=None)


def columns_of(schema: schema_pb2.Schema, label: Target | str = "", features: Collection[str] = ()) -> Columns:
    """Returns what a file must look like.

    Args:
      schema: a feature is required where its presence asks for a count or a fraction above 0.
      label: what is predicted, or a binary label's expression; empty where there is none.
      features: columns that the model takes; a label column that is none of them may be absent from a whole span.
    """
    required = {
        feature.name
        for feature in schema.feature
        if feature.presence.min_fraction > 0 or feature.presence.min_count > 0
    }
    target = Target(label=label) if isinstance(label, str) and label else label or None
    label_columns = target.columns if isinstance(target, Target) else frozenset()
    label_only = label_columns - frozenset(features)
    return Columns(
        flat=flat_schema(schema),
        required=frozenset((required | label_columns) - label_only),
        label=label_columns,
        label_only=label_only,
        target=target if isinstance(target, Target) else None,
    )


def check_columns(found: Sequence[str], columns: Columns, path: str, line: int | None = None) -> bool:
    """Returns whether the file is labelled.

    Raises:
      ColumnsError: a column is there twice, or missing although it is required; names the first. Columns that the
        schema does not have are read over; see `unexpected`.
    """
    for name, count in Counter(found).items():
        if count > 1:
            raise ColumnsError(f"the column is there {count} times. Keep one.", path=path, line=line, column=name)
    if found and not set(found) & set(columns.flat.names):
        what = f"no column of the schema is here. Expected: {', '.join(columns.flat.names)}. Found: {', '.join(found)}."
        raise ColumnsError(what, path=path, line=line)
    for name in columns.flat.names:
        if name in columns.required and name not in found:
            raise ColumnsError(
                f"the column is missing. Found: {', '.join(found)}. "
                "Add it, or let the schema's presence say that it is optional.",
                path=path,
                line=line,
                column=name,
            )
    return columns.label_only <= set(found)


def unexpected(found: Collection[str], columns: Columns) -> tuple[str, ...]:
    """Returns the columns of a file that the schema does not have, in the file's order; nothing reads them."""
    return tuple(name for name in found if name not in columns.flat.names)


def conform(batch: pa.RecordBatch, columns: Columns, path: str, first_record: int) -> pa.RecordBatch:
    """Returns the batch with the schema's columns, order and types; a column that the file lacks is all missing.

    Raises:
      ColumnsError: a column of a type that is not flat, such as a struct.
      ValueTypeError: a value that its column cannot hold; names the record.
    """
    present = set(batch.schema.names)
    arrays = [
        _convert(batch.column(target.name), target, path, first_record)
        if target.name in present
        else pa.nulls(batch.num_rows, target.type)
        for target in columns.flat
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns.flat)


def kind_of(arrow_type: pa.DataType) -> pa.DataType | None:
    """Returns the flat type that values of `arrow_type` naturally have; None where there is none."""
    if pa.types.is_dictionary(arrow_type):
        return kind_of(arrow_type.value_type)
    if as_text.is_moment(arrow_type) or as_text.is_flat_list(arrow_type):
        return pa.large_string()
    if pa.types.is_boolean(arrow_type) or pa.types.is_integer(arrow_type):
        return pa.int64()
    if pa.types.is_floating(arrow_type) or pa.types.is_decimal(arrow_type):
        return pa.float64()
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if any(is_text(arrow_type) for is_text in (*texts, pa.types.is_fixed_size_binary)) or pa.types.is_null(arrow_type):
        return pa.large_string()
    return None


def _convert(array: pa.Array, target: pa.Field, path: str, first_record: int) -> pa.Array:
    if array.type == target.type or pa.types.is_null(array.type):
        return array.cast(target.type)
    if as_text.is_moment(array.type) and pa.types.is_integer(target.type):
        return as_text.moments_as_seconds(array)
    natural = kind_of(array.type)
    numbers = (pa.int64(), pa.float64())
    as_number = natural in numbers and target.type in numbers
    if natural is None or (natural != target.type and not as_number and not _is_identifier(array.type, target.type)):
        raise ColumnsError(
            f"expected {KIND_NAMES[str(target.type)]}, as the schema says. Received: {array.type}. "
            "Write the column as plain numbers or text, or correct the schema.",
            path=path,
            column=target.name,
        )
    try:
        return _cast(array, target.type)
    except pa.ArrowInvalid as error:
        raise _first_bad_value(array, target, path, first_record) from error


def _is_identifier(found: pa.DataType, target: pa.DataType) -> bool:
    """Returns whether the column holds whole numbers that the schema takes as text, such as those beyond 64 bits."""
    found = found.value_type if pa.types.is_dictionary(found) else found
    whole = pa.types.is_integer(found) or (pa.types.is_decimal(found) and found.scale <= 0)
    return bool(whole and pa.types.is_large_string(target))


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if as_text.is_moment(array.type):
        return as_text.moments_as_text(array)
    if as_text.is_flat_list(array.type):
        return as_text.lists_as_text(array)
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    if pa.types.is_integer(array.type) and pa.types.is_floating(target):
        return array.cast(target, safe=False)  # An integer above 2**53 is rounded, as everywhere in Python.
    return array.cast(target)


def _first_bad_value(array: pa.Array, target: pa.Field, path: str, first_record: int) -> IngestError:
    for index in range(len(array)):
        try:
            _cast(array.slice(index, 1), target.type)
        except pa.ArrowInvalid:
            return ValueTypeError(
                f"expected {KIND_NAMES[str(target.type)]}. Received: {array[index].as_py()!r}.",
                path=path,
                line=first_record + index,
                column=target.name,
            )
    return ValueTypeError(f"expected {KIND_NAMES[str(target.type)]}.", path=path, column=target.name)


def without_label(batch: pa.RecordBatch, columns: Columns) -> npt.NDArray[np.bool_]:
    """Returns which rows have no label, (rows,); what they count does not matter."""
    if columns.target is None:
        return np.ones(batch.num_rows, np.bool_)
    unweighted = replace(columns.target, weight="")
    labels = unweighted.evaluate({name: batch.column(name) for name in unweighted.columns})
    return np.asarray(~is_known(np.asarray(labels)), np.bool_)


def first_wrong_label(batch: pa.RecordBatch, columns: Columns) -> int | None:
    """Returns the first row whose label is there and none of the task's; None where there is no such row.

    A row whose label is missing is not wrong: labels may come in parts.
    """
    if columns.target is None:
        return None
    wrong = without_label(batch, columns)
    if not wrong.any():
        return None
    for name in columns.target.label_columns:
        values = batch.column(name)
        missing = pc.is_null(values, nan_is_null=True) if pa.types.is_floating(values.type) else pc.is_null(values)
        if pa.types.is_large_string(values.type):
            missing = pc.or_kleene(missing, pc.equal(values, ""))
        wrong &= ~missing.to_numpy(zero_copy_only=False)
    return int(np.argmax(wrong)) if wrong.any() else None


def is_wrong_label(values: Mapping[str, float | str | None], columns: Columns) -> bool:
    """Returns whether one row's label is there and none of the task's. `values`: of the label's columns."""
    row = [pa.array([values[name]], columns.flat.field(name).type) for name in sorted(columns.label)]
    return first_wrong_label(pa.RecordBatch.from_arrays(row, names=sorted(columns.label)), columns) is not None


def check_labels(batch: pa.RecordBatch, columns: Columns, path: str, first_record: int) -> None:
    """Raises the error of the first row of a labelled file whose label is none of the task's; it names the record."""
    row = first_wrong_label(batch, columns)
    if row is not None:
        values = {name: batch.column(name)[row].as_py() for name in columns.label}
        raise label_fault(values, columns, path, first_record + row)


def label_fault(values: Mapping[str, object], columns: Columns, path: str, line: int) -> IngestError:
    """Returns the error for a row whose label is none of the task's. `values`: of the label's columns."""
    target = columns.target
    if target is None:
        raise ValueError("Only a file with a label has a wrong one.")
    if target.is_column:
        (name,) = target.label_columns
        expected = {
            "binary": "expected a label of 0 or 1",
            "multiclass": f"expected one of the classes {', '.join(target.classes)}",
            "regression": "expected a number that is not infinite",
        }[target.task]
        remedy = {
            "binary": "say in dataset.toml which values count as 1: [label] positive = 2, or "
            f'expression = \'{target.label} >= 1\', or what else is predicted: task = "regression" or "multiclass"',
            "multiclass": "add its class to [label] classes in dataset.toml",
            "regression": "leave it empty where it is not known",
        }[target.task]
        what = f"{expected}. Received: {values[name]}. Correct or remove the row, or {remedy}."
        return LabelValueError(what, path=path, line=line, column=name)
    operands = ", ".join(f"{name} = {values[name]}" for name in sorted(target.label_columns))
    is_not = {"binary": "neither true nor false", "multiclass": "none of the classes", "regression": "no finite number"}
    what = (
        f"the label `{target.label}` is {is_not[target.task]} where {operands}. Correct or remove the row, or write an "
        "expression that has a value for it."
    )
    return LabelValueError(what, path=path, line=line, column=min(columns.label))
