"""From a span's rows and the live model to a decision: gathers the gate's evidence, the cheap parts first.

What the gate measures is in `pipeline.gate`; this module knows in which order to ask, and stops asking as soon as the
decision cannot change: a span that is blocked, repeated or late is decided without loading a model.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from models.errors import ModelError
from pipeline.gate import (
    added_features,
    drift,
    far_values,
    gains,
    joint,
    labels,
    lasting,
    leaks,
    one_pass,
    promises,
    quality,
    repeats,
    scoring,
    season,
)
from pipeline.gate.added_features import ReadSpans
from pipeline.gate.baseline import Baseline
from pipeline.gate.decision import Decision, Row, Verdict, decide
from pipeline.gate.definition import Definition, changes, define
from pipeline.gate.distributions import Distribution
from pipeline.gate.evidence import Evidence, Finding, JointDrift, LastingDrift, LiveModel, NotCompared, ServingAlert
from pipeline.gate.feature_columns import with_features
from pipeline.gate.one_pass import Rows, SpanRows
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import Floors, Settings
from pipeline.state import since_push, span_records
from pipeline.state.version_folder import LiveTraining, Rollback

_WITHOUT_COMPARISON = (
    Row.UNUSABLE_DATA,
    Row.DEFINITION,
    Row.REPEATED,
    Row.LATE,
    Row.NO_LIVE_MODEL,
    Row.NOT_ENOUGH_ROWS,
)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span as the pipeline has read and measured it.

    Attributes:
      table: all of its rows, both splits, flat columns; read once.
      statistics: TFDV's, of the train split.
      anomalies: TFDV's, one per split.
      unexpected: columns of the files that the schema does not have.
      waiting: earlier spans that were too small to judge, and their rows.
    """

    number: int
    version: int
    table: Rows
    schema: schema_pb2.Schema
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None = None
    anomalies: Sequence[anomalies_pb2.Anomalies] = ()
    unexpected: Sequence[str] = ()
    waiting: Mapping[int, Rows] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Live:
    """The live model.

    Attributes:
      version: its folder's name, the time of the push.
      model_dir: the SavedModel; a string where it may be in a bucket.
      baseline: what it was trained on, measured; None where that is not known.
      why_no_baseline: in words, where it is None.
      definition: what the model was made from; None where the version carries none.
      rollback: where a rollback made it live.
    """

    version: str
    model_dir: Path | str
    baseline: Baseline | None
    why_no_baseline: str = "it carries no baseline"
    definition: Definition | None = None
    rollback: Rollback | None = None

    @property
    def pushed_at(self) -> int:
        """When a run pushed this model, seconds since 1970; a rollback makes it no younger."""
        return self.rollback.origin if self.rollback else int(self.version)

    @property
    def trained_at(self) -> int:
        """When a run pushed this network; a recalibration makes it no younger."""
        return (self.baseline.trained_at if self.baseline else 0) or self.pushed_at


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """A decision and what is behind it; empty where nothing was compared.

    Attributes:
      anomalies: TFDV's view of the comparison, by name.
      counts: the span's rows per bin of the live model's baseline, for sums over several spans.
    """

    decision: Decision
    anomalies: Mapping[str, anomalies_pb2.Anomalies]
    distributions: tuple[Distribution, ...] = ()
    counts: tuple[int, ...] = ()


