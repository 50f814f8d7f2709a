"""What a training would bring, asked where something asks for a training: only then are earlier spans read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from columnar.errors import ExamplesError
from models.errors import ModelError
from models.features import FeatureSpec
from models.training_spec import TrainingSpec
from pipeline.errors import PipelineError
from pipeline.gate import challenger, labels, payoff, repeats, scoring
from pipeline.gate.baseline import Baseline
from pipeline.gate.decision import Row, Verdict, decide
from pipeline.gate.evidence import Challenge, Evidence, MetricChange, NotCompared
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import Settings
from pipeline.state import since_push


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a training would read.

    Attributes:
      window: the spans, the one at hand included.
      rows_of: returns a span's rows in the order of its files, flat columns.
    """

    window: tuple[int, ...]
    rows_of: Callable[[int], pa.Table]


def measure(
    evidence: Evidence,
    model_dir: Path | str,
    baseline: Baseline,
    settings: Settings,
    past: Past,
    earlier: Sequence[since_push.SpanCounts],
    *,
    may_recalibrate: bool,
) -> Evidence:
    """Adds what a training would bring, where that may change the decision.

    Args:
      earlier: the spans that were compared with this live model before.
      may_recalibrate: no recalibration was refused on this content.
    """
    features, policy = settings.features, settings.policy
    decision = decide(evidence, policy)
    asked = decision.row in (Row.PERFORMANCE, Row.DRIFT) and decision.verdict is Verdict.RERUN
    if not (asked or fell(evidence.performance, policy)):
        return evidence
    numbers, learned = (*evidence.waiting, evidence.span), baseline.learned or baseline.window
    if not evidence.labelled:
        since = {*past.window} - {*numbers} - {*learned}
        evidence = dataclasses.replace(evidence, new_labels=any(_has_labels(past, span, features) for span in since))
        return _without(evidence, "what a training would bring, because the span has no labels")
    from models.predictor import predictor_of  # Loads TensorFlow, which most decisions do without.
    from models.recalibration import calibration_of

    try:
        predictor = predictor_of(str(model_dir))
        recalibratable = may_recalibrate and calibration_of(str(model_dir)) is not None
        rows = _rows(past, numbers)
        known = baseline.known_rows
        if evidence.left_out or (known is not None and known.are_delivered_twice):
            # Else what one half learned by heart, the other is asked.
            rows = repeats.distinct(rows, features.columns)
        found = challenger.challenge(
            {span: past.rows_of(span) for span in sorted({*learned, *past.window} - {*numbers})},
            rows,
            learned=learned,
            would_learn=past.window,
            live=predictor.predict,
            features=features,
            loss=TrainingSpec.from_json(settings.training).loss,
            repairable=recalibratable,
        )
    except (PipelineError, ExamplesError, ModelError, OSError, ValueError) as error:
        found = f"what a training would bring was not measured: {error}"
    if isinstance(found, str):
        return _without(evidence, found)
    before = payoff.forgone(item.gain for item in earlier)
    found = as_certain_as_groups(found, rows, predictor.predict, settings)
    challenge = dataclasses.replace(found, forgone=before)
    return dataclasses.replace(evidence, challenge=challenge, recalibratable=recalibratable)


def as_certain_as_groups(
    found: Challenge, rows: pa.Table, live: Callable[[pa.Table], npt.NDArray[Any]], settings: Settings
) -> Challenge:
    """Returns what was measured with intervals as wide as the groups make those of the live model's residuals."""
    target, cluster = settings.features.target, settings.policy.cluster
    if cluster is None:
        return found
    table, truth = labels.labelled(rows, target)
    return scoring.widened(found, scoring.widening(table, truth, live(table), cluster, target))


def fell(changes: Sequence[MetricChange], policy: GatePolicy) -> bool:
    """Whether the main metric is so much worse than its yardstick that a training may pay, certain or not."""
    for change in changes:
        if not change.slice and change.metric in ("auc", "accuracy", "error"):
            before, now = change.baseline.value, change.current.value
            worse = now / before - 1 if change.metric == "error" and before else before - now
            return worse > policy.gain_that_counts(change.metric)
    return False


def _without(evidence: Evidence, why: str) -> Evidence:
    gap = NotCompared(subject="gain", text=why)
    return dataclasses.replace(evidence, not_compared=(*evidence.not_compared, gap))


def _has_labels(past: Past, span: int, features: FeatureSpec) -> bool:
    """Whether a training that reads this span would learn from it; in doubt it would."""
    try:
        return labels.is_labelled(past.rows_of(span), features.target)
    except (PipelineError, ExamplesError, OSError, ValueError):
        return True


def _rows(past: Past, numbers: Sequence[int]) -> pa.Table:
    return pa.concat_tables([past.rows_of(number) for number in numbers])
