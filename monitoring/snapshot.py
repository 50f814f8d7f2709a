"""The state of a root at this moment, as plain values: the source of every metric.

The exporter counts nothing in memory. It reads every number from files that runs and the monitor wrote. So the numbers
survive a restart, and every exporter of a root (the monitor's, `watch`'s, a file for cron) shows the same.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from monitoring import window_report
from monitoring.monitor import LOOKED
from monitoring.store import Progress, Store
from monitoring.window_report import WindowReport
from pipeline.config.dataset import Dataset
from pipeline.runs.records import DecisionRecord, forgotten_decisions, forgotten_runs, read_decisions, read_runs
from pipeline.state import span_records, version_folder
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

logger = logging.getLogger(__name__)

T = TypeVar("T")

NEWEST_SPANS = 12
"""Of so many spans the distances are shown side by side."""
MOST_FEATURES = 50
MOST_SLICES = 50
MOST_VERSIONS = 10
_SERVER_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A feature's distance and threshold."""

    feature: str
    distance: float
    threshold: float
    moved: bool


@dataclass(frozen=True, kw_only=True)
class SpanDecision:
    """What the gate said of a span.

    Attributes:
      live: the version that was live then, and was scored; None where none was.
      auc: of that version on the span, by slice, "all" for the whole.
    """

    span: int
    verdict: str
    rows: int
    drift: tuple[Compared, ...]
    live: int | None
    auc: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Served:
    """What the newest judged window of the live version says; `auc` and `metrics` of the newest one that has labels.

    Attributes:
      classes: of a multiclass task, mean probability of each class.
      metrics: overall, by the names of pipeline/evaluation/registry.py.
    """

    rows: int
    skew: tuple[Compared, ...]
    alerting: frozenset[str]
    alerts: Mapping[str, int]
    mean_prediction: float | None
    prediction: Compared | None
    auc: Mapping[str, float]
    labelled: int
    classes: Mapping[str, float]
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a root.

    Attributes:
      newest_decided_at: when the newest span was decided, seconds since 1970.
      decisions: by verdict and kind of the first reason.
      newest: what was decided last; history: of the newest spans, ascending.
      live_version: None where none is live; its number is the time at which it was made live.
      made_at: when the live version's model was first pushed, which is earlier after a rollback.
      limits: of `[evaluation]`, what each metric of the task must reach or may be at most.
      unfollowed: features of the newest span that moved, where the live model was not trained on it.
      run_seconds: of the last run, by component.
      looked_at, look_interval: of the monitor.
      server_states: version to its state in the model server; None where no server was asked, or it did not answer.
    """

    newest_decided_at: float | None
    decisions: Mapping[tuple[str, str], int]
    newest: SpanDecision | None
    history: tuple[SpanDecision, ...]
    live_version: int | None
    made_at: int | None
    unfollowed: int
    auc_floor: float | None
    limits: Mapping[str, float]
    max_age_seconds: float
    runs: Mapping[str, int]
    run_seconds: Mapping[str, float]
    last_run_at: float | None
    last_success_at: float | None
    progress: Progress
    served: Served | None
    looked_at: float | None
    look_interval: float | None
    server_states: Mapping[int, str] | None


@dataclass
class Gatherer:
    """Reads a root again and again; long files only when they have changed.

    Attributes:
      server_url: the model server's REST address, to ask for its versions; None to ask nobody.
    """

    dataset: Dataset
    root: Root
    server_url: str | None = None
    _lines: dict[Path, tuple[tuple[int, int], list[Any]]] = field(default_factory=dict)  # Any: what was read.

    def gather(self) -> Snapshot:
        """Returns the state now.

        Raises:
          PipelineError, OSError: a file of the root is damaged or cannot be read.
        """
        serving_dir = self.root.serving(self.dataset.serving.model_name)
        versions = pushed_versions(serving_dir)
        decided = self._unless_unchanged(self.root.decisions, lambda: list(map(summarise, read_decisions(self.root))))
        runs = self._unless_unchanged(self.root.runs, lambda: read_runs(self.root))
        newest = decided[-1][1] if decided else None
        by_span = {decision.span: decision for _, decision in decided}
        records = span_records.newest_records(span_records.read_records(str(self.root.state)))
        succeeded = [run for run in runs if run.result.finished]
        looked = _looked(self.root.monitoring / LOOKED)
        live = version_folder.live_training(serving_dir)
        task = self.dataset.features.task
        return Snapshot(
            newest_decided_at=_modified(self.root.state / records[max(records)].file_name) if records else None,
            decisions=Counter(kind for kind, _ in decided) + forgotten_decisions(self.root),
            newest=newest,
            history=tuple(by_span[span] for span in sorted(by_span)[-NEWEST_SPANS:]),
            live_version=versions[-1] if versions else None,
            made_at=_made_at(serving_dir, versions[-1]) if versions else None,
            unfollowed=_unfollowed(newest, (*live.window, *live.withdrawn)),
            auc_floor=self.dataset.evaluation.min_auc if task == "binary" else None,
            limits=self.dataset.evaluation.floors_of(task),
            max_age_seconds=self.dataset.gate.max_model_age_days * 86_400,
            runs=Counter(run.result.value for run in runs) + forgotten_runs(self.root),
            run_seconds=runs[-1].seconds if runs else {},
            last_run_at=runs[-1].ended_at if runs else None,
            last_success_at=succeeded[-1].ended_at if succeeded else None,
            progress=Store(self.root.monitoring).progress(),
            served=served(window_report.read_all(self.root.monitoring / "reports"), versions[-1] if versions else 0),
            looked_at=looked.get("looked_at"),
            look_interval=looked.get("interval_seconds"),
            server_states=self._server_states(),
        )

    def _unless_unchanged(self, path: Path, read: Callable[[], list[T]]) -> list[T]:
        """Returns what `read` makes of a journal; what it has made before where the file has not changed since."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return []
        stamp = (stat.st_size, stat.st_mtime_ns)
        if path not in self._lines or self._lines[path][0] != stamp:
            self._lines[path] = (stamp, read())
        return self._lines[path][1]

    def _server_states(self) -> dict[int, str] | None:
        if self.server_url is None:
            return None
        url = f"{self.server_url.rstrip('/')}/v1/models/{quote(self.dataset.serving.model_name, safe='')}"
        try:
            with urllib.request.urlopen(url, timeout=_SERVER_TIMEOUT_S) as answer:
                states = json.load(answer)["model_version_status"]
            return {int(entry["version"]): str(entry["state"]) for entry in states}
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("The model server at %s did not say which versions it has: %s", url, error)
            return None


