"""What a report says, as values: the template adds only words around them and the charts only lines."""

from __future__ import annotations

from dataclasses import dataclass

from models.history import Contender, Epoch
from pipeline.evaluation.curves import EvaluationCurves
from pipeline.evaluation.judge import Judgement
from pipeline.gate.decision import Decision, Verdict
from pipeline.gate.distributions import Distribution
from pipeline.runs.metadata import Status
from pipeline.runs.outcome import Result
from pipeline.selection.trials import Tuning


@dataclass(frozen=True, kw_only=True)
class FeatureSummary:
    """One feature's statistics in one data set; None where a statistic does not apply.

    Attributes:
      present: share of the examples that have a value.
      top: the most frequent value and its share of the values.
    """

    present: float
    mean: float | None = None
    deviation: float | None = None
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    distinct: int | None = None
    top: tuple[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class StatisticsRow:
    """One feature, in the span and in the training window of the live model; None where it is not there."""

    feature: str
    type: str
    moved: bool
    span: FeatureSummary | None
    baseline: FeatureSummary | None


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """TFDV's statistics of the train splits; `baseline_examples` is None where no model was live."""

    span_examples: int
    baseline_examples: int | None
    rows: tuple[StatisticsRow, ...]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A table of what the model is made of, the largest first.

    Attributes:
      intro: what the numbers are, in words.
      outputs: titles of the columns of numbers.
      rows: column, value, and a number for each output.
      left_out: how many rows there are besides.
    """

    intro: str
    outputs: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[float, ...]], ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the candidate was trained. Validation rows are of the train split, and unseen by the members that judge them.

    Attributes:
      loss: its name, with the unit.
      start: where the weights came from, in words.
      seconds: of training alone, without reading the rows and writing the model.
      learner, learner_reason: what trained it, and a clause that says why, where dataset.toml does not name it.
      contenders: where several learners were trained, all of them.
      explanation: what a person can read of it; None where there is nothing.
    """

    rows: int
    curve: tuple[Epoch, ...]
    best_epoch: int
    validation_rows: int
    validation: tuple[tuple[str, float], ...]
    loss: str
    start: str
    seconds: float
    learner: str = "network"
    learner_reason: str = ""
    contenders: tuple[Contender, ...] = ()
    explanation: Explanation | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Candidate and live model on the held-out rows of the newest span; `curves` is None where none were recorded."""

    judgement: Judgement
    curves: EvaluationCurves | None


@dataclass(frozen=True, kw_only=True)
class Servability:
    """What a model server made of the candidate; `p99_ms` of single-row requests."""

    servable: bool
    reason: str
    p99_ms: float | None


@dataclass(frozen=True, kw_only=True)
class LineageStep:
    """One artifact between the span's files and the version, and the execution that made it.

    Attributes:
      what: in words.
      source: `component, execution number`.
      kind: `type, artifact number`; empty where it is no artifact.
      path: file or folder.
    """

    what: str
    source: str
    kind: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one component took.

    Attributes:
      start: seconds since the run's first component began.
      peak_memory_bytes: the largest resident set of the process until the component's end; None where not recorded.
    """

    node: str
    status: Status
    start: float
    seconds: float
    peak_memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One group of the configuration: its name in dataset.toml, and (key, value)."""

    name: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """One run of the pipeline on one span.

    Attributes:
      started_at: seconds since 1970.
      version: of the span.
      pushed_version: of the model; None where none was pushed.
      error: what a failed component said; empty where none failed, and where the gate itself refused the span.
      distributions: of the compared features, the one with the largest excess first.
    """

    dataset: str
    run_id: str
    started_at: float
    span: int
    version: int
    outcome: Result
    headline: str
    pushed_version: str | None
    error: str
    decision: Decision | None
    distributions: tuple[Distribution, ...]
    statistics: Statistics | None
    tuning: Tuning | None = None
    training: Training | None
    evaluation: Evaluation | None
    servability: Servability | None
    lineage: tuple[LineageStep, ...]
    costs: tuple[Cost, ...]
    configuration: tuple[Settings, ...]

    @property
    def done(self) -> str:
        """What became of the span, in words: a recalibration is no rerun."""
        if self.decision is None or self.decision.verdict is not Verdict.RECALIBRATE:
            return self.outcome.text
        return self.outcome.text.replace("a rerun", "a recalibration").replace("rerun", "recalibrated")