def assess(
    span: Span,
    live: Live | None,
    records: Sequence[span_records.SpanRecord],
    settings: Settings,
    *,
    evaluated_at: int,
    forced: bool,
    skew: tuple[ServingAlert, ...] | None = None,
    floors: Floors | None = None,
    more_spans: tuple[int, int] | None = None,
    earlier: Sequence[since_push.SpanCounts] = (),
    read_spans: ReadSpans = lambda _: {},
    past: gains.Past | None = None,
) -> Assessment:
    """Decides what happens with a span.

    Args:
      records: of every span that was processed before.
      evaluated_at: seconds since 1970.
      skew: alerts from the requests that the live model answered; None where none were compared.
      floors: what the live model is held to, whatever its baseline; None for nothing.
      more_spans: see Evidence.
      earlier: the spans that were compared with this live model before.
      read_spans: reads spans' rows, for features that the live model does not have.
      past: what a training would read; None where what it would bring is not asked.
    """
    known = live.baseline.known if live and live.baseline else None
    rows = one_pass.read(span.table, span.waiting, span.schema, settings, known)
    first = _cheap_evidence(span, rows, live, records, settings, evaluated_at=evaluated_at, forced=forced)
    first = dataclasses.replace(first, skew=skew, more_spans=more_spans if first.labelled else None)
    first, table = _held_to_window(first, rows, live, settings)
    early = decide(first, settings.policy)
    # A model of another definition may read other columns and answer another question.
    if live is None or early.row in _WITHOUT_COMPARISON or first.changes:
        if live is not None and live.baseline is not None and early.row in (Row.DEFINITION, Row.FORCED):
            found = added_features.compare(
                table, live.baseline, read_spans, span.schema, settings.features, settings.policy
            )
            drift_of_added, gaps, distributions = found
            first = dataclasses.replace(first, drift=drift_of_added, not_compared=(*first.not_compared, *gaps))
            return Assessment(decision=decide(first, settings.policy), anomalies={}, distributions=distributions)
        return Assessment(decision=_with_real_reason(early, live, records), anomalies={})
    evidence, compared = _compare(first, span, table, live, settings, floors, earlier)
    if past is not None and live.baseline is not None:
        refused = any(
            record.verdict == "recalibrate" and record.outcome == "not_blessed"
            for record in records
            if record.fingerprint == evidence.fingerprint
        )
        evidence = gains.measure(
            evidence,
            live.model_dir,
            live.baseline,
            settings,
            past,
            earlier,
            may_recalibrate=not refused,
        )
    decision = decide(evidence, settings.policy)
    if compared is None:
        return Assessment(decision=decision, anomalies={})
    anomalies = {"frozen-bins": compared.anomalies, "schema": compared.schema_anomalies}
    return Assessment(
        decision=decision, anomalies=anomalies, distributions=compared.distributions, counts=compared.counts
    )


def _held_to_window(
    evidence: Evidence, rows: SpanRows, live: Live | None, settings: Settings
) -> tuple[Evidence, pa.Table]:
    """Returns the evidence with findings that take the training window to see, and the rows to judge.

    Content that was met before is not asked. The rows have a column for whatever is compared: dates, derived columns.
    """
    table = with_features(rows.sample, settings.features)
    if live is None or live.baseline is None or evidence.repeats is not None:
        return evidence, table
    numbers = (evidence.span, *evidence.waiting)
    copies = repeats.find(rows.hashes, live.baseline.known_rows, numbers, settings.policy)
    label, strengths = settings.features.label, live.baseline.strengths
    told: tuple[Finding, ...] = ()
    if strengths is not None and evidence.labelled and live.baseline.label == label:
        told = leaks.find(table, label, strengths, live.baseline.bins, settings.policy)
    far: tuple[Finding, ...] = ()
    if live.baseline.grid is not None:
        far = far_values.find(table, live.baseline.bins, live.baseline.grid, settings.policy)
    findings = quality.ordered([*evidence.findings, *copies.findings, *told, *far])
    left_out = int(copies.left_out.sum())
    if left_out:
        table = table.filter(pa.array(~copies.left_out[rows.positions]))
    return dataclasses.replace(evidence, findings=findings, left_out=left_out), table