def summarise(record: DecisionRecord) -> tuple[tuple[str, str], SpanDecision]:
    """Returns (verdict, kind of the first reason) and what the metrics need of a decision."""
    decision, evidence = record.decision, record.decision.evidence
    drift = [
        Compared(feature=item.feature, distance=item.distance, threshold=item.threshold, moved=item.moved)
        for item in (evidence.drift.features if evidence.drift else ())
    ]
    areas = [change for change in evidence.performance if change.metric == "auc"]
    kind = decision.reasons[0].kind if decision.reasons else "none"
    return (decision.verdict.value, kind), SpanDecision(
        span=evidence.span,
        verdict=decision.verdict.value,
        rows=evidence.rows,
        drift=tuple(drift[:MOST_FEATURES]),
        live=int(evidence.live.version) if evidence.live else None,
        auc={change.slice or "all": change.current.value for change in areas[:MOST_SLICES]},
    )


def served(reports: Sequence[WindowReport], live_version: int) -> Served | None:
    """Returns the findings of the live version's windows; None if no window was judged."""
    own = [report for report in reports if report.version == live_version]
    if not own:
        return None
    newest = own[-1]
    labelled = next((report.performance for report in reversed(own) if report.performance), None)
    slices = labelled.evaluation.slices[:MOST_SLICES] if labelled else ()
    answers = newest.prediction
    moved = answers.drift if answers else None
    return Served(
        rows=newest.rows,
        skew=tuple(
            Compared(feature=item.feature, distance=item.distance, threshold=item.threshold, moved=item.moved)
            for item in (newest.skew.features if newest.skew else ())[:MOST_FEATURES]
        ),
        alerting=frozenset(alert.feature for alert in newest.alerts if alert.kind == "skew" and alert.feature),
        alerts=Counter(alert.kind for alert in newest.alerts),
        mean_prediction=answers.mean.value if answers else None,
        prediction=Compared(feature="prediction", distance=moved.distance, threshold=moved.threshold, moved=moved.moved)
        if moved
        else None,
        auc={item.slice or "all": item.auc.value for item in slices if item.auc is not None},
        labelled=labelled.labelled if labelled else 0,
        classes={item.name: item.mean.value for item in answers.classes[:MOST_SLICES]} if answers else {},
        metrics=labelled.metrics if labelled else {},
    )


def _made_at(serving_dir: Path, version: int) -> int:
    rollback = version_folder.read_rollback(serving_dir / str(version))
    return rollback.origin if rollback is not None else version


def _unfollowed(newest: SpanDecision | None, settled: Sequence[int]) -> int:
    if newest is None or newest.span in settled or newest.verdict == "block":
        return 0
    return sum(item.moved for item in newest.drift)


def _looked(path: Path) -> Mapping[str, float]:
    try:
        value: Mapping[str, float] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
