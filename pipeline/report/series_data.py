"""A replay's series: what each policy did span by span, and how far each feature was from its threshold."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.errors import ReportError
from pipeline.evaluation import registry
from pipeline.runs.records import read_decisions
from pipeline.state.root import Root

FILE = "replay.json"
"""What `replay` leaves beside the roots of its policies."""

Policy = Literal["gate", "always", "never", "every-2", "tfdv-0.1"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
"""The gate first; the others are what it is compared with."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one span brought under one policy.

    Attributes:
      score: of the model that was live when the span arrived, on all of the span; None where none was.
      seconds: wall time of the step.
      expected: what a training was expected to bring, see Challenge; None where nothing asked, or it could not be told.
      replaced: the score, on this span, of the version that the span before replaced; None where it replaced none.
      report: the step's own report, relative to the series' page; None where its artifacts were not kept.
    """

    span: int
    verdict: str
    reason: str
    score: float | None
    trained: bool
    pushed: bool
    seconds: float
    report: str | None
    expected: float | None = None
    replaced: float | None = None

    @property
    def done(self) -> Literal["block", "rerun", "recalibrate", "skip"]:
        """What became of the span: a policy need not follow the gate's verdict."""
        if self.trained:
            return "rerun"
        if self.verdict == "block":
            return "block"
        return "recalibrate" if self.verdict == "recalibrate" and self.pushed else "skip"


@dataclass(frozen=True, kw_only=True)
class PolicySeries:
    """All steps of one policy with their totals; `mean_score` is over the spans that met a live model."""

    policy: Policy
    steps: tuple[Step, ...]
    trainings: int
    pushes: int
    seconds: float
    mean_score: float | None


@dataclass(frozen=True, kw_only=True)
class HeatRow:
    """One feature's distance as a multiple of its threshold, per span; None where it was not compared."""

    feature: str
    excess: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class SeriesReport:
    """A whole replay.

    Attributes:
      metric: of the scores, a name of pipeline/evaluation/registry.py.
      heat: of the gate's own policy, the feature that moved most often first.
      pattern: of the spans' files; where it has dates, spans are shown as dates. Empty in replays of earlier releases.
    """

    dataset: str
    metric: str
    spans: tuple[int, ...]
    policies: tuple[PolicySeries, ...]
    heat: tuple[HeatRow, ...]
    pattern: str = ""

    @property
    def gains(self) -> tuple[tuple[int, float, float], ...]:
        """Of each training that the gate made: the span, what it was expected to bring, and what it did on the next."""
        steps = self.policies[0].steps
        return tuple(
            (step.span, step.expected, self._gain(later.replaced, later.score))
            for step, later in itertools.pairwise(steps)
            if step.trained and step.expected is not None and later.score is not None and later.replaced is not None
        )

    @property
    def title(self) -> str:
        """The metric in words."""
        return registry.METRICS[self.metric].title

    @property
    def gain_unit(self) -> str:
        """What a gain is in, in words."""
        return self.title if registry.METRICS[self.metric].better == "higher" else f"of the {self.title}"

    def _gain(self, before: float, now: float) -> float:
        """Returns by how much a score is better, as the challenger promises it: of errors, as a share."""
        if registry.METRICS[self.metric].better == "higher":
            return now - before
        return 1 - now / before if before else 0.0


_FORMER_NAMES = {"auc": "score"}
"""As releases wrote them that knew one task."""


def build_series(base: Path) -> SeriesReport:
    """Reads a replay's folder: `replay.json`, and the decisions below `gate`.

    Raises:
      ReportError: the folder holds no whole replay.
    """
    path = base / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        policies = tuple(_policy(base, name, value) for name in POLICIES if name in value["steps"])
        dataset = str(value["dataset"])
        spans = tuple(step.span for step in policies[0].steps)
        metric = registry.METRICS[value.get("metric", registry.AUC)].name
        pattern = str(value.get("pattern", ""))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ReportError(f"{path} is not what a replay leaves ({error!r}). Play the replay again.") from error
    heat = _heat(base / "gate", spans)
    return SeriesReport(dataset=dataset, metric=metric, spans=spans, policies=policies, heat=heat, pattern=pattern)


def _policy(base: Path, name: Policy, value: dict[str, Any]) -> PolicySeries:  # Any: JSON.
    plain = [{_FORMER_NAMES.get(key, key): item for key, item in step.items()} for step in value["steps"][name]]
    steps = tuple(Step(**step, report=_page(base, name, step["span"])) for step in plain)
    summary = value["summary"][name]
    return PolicySeries(
        policy=name,
        steps=steps,
        trainings=summary["trainings"],
        pushes=summary["pushes"],
        seconds=summary["seconds"],
        mean_score=summary["mean_score"] if "mean_score" in summary else summary["mean_auc"],
    )


def _page(base: Path, policy: str, span: int) -> str | None:
    pages = sorted((base / policy / "reports").glob(f"span-{span}-*.html"))
    return os.path.relpath(pages[-1], base) if pages else None


def _heat(root: Path, spans: tuple[int, ...]) -> tuple[HeatRow, ...]:
    """Returns every feature that any span was compared on."""
    measured: dict[str, dict[int, float]] = {}
    for record in read_decisions(Root(root)):
        evidence = record.decision.evidence
        for item in evidence.drift.features if evidence.drift else ():
            measured.setdefault(item.feature, {})[evidence.span] = item.excess
    rows = [
        HeatRow(feature=feature, excess=tuple(by_span.get(span) for span in spans))
        for feature, by_span in measured.items()
    ]
    return tuple(sorted(rows, key=lambda row: _movement(row.excess), reverse=True))


def _movement(excess: tuple[float | None, ...]) -> tuple[int, float]:
    """Sorts by how often a feature moved, then by how far at most."""
    measured = [value for value in excess if value is not None]
    return sum(value > 1 for value in measured), max(measured, default=0.0)
