"""What is wrong with a span's data: what the curated schema says, counted row by row, and TFDV's anomalies beside it.

TFDV 1.21 alone raises nothing for an empty span, for 1 % of fares at -99999 or for a column that is 80 % missing, and
ends a run for one odd value in a thousand. So presence, types, domains and ranges are counted here, with tolerances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from columnar import domains
from models.features import FeatureSpec
from pipeline.evaluation import intervals
from pipeline.gate import counting
from pipeline.gate.counting import ColumnCounts, Odd, SpanQuality
from pipeline.gate.evidence import Finding
from pipeline.gate.policy import FindingKind, GatePolicy, Severity

_SHOWN = 3
_BY_CHANCE = 0.05
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
    """Returns what is wrong with a span that is in memory, what blocks first; see `Counting` and `judge`."""
    counting_ = Counting(schema, features, policy, known)
    for _ in counting_.through(table.to_batches()):
        pass
    return judge(counting_.result, schema, features, policy, anomalies=anomalies)


class Counting:
    """Counts the rows of a span, flat columns, on their way to whatever else reads them.

    Attributes:
      result: complete when the last batch has passed.
    """

    def __init__(
        self,
        schema: schema_pb2.Schema,
        features: FeatureSpec,
        policy: GatePolicy,
        known: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Args: known: the values of categorical features in the training window; without, none counts as unseen."""
        self.result = SpanQuality()
        self._schema, self._known = schema, known
        self._together = [name for name in features.columns if not _has_own_rule(name, policy)]

    def through(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields the batches as they come."""
        return counting.count(batches, self.result, self._schema, together=self._together, known=self._known)


def judge(
    counted: SpanQuality,
    schema: schema_pb2.Schema,
    features: FeatureSpec,
    policy: GatePolicy,
    *,
    anomalies: Sequence[anomalies_pb2.Anomalies] = (),
) -> tuple[Finding, ...]:
    """Returns what is wrong with a span, what blocks first.

    Args:
      schema: the curated one: what a person says the columns mean.
      features: what a model reads: these columns are required. Columns of the label alone may have gaps, or be absent
        throughout, in a span whose labels are yet to come.
      anomalies: what TFDV found, one proto per split. What is counted here is not repeated; everything else is said.
    """
    if counted.rows == 0:
        return (Finding(feature=None, kind="no_rows", severity="block", text="the span has no rows"),)
    findings: list[Finding] = _check_size(schema, counted.rows)
    for feature in schema.feature:
        if feature.lifecycle_stage in domains.NOT_IN_USE:
            continue
        column = counted.columns.get(feature.name)
        if column is None or column.rows == 0:
            findings += _check_empty(feature, features, counted.rows, absent=column is None)
            continue
        wrong = _check_type(feature, column)
        if wrong is not None:
            findings.append(wrong)
            continue
        if feature.name not in _label_only(features) or "missing_values" in policy.severity.get(feature.name, {}):
            findings += _check_presence(feature, column, counted.rows, policy)
        findings += _check_values(feature, column, counted, features, policy)
    for name in features.names:
        if name not in {feature.name for feature in schema.feature}:
            text = f"`{name}` is a feature, and the schema does not describe it"
            findings.append(Finding(feature=name, kind="missing_column", severity="block", text=text))
    findings += _together(findings, counted, policy)
    findings += _from_tfdv(anomalies, findings, features)
    kept = [_overridden(finding, policy) for finding in findings]
    return ordered(finding for finding in kept if finding.severity != "ignore")


def unexpected(columns: Sequence[str], policy: GatePolicy) -> tuple[Finding, ...]:
    """Returns a finding for each column of the files that the schema does not have; nothing reads such a column."""
    if policy.unexpected_column == "ignore":
        return ()
    text = "`{}` is not in the schema, and nothing reads it; `schema diff` shows the command that takes it in"
    return tuple(
        Finding(feature=name, kind="unexpected_column", severity=policy.unexpected_column, text=text.format(name))
        for name in columns
    )


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


def _check_empty(feature: schema_pb2.Feature, features: FeatureSpec, rows: int, *, absent: bool) -> Iterator[Finding]:
    """A column without a value vanishes from tf.Example, so TFDV and Transform may not miss it."""
    kind: FindingKind = "missing_column" if absent else "empty_column"
    what = "is missing" if absent else "has no value in any row"
    if feature.name in features.names:
        # A presence without a minimum is how a person writes "may be absent altogether".
        optional = feature.HasField("presence") and not feature.presence.min_count and not feature.presence.min_fraction
        # Where most rows may lack a value, a handful of rows may well all do.
        by_chance = feature.HasField("presence") and (1 - feature.presence.min_fraction) ** rows > _BY_CHANCE
        optional = optional or (by_chance and not absent)
        severity: Severity = "warn" if optional else "block"
        text = f"`{feature.name}` {what}; it is a feature"
        yield Finding(feature=feature.name, kind=kind, severity=severity, text=text, share=1.0)
    elif feature.name not in features.label_columns and feature.presence.min_count:
        text = f"`{feature.name}` {what}; the schema expects it, no model reads it"
        yield Finding(feature=feature.name, kind=kind, severity="warn", text=text, share=1.0)


def _check_type(feature: schema_pb2.Feature, column: ColumnCounts) -> Finding | None:
    kind = column.kind
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
    feature: schema_pb2.Feature, column: ColumnCounts, rows: int, policy: GatePolicy
) -> Iterator[Finding]:
    required = feature.presence.min_fraction
    present = column.rows / rows
    if present >= required:
        return
    margin = policy.tolerance_of(feature.name, "missing_values", policy.missing_tolerance)
    text = f"`{feature.name}` is missing in {1 - present:.1%} of the rows (the schema allows {1 - required:.1%})"
    yield _measured(feature.name, "missing_values", text, rows - column.rows, rows, 1 - required + margin)


def _check_values(
    feature: schema_pb2.Feature, column: ColumnCounts, counted: SpanQuality, features: FeatureSpec, policy: GatePolicy
) -> Iterator[Finding]:
    """What the schema rules out is also counted by row: a little in each of several columns is much together."""
    name, rows = feature.name, counted.rows
    together = name in features.columns and not _has_own_rule(name, policy)
    blocked = together and _is_certain(counted.impossible, rows, policy.impossible_tolerance)
    left_out = "; such rows are left out of training" if name in features.columns else ""
    low, high = domains.limits(feature, column.kind)
    bounds = f"{'-∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"
    mass = feature.distribution_constraints
    has_mass = mass.HasField("min_domain_mass")
    of_domain = round(1 - mass.min_domain_mass, 9) if has_mass else policy.out_of_domain_tolerance
    ruled_out: tuple[tuple[FindingKind, Odd, str, float], ...] = (
        ("not_finite", column.not_finite, "NaN or infinite", policy.out_of_range_tolerance),
        ("out_of_range", column.out_of_range, f"outside {bounds}, such as", policy.out_of_range_tolerance),
        ("out_of_domain", column.out_of_domain, "outside its domain, such as", of_domain),
    )
    for kind, odd, what, default in ruled_out:
        if not odd.rows:
            continue
        examples = " " + _shown(odd) if what.endswith("such as") else ""
        tolerated = kind == "out_of_domain" and has_mass
        text = f"`{name}`: {_share(odd.rows, rows)} {what}{examples}{'' if tolerated else left_out}"
        finding = _measured(name, kind, text, odd.rows, rows, policy.tolerance_of(name, kind, default))
        if blocked and not tolerated and finding.severity == "warn":
            finding = dataclasses.replace(finding, severity="block", tolerance=policy.impossible_tolerance)
        yield finding
    if column.unseen.rows:
        distinct = len(column.unseen.values)
        plural = "a value" if distinct == 1 else f"{distinct} values"
        shown = f"that the training window did not have, such as {_shown(column.unseen)}"
        text = f"`{name}`: {_share(column.unseen.rows, rows)} with {plural} {shown}"
        tolerance = policy.tolerance_of(name, "unseen_values", 1.0)
        yield _measured(name, "unseen_values", text, column.unseen.rows, rows, tolerance)


def _together(findings: Sequence[Finding], counted: SpanQuality, policy: GatePolicy) -> Iterator[Finding]:
    """Says how many rows several columns spoil together."""
    columns = [finding.feature for finding in findings if finding.kind in IMPOSSIBLE and finding.feature]
    shared = sorted({name for name in columns if not _has_own_rule(name, policy)})
    if len(shared) > 1 and counted.impossible:
        names = ", ".join(f"`{name}`" for name in shared)
        text = f"{_share(counted.impossible, counted.rows)} with a value that the schema rules out, in {names} together"
        yield _measured(None, "impossible_rows", text, counted.impossible, counted.rows, policy.impossible_tolerance)


IMPOSSIBLE = ("not_finite", "out_of_range", "out_of_domain")


def _has_own_rule(name: str, policy: GatePolicy) -> bool:
    """Whether the dataset file has a severity or a tolerance for impossible values of this column."""
    return any(kind in rules.get(name, {}) for kind in IMPOSSIBLE for rules in (policy.severity, policy.tolerance))


def _shown(odd: Odd) -> str:
    values = odd.most_frequent(_SHOWN)
    return ", ".join(f"`{value}`" if isinstance(value, str) else f"{value:g}" for value in values)


def _is_certain(count: int, rows: int, tolerance: float) -> bool:
    """Whether the share exceeds the tolerance with its whole interval, and is more than a single value."""
    return count > _ALONE and intervals.wilson(count, rows).low > tolerance


def _measured(name: str | None, kind: FindingKind, text: str, count: int, rows: int, tolerance: float) -> Finding:
    """Blocks where the share is certainly above the tolerance; warns otherwise, and says where it may be above."""
    share = count / rows
    severity: Severity = "block" if _is_certain(count, rows, tolerance) else "warn"
    if severity == "warn" and share > tolerance:
        text += f"; more than the {tolerance:.1%} that are tolerated, and not certain of {rows:,} rows"
    limit = max(tolerance, share) if severity == "warn" else tolerance
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
