"""What is wrong with a span's data: what the curated schema says, counted row by row, and TFDV's anomalies beside it.

TFDV 1.21 alone raises nothing for an empty span, for 1 % of fares at -99999 or for a column that is 80 % missing, and
ends a run for one odd value in a thousand. So presence, types, domains and ranges are counted here, with tolerances.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from models.features import FeatureSpec
from pipeline.gate.evidence import Finding
from pipeline.gate.policy import FindingKind, GatePolicy, Severity

_SHOWN = 3
_NOT_IN_USE = (schema_pb2.DEPRECATED, schema_pb2.PLANNED, schema_pb2.DEBUG_ONLY)
_ALONE = 1
"""So many odd values never block: one in a span of a hundred rows is not a broken span."""


def check(
    table: pa.Table,
    schema: schema_pb2.Schema,
    features: FeatureSpec,
    policy: GatePolicy,
    *,
    anomalies: Sequence[anomalies_pb2.Anomalies] = (),
    known: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Finding, ...]:
    """Returns what is wrong with a span, what blocks first.

    Args:
      table: all rows of the span, flat columns.
      schema: the curated one: what a person says the columns mean.
      features: what a model reads: these columns are required. Columns of the label alone may have gaps, or be absent
        throughout, in a span whose labels are yet to come.
      anomalies: what TFDV found, one proto per split. What is counted here is not repeated; everything else is said.
      known: the values of categorical features in the training window; without, no value counts as unseen.
    """
    if table.num_rows == 0:
        return (Finding(feature=None, kind="no_rows", severity="block", text="the span has no rows"),)
    findings: list[Finding] = _check_size(schema, table.num_rows)
    domains = {domain.name: domain for domain in schema.string_domain}
    for feature in schema.feature:
        if feature.lifecycle_stage in _NOT_IN_USE:
            continue
        column = table.column(feature.name) if feature.name in table.column_names else None
        values = None if column is None else _present(column)
        if values is None or len(values) == 0:
            findings += _check_empty(feature, features, table)
            continue
        wrong = _check_type(feature, values)
        if wrong is not None:
            findings.append(wrong)
            continue
        if feature.name not in _label_only(features) or "missing_values" in policy.severity.get(feature.name, {}):
            findings += _check_presence(feature, values, table.num_rows, policy)
        findings += _check_range(feature, column, table.num_rows, policy)
        domain = domains.get(feature.domain) if feature.domain else feature.string_domain
        if domain is not None and domain.value:
            findings += _check_domain(feature, values, domain.value, table.num_rows, policy)
        elif known and feature.name in known:
            findings += _check_unseen(feature.name, values, known[feature.name], table.num_rows, policy)
    for name in features.names:
        if name not in {feature.name for feature in schema.feature}:
            text = f"`{name}` is a feature, and the schema does not describe it"
            findings.append(Finding(feature=name, kind="missing_column", severity="block", text=text))
    findings += _from_tfdv(anomalies, findings, features)
    kept = [_overridden(finding, policy) for finding in findings]
    return ordered(finding for finding in kept if finding.severity != "ignore")


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns the worst first."""
    order = {"block": 0, "warn": 1}
    return tuple(sorted(findings, key=lambda item: (order[item.severity], -(item.share or 0.0), item.feature or "")))


def _label_only(features: FeatureSpec) -> frozenset[str]:
    """Columns that only the label needs: labels may come in parts, and no gap in them is a fault."""
    return frozenset(features.label_columns) - frozenset(features.names)


def _overridden(finding: Finding, policy: GatePolicy) -> Finding:
    """Applies the severities of the dataset file: block where it exceeds its tolerance, warn or ignore throughout."""
    wanted = policy.severity_of(finding.feature or "", finding.kind, finding.severity)
    if wanted == "block" and finding.tolerance is not None and (finding.share or 0.0) <= finding.tolerance:
        wanted = "warn"
    return Finding(
        feature=finding.feature,
        kind=finding.kind,
        severity=wanted,
        text=finding.text,
        share=finding.share,
        tolerance=finding.tolerance,
    )


