"""Values that the schema rules out: outside a range or a closed domain, or not finite where it says so.

A person wrote these limits, so a row that breaks one says nothing about the world: the gate counts it, and training
leaves it out.
"""

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

Mask = npt.NDArray[np.bool_]

NOT_IN_USE = (schema_pb2.DEPRECATED, schema_pb2.PLANNED, schema_pb2.DEBUG_ONLY)


def impossible(batch: pa.RecordBatch, schema: schema_pb2.Schema, columns: Collection[str]) -> Mask:
    """Returns the rows of a flat batch that hold a ruled-out value in any of these columns, bool (rows,)."""
    rows = np.zeros(batch.num_rows, np.bool_)
    domains = closed_domains(schema)
    for feature in schema.feature:
        if feature.name in columns and feature.name in batch.schema.names and feature.lifecycle_stage not in NOT_IN_USE:
            for mask in ruled_out(feature, batch.column(feature.name), domains.get(feature.name, ())):
                rows |= mask
    return rows


def without_impossible(batch: pa.RecordBatch, schema: schema_pb2.Schema, columns: Collection[str]) -> pa.RecordBatch:
    """Returns the rows of a flat batch that training may learn from."""
    rows = impossible(batch, schema, columns)
    return batch.filter(pa.array(~rows)) if rows.any() else batch


def ruled_out(feature: schema_pb2.Feature, column: pa.Array, allowed: Collection[str]) -> Iterator[Mask]:
    """Yields the rows with a value that is not finite, outside the range, or outside the closed domain."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        yield not_finite(feature, column)
        yield outside_range(feature, column)
    elif allowed and not feature.distribution_constraints.HasField("min_domain_mass"):
        # Where a person says which part of the rows may lie outside, those rows are as they should be.
        yield outside_domain(column, allowed)


def closed_domains(schema: schema_pb2.Schema) -> dict[str, tuple[str, ...]]:
    """Returns the values that a feature may have, for each feature whose domain is closed."""
    shared = {domain.name: domain for domain in schema.string_domain}
    found = {}
    for feature in schema.feature:
        domain = shared.get(feature.domain) if feature.domain else feature.string_domain
        if domain is not None and domain.value:
            found[feature.name] = tuple(domain.value)
    return found


def limits(feature: schema_pb2.Feature, kind: pa.DataType) -> tuple[float | None, float | None]:
    """Returns the least and the greatest value that a numeric column of this type may hold; None for no limit."""
    if pa.types.is_floating(kind) or feature.type == schema_pb2.FLOAT:
        domain: schema_pb2.IntDomain | schema_pb2.FloatDomain = feature.float_domain
    else:
        domain = feature.int_domain
    return domain.min if domain.HasField("min") else None, domain.max if domain.HasField("max") else None


def not_finite(feature: schema_pb2.Feature, column: pa.Array) -> Mask:
    """Returns the rows with NaN or infinity where the schema disallows it, bool (rows,)."""
    if not pa.types.is_floating(column.type):
        return np.zeros(len(column), np.bool_)
    values, domain = _numbers(column), feature.float_domain
    odd = (np.isnan(values) & domain.disallow_nan) | (np.isinf(values) & domain.disallow_inf)
    return np.asarray(odd & _there(column))


def outside_range(feature: schema_pb2.Feature, column: pa.Array) -> Mask:
    """Returns the rows with a finite value outside the schema's limits, bool (rows,)."""
    low, high = limits(feature, column.type)
    values = _numbers(column)
    outside = np.zeros(len(column), np.bool_)
    # A tf.Example holds float32: 0.1 comes back as 0.10000000149. Integers come back as they were.
    stored = np.float32 if pa.types.is_floating(column.type) else np.float64
    if low is not None:
        outside |= values < min(low, float(stored(low)))
    if high is not None:
        outside |= values > max(high, float(stored(high)))
    return np.asarray(outside & np.isfinite(values) & _there(column))


def outside_domain(column: pa.Array, allowed: Collection[str]) -> Mask:
    """Returns the rows with a value that is not allowed, bool (rows,)."""
    allowed_values = pa.array(list(allowed), pa.large_string())
    known = pc.is_in(column.cast(pa.large_string()), value_set=allowed_values)
    return np.asarray(_there(column) & ~known.to_numpy(zero_copy_only=False))


def _numbers(column: pa.Array) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    """Returns the values as they are, 0 for a null."""
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))


def _there(column: pa.Array) -> Mask:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