def _with_real_reason(decision: Decision, live: Live | None, records: Sequence[span_records.SpanRecord]) -> Decision:
    """Returns the decision with why a span counts as processed whose model is not live: withdrawn, or not blessed."""
    repeats = decision.evidence.repeats
    if repeats is None:
        return decision
    not_blessed = [(record.span, record.version) for record in records if record.outcome == "not_blessed"]
    if live is not None and live.rollback is not None and repeats[0] in live.rollback.withdrawn_spans:
        text = f"a model that was trained on span {repeats[0]} has been rolled back; --force trains on it all the same"
    elif repeats in not_blessed:
        refused = f"a model that was trained up to span {repeats[0]} was not blessed"
        text = f"{refused}; other thresholds judge it again, --force trains again"
    else:
        return decision
    reasons = tuple(
        dataclasses.replace(reason, text=text) if reason.kind == "repeated" else reason for reason in decision.reasons
    )
    return dataclasses.replace(decision, reasons=reasons)


def _cheap_evidence(
    span: Span,
    rows: SpanRows,
    live: Live | None,
    records: Sequence[span_records.SpanRecord],
    settings: Settings,
    *,
    evaluated_at: int,
    forced: bool,
) -> Evidence:
    window = live.baseline.window if live and live.baseline else ()
    # What only a withdrawn model was trained on is closed too, unless someone asks for it.
    withdrawn = live.rollback.withdrawn_spans if live and live.rollback and not forced else ()
    trained = LiveTraining(window=window, withdrawn=withdrawn, origin=live.pushed_at if live else 0)
    if forced:
        # So is what was not blessed.
        records = [record for record in records if record.outcome != "not_blessed"]
    definition = define(settings.features, settings.training, settings.code, span.schema, settings.model, settings.own)
    # Nor does a refused candidate of another definition say anything about this one's.
    records = [
        record for record in records if record.outcome != "not_blessed" or record.definition in ("", definition.digest)
    ]
    content = rows.fingerprint
    accepted = [record for record in span_records.done(records, trained) if record.accepted]
    repeats = next((r for r in accepted if r.fingerprint == content), None)
    findings = quality.unexpected(span.unexpected, settings.policy) + quality.judge(
        rows.quality, span.schema, settings.features, settings.policy, anomalies=span.anomalies
    )
    # A candidate of this definition was refused on this content, or the span's model was withdrawn by someone.
    tried = any(r.fingerprint == content and r.outcome == "not_blessed" and r.definition for r in records)
    tried = tried or bool(repeats and repeats.span in withdrawn)
    return Evidence(
        span=span.number,
        version=span.version,
        rows=rows.rows,
        fingerprint=content,
        task=settings.features.task,
        waiting=tuple(sorted(span.waiting)),
        repeats=(repeats.span, repeats.version) if repeats else None,
        newest_accepted=max((record.span for record in accepted), default=None),
        live=LiveModel(version=live.version, window=window, age_seconds=max(evaluated_at - live.trained_at, 0))
        if live
        else None,
        forced=forced,
        changes=changes(live.definition, definition) if live and live.definition and not tried else (),
        definition=definition.digest,
        labelled=rows.labelled > 0,
        labelled_rows=rows.labelled,
        findings=quality.ordered(findings),
    )


def _compare(
    evidence: Evidence,
    span: Span,
    table: pa.Table,
    live: Live,
    settings: Settings,
    floors: Floors | None,
    earlier: Sequence[since_push.SpanCounts],
) -> tuple[Evidence, drift.Comparison | None]:
    policy, features = settings.policy, settings.features
    evidence = _score(evidence, table, live, settings, floors)
    if live.baseline is None:
        text = f"nothing could be compared with what version {live.version} was trained on: {live.why_no_baseline}"
        gaps = (NotCompared(subject="drift", text=text), *evidence.not_compared)
        return dataclasses.replace(evidence, not_compared=gaps), None
    reference, season_gaps = season.baseline_of(live.baseline, span.number, policy)
    compared = drift.compare(table, reference, features, policy, schema=span.schema, statistics=span.statistics)
    label, label_gaps = labels.compare(table, features.target, reference.label_spans, policy)
    together: tuple[LastingDrift, ...] = ()
    if compared.drift is not None and compared.counts:
        before = [(item.span, item.counts) for item in earlier if _comparable(item.span, span.number, policy)]
        together = lasting.compare(before, span.number, compared.counts, reference, policy, compared.drift)
    features_ = compared.drift.features if compared.drift else ()
    moved = {item.feature for item in features_ if item.moved or item.format}
    relations, relation_gaps = _compare_joint(table, live.baseline, policy, moved)
    complete = dataclasses.replace(
        evidence,
        drift=compared.drift,
        joint=relations,
        lasting=together,
        label=label,
        not_compared=(*season_gaps, *compared.not_compared, *relation_gaps, *label_gaps, *evidence.not_compared),
    )
    return complete, compared