def _check_size(schema: schema_pb2.Schema, rows: int) -> list[Finding]:
    """TFDV ignores `max_examples_count` unless `min_examples_count` is set too."""
    limits = schema.dataset_constraints
    low = limits.min_examples_count if limits.HasField("min_examples_count") else 0
    high = limits.max_examples_count if limits.HasField("max_examples_count") else rows
    if low <= rows <= high:
        return []
    bounds = f"at least {low:,}" if rows < low else f"at most {high:,}"
    text = f"the span has {rows:,} rows; the schema expects {bounds}"
    return [Finding(feature=None, kind="schema_anomaly", severity="block", text=text)]


def _present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns the values that are there: neither null nor NaN."""
    values = column.drop_null()
    return values.filter(pc.invert(pc.is_nan(values))) if pa.types.is_floating(values.type) else values


def _check_empty(feature: schema_pb2.Feature, features: FeatureSpec, table: pa.Table) -> Iterator[Finding]:
    """A column without a value vanishes from tf.Example, so TFDV and Transform may not miss it."""
    absent = feature.name not in table.column_names
    kind: FindingKind = "missing_column" if absent else "empty_column"
    what = "is missing" if absent else "has no value in any row"
    if feature.name in features.names:
        # A presence without a minimum is how a person writes "may be absent altogether".
        optional = feature.HasField("presence") and not feature.presence.min_count and not feature.presence.min_fraction
        severity: Severity = "warn" if optional else "block"
        text = f"`{feature.name}` {what}; it is a feature"
        yield Finding(feature=feature.name, kind=kind, severity=severity, text=text, share=1.0)
    elif feature.name not in features.label_columns and feature.presence.min_count:
        text = f"`{feature.name}` {what}; the schema expects it, no model reads it"
        yield Finding(feature=feature.name, kind=kind, severity="warn", text=text, share=1.0)


def _check_type(feature: schema_pb2.Feature, values: pa.ChunkedArray) -> Finding | None:
    kind = values.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    fits = {
        schema_pb2.INT: pa.types.is_integer(kind) or pa.types.is_boolean(kind),
        schema_pb2.FLOAT: pa.types.is_floating(kind) or pa.types.is_integer(kind),
        schema_pb2.BYTES: text or pa.types.is_binary(kind),
    }.get(feature.type, True)
    if fits:
        return None
    expected = schema_pb2.FeatureType.Name(feature.type)
    message = f"`{feature.name}` holds {kind}, the schema says {expected}"
    return Finding(feature=feature.name, kind="wrong_type", severity="block", text=message)


def _check_presence(
    feature: schema_pb2.Feature, values: pa.ChunkedArray, rows: int, policy: GatePolicy
) -> Iterator[Finding]:
    required = feature.presence.min_fraction
    present = len(values) / rows
    if present >= required:
        return
    margin = policy.tolerance_of(feature.name, "missing_values", policy.missing_tolerance)
    text = f"`{feature.name}` is missing in {1 - present:.1%} of the rows (the schema allows {1 - required:.1%})"
    yield _measured(feature.name, "missing_values", text, rows - len(values), rows, 1 - required + margin)


def _check_range(
    feature: schema_pb2.Feature, column: pa.ChunkedArray, rows: int, policy: GatePolicy
) -> Iterator[Finding]:
    tolerance = policy.tolerance_of(feature.name, "out_of_range", policy.out_of_range_tolerance)
    values = column.drop_null()
    if pa.types.is_floating(values.type):
        domain: schema_pb2.IntDomain | schema_pb2.FloatDomain = feature.float_domain
        numbers = np.asarray(values.to_numpy(), np.float64)
        disallowed = (np.isnan(numbers) & domain.disallow_nan) | (np.isinf(numbers) & domain.disallow_inf)
        if disallowed.any():
            text = f"`{feature.name}`: {_share(int(disallowed.sum()), rows)} NaN or infinite"
            limit = policy.tolerance_of(feature.name, "not_finite", policy.out_of_range_tolerance)
            yield _measured(feature.name, "not_finite", text, int(disallowed.sum()), rows, limit)
        numbers = numbers[np.isfinite(numbers)]
    elif pa.types.is_integer(values.type):
        domain = feature.float_domain if feature.type == schema_pb2.FLOAT else feature.int_domain
        numbers = np.asarray(values.to_numpy())
    else:
        return
    low = domain.min if domain.HasField("min") else None
    high = domain.max if domain.HasField("max") else None
    outside = np.zeros(len(numbers), np.bool_)
    # A tf.Example holds float32: 0.1 comes back as 0.10000000149. Integers come back as they were.
    stored = np.float32 if pa.types.is_floating(values.type) else np.float64
    if low is not None:
        outside |= numbers < min(low, float(stored(low)))
    if high is not None:
        outside |= numbers > max(high, float(stored(high)))
    count = int(outside.sum())
    if count:
        found, counts = np.unique(numbers[outside], return_counts=True)
        shown = ", ".join(f"{value:g}" for value in found[np.argsort(-counts, kind="stable")][:_SHOWN])
        bounds = f"{'-∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"
        text = f"`{feature.name}`: {_share(count, rows)} outside {bounds}, such as {shown}"
        yield _measured(feature.name, "out_of_range", text, count, rows, tolerance)


def _check_domain(
    feature: schema_pb2.Feature, values: pa.ChunkedArray, allowed: Sequence[str], rows: int, policy: GatePolicy
) -> Iterator[Finding]:
    count, shown, _ = _outside(values, allowed)
    if count:
        constraints = feature.distribution_constraints
        default = policy.out_of_domain_tolerance
        if constraints.HasField("min_domain_mass"):
            default = round(1 - constraints.min_domain_mass, 9)
        tolerance = policy.tolerance_of(feature.name, "out_of_domain", default)
        text = f"`{feature.name}`: {_share(count, rows)} outside its domain, such as {shown}"
        yield _measured(feature.name, "out_of_domain", text, count, rows, tolerance)


def _check_unseen(
    name: str, values: pa.ChunkedArray, known: Sequence[str], rows: int, policy: GatePolicy
) -> Iterator[Finding]:
    count, shown, distinct = _outside(values, known)
    if count:
        plural = "a value" if distinct == 1 else f"{distinct} values"
        text = f"`{name}`: {_share(count, rows)} with {plural} that the training window did not have, such as {shown}"
        tolerance = policy.tolerance_of(name, "unseen_values", 1.0)
        yield _measured(name, "unseen_values", text, count, rows, tolerance)


def _outside(values: pa.ChunkedArray, allowed: Sequence[str]) -> tuple[int, str, int]:
    """Returns how many values are not allowed, the most frequent of them in words, and how many distinct ones."""
    text = values.cast(pa.large_string())
    strange = text.filter(pc.invert(pc.is_in(text, value_set=pa.array(list(allowed), pa.large_string()))))
    counted = sorted(pc.value_counts(strange).to_pylist(), key=lambda item: (-item["counts"], item["values"]))
    shown = ", ".join(f"`{item['values']}`" for item in counted[:_SHOWN])
    return len(strange), shown, len(counted)


def _measured(name: str, kind: FindingKind, text: str, count: int, rows: int, tolerance: float) -> Finding:
    """Blocks above the tolerance, unless it is a single value; warns otherwise."""
    share = count / rows
    severity: Severity = "block" if share > tolerance and count > _ALONE else "warn"
    limit = max(tolerance, share) if count <= _ALONE else tolerance
    return Finding(feature=name, kind=kind, severity=severity, text=text, share=share, tolerance=limit)


def _share(count: int, rows: int) -> str:
    return f"{count:,} of {rows:,} rows ({count / rows:.2%})"


_INFO = anomalies_pb2.AnomalyInfo
# How TFDV names what is counted here, so that nothing is said twice.
_TFDV_NAMES: dict[FindingKind, tuple[str, ...]] = {
    "out_of_domain": (
        "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
        "BOOL_TYPE_UNEXPECTED_STRING",
        "BOOL_TYPE_UNEXPECTED_FLOAT",
        "BOOL_TYPE_BIG_INT",
        "BOOL_TYPE_SMALL_INT",
    ),
    "out_of_range": ("INT_TYPE_SMALL_INT", "INT_TYPE_BIG_INT", "FLOAT_TYPE_SMALL_FLOAT", "FLOAT_TYPE_BIG_FLOAT"),
    "not_finite": ("FLOAT_TYPE_HAS_NAN", "FLOAT_TYPE_HAS_INF"),
    "empty_column": ("SCHEMA_MISSING_COLUMN", "FEATURE_TYPE_NOT_PRESENT", "FEATURE_TYPE_NO_VALUES"),
    "missing_values": ("FEATURE_TYPE_LOW_FRACTION_PRESENT", "FEATURE_TYPE_LOW_NUMBER_PRESENT"),
    "wrong_type": (
        "UNEXPECTED_DATA_TYPE",
        "ENUM_TYPE_BYTES_NOT_STRING",
        "ENUM_TYPE_FLOAT_NOT_STRING",
        "ENUM_TYPE_INT_NOT_STRING",
        "ENUM_TYPE_INVALID_UTF8",
        "INT_TYPE_INT_EXPECTED",
        "INT_TYPE_NOT_INT_STRING",
        "INT_TYPE_NOT_STRING",
        "INT_TYPE_STRING_EXPECTED",
        "FLOAT_TYPE_NOT_FLOAT",
        "FLOAT_TYPE_STRING_NOT_FLOAT",
        "FLOAT_TYPE_NON_STRING",
        "STRING_TYPE_NOW_FLOAT",
        "STRING_TYPE_NOW_INT",
    ),
}
_KINDS = {_INFO.Type.Value(name): kind for kind, names in _TFDV_NAMES.items() for name in names}
_DRIFT = frozenset(
    {
        _INFO.COMPARATOR_L_INFTY_HIGH,
        _INFO.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH,
        _INFO.COMPARATOR_NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH,
    }
)
"""Evidence of drift, not of broken data: pipeline/gate/drift.py."""
_OF_THE_DATASET = frozenset({_INFO.DATASET_LOW_NUM_EXAMPLES, _INFO.DATASET_HIGH_NUM_EXAMPLES})
"""Limits that a person wrote for the whole dataset: they block."""


def _from_tfdv(
    anomalies: Sequence[anomalies_pb2.Anomalies], counted: Sequence[Finding], features: FeatureSpec
) -> list[Finding]:
    """Returns what TFDV found and nobody counted: types and the dataset's limits block, the rest warns."""
    said = {(finding.feature, finding.kind) for finding in counted}
    absent = {finding.feature for finding in counted if finding.kind in ("missing_column", "empty_column")}
    found: dict[tuple[str | None, str], Finding] = {}
    for proto in anomalies:
        entries = [(".".join(info.path.step) or None, info) for info in proto.anomaly_info.values()]
        if proto.HasField("dataset_anomaly_info"):
            entries.append((None, proto.dataset_anomaly_info))
        for name, info in entries:
            for reason in info.reason:
                kind = _KINDS.get(reason.type, "schema_anomaly")
                unlabelled = kind in ("empty_column", "missing_values") and name in _label_only(features)
                if reason.type in _DRIFT or (name, kind) in said or name in absent or unlabelled:
                    continue
                blocks = kind == "wrong_type" or reason.type in _OF_THE_DATASET
                where = f"`{name}`" if name else "the span"
                text = f"{where}: TFDV: {reason.short_description}: {reason.description}"
                found.setdefault(
                    (name, text),
                    Finding(feature=name, kind=kind, severity="block" if blocks else "warn", text=text),
                )
    return list(found.values())