def _comparable(one: int, other: int, policy: GatePolicy) -> bool:
    return policy.season is None or season.are_comparable(one, other, policy.season)


def _compare_joint(
    table: pa.Table, baseline: Baseline, policy: GatePolicy, moved: Collection[str]
) -> tuple[JointDrift | None, list[NotCompared]]:
    if baseline.sample is None:
        text = "how columns go together was not compared: the live model was pushed before its rows were kept for it"
        return None, [NotCompared(subject="joint", text=text)]
    return joint.compare(table, baseline.sample, baseline.bins, baseline.label, policy, moved=moved), []


def _score(evidence: Evidence, table: pa.Table, live: Live, settings: Settings, floors: Floors | None) -> Evidence:
    """Scores the live model: against its yardstick, and always against the dataset file's own limits."""

    def without(why: str) -> Evidence:
        return dataclasses.replace(evidence, not_compared=(NotCompared(subject="performance", text=why),))

    if not evidence.labelled:
        return _believe(
            without("the live model was not scored on this span: the span has no labels"), table, live, settings
        )
    try:
        answers = scoring.ask(live.model_dir, table, settings)
        now = scoring.evaluate_answers(answers, settings)
    except (ModelError, ValueError) as error:  # A version that someone else pushed, a damaged one, or NaN for answers.
        return without(f"the live model was not scored on this span: {error}")
    if floors is not None:
        evidence = dataclasses.replace(evidence, floors=scoring.hold_to_floors(answers, settings, floors))
    yardstick = live.baseline.yardstick if live.baseline is not None else None
    if yardstick is None:
        return without("the live model is held to the dataset's own limits alone: it carries no yardstick")
    changes, gaps = yardstick.compare(now, settings.policy)
    return dataclasses.replace(evidence, performance=changes, yardstick=yardstick.origin, not_compared=tuple(gaps))


def _believe(evidence: Evidence, table: pa.Table, live: Live, settings: Settings) -> Evidence:
    """Adds what the live model's own answers promise of its performance."""
    try:
        now = promises.ask(live.model_dir, table, settings)
    except (ModelError, ValueError) as error:
        gap = NotCompared(subject="performance", text=f"what the live model's answers promise is not known: {error}")
        return dataclasses.replace(evidence, not_compared=(*evidence.not_compared, gap))
    yardstick = live.baseline.yardstick if live.baseline is not None else None
    return dataclasses.replace(evidence, promises=promises.compare(now, yardstick))


def record_of(decision: Decision, examples_uri: str, evaluated_at: int) -> span_records.SpanRecord:
    """Returns what is remembered of a span."""
    evidence = decision.evidence
    waiting = decision.row is Row.NOT_ENOUGH_ROWS
    return span_records.SpanRecord(
        span=evidence.span,
        version=evidence.version,
        fingerprint=evidence.fingerprint,
        rows=evidence.rows,
        verdict=decision.verdict.value,
        accepted=decision.verdict is not Verdict.BLOCK,
        waiting=waiting,
        examples_uri=examples_uri if waiting else "",
        decided_at=evaluated_at,
        live_version=evidence.live.version if evidence.live else "",
        definition=evidence.definition,
        labelled=evidence.labelled,
    )
