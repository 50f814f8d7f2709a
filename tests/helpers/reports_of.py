"""Reports made by hand: one that is hostile in every way its data can be."""

from pipeline.evaluation.curves import CalibrationBin, EvaluationCurves, ModelCurves
from pipeline.evaluation.judge import Judgement, SliceJudgement
from pipeline.gate.bins import FeatureBins
from pipeline.gate.decision import Decision, Reason, Row, Verdict
from pipeline.gate.distributions import Distribution
from pipeline.gate.evidence import (
    Drift,
    Estimate,
    Evidence,
    FeatureDrift,
    Finding,
    LabelChange,
    LiveModel,
    MetricChange,
    ServingAlert,
)
from pipeline.report.data import (
    Cost,
    Epoch,
    Evaluation,
    FeatureSummary,
    LineageStep,
    RunReport,
    Servability,
    Settings,
    Statistics,
    StatisticsRow,
    Training,
)
from pipeline.runs.outcome import Result

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = '"><img src=https://example.org/x onerror="console.error(\'owned\')">'
LONG = "Llanfairpwllgwyngyll" * 250
BIDI = "\u202egnihtemos\u202c 日本語 Ünïcödé \U0001f695 a\u0301"
NAMES = [SCRIPT, IMAGE, LONG, BIDI, "`back` ticks`", "{{ 7 * 7 }}", "</style></svg></html>", "", " ", "a&amp;b"]
COLUMNS = 500


def column(index: int) -> str:
    return f"{NAMES[index % len(NAMES)]}{index}"


def feature_drift(index: int) -> FeatureDrift:
    name = column(index)
    return FeatureDrift(
        feature=name,
        measure="l_infinity",
        distance=1 / (index + 1),
        threshold=0.05,
        noise=0.05,
        variation=None,
        floor=0.03,
        limit="noise",
        chance=0.0,
        moved=index < 19,
        direction=f"`{name}`: share of `{LONG}` 0.10 → 0.90",
    )


def distribution(index: int) -> Distribution:
    if index % 2:
        bins = FeatureBins(name=column(index), kind="numeric", points=(0.0,), edges=(-1e300, 0.5, 1e300))
        return Distribution(bins=bins, baseline=(0, 10, 0, 5, 5, 0), span=(5, 5, 0, 5, 4, 1))
    bins = FeatureBins(name=column(index), kind="categorical", values=tuple(NAMES[:9]))
    return Distribution(bins=bins, baseline=tuple(range(11)), span=tuple(range(11, 0, -1)))


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.01, high=value + 0.01, rows=1000)


def change(name: str) -> MetricChange:
    return MetricChange(
        metric="auc", slice=name, baseline=estimate(0.9), current=estimate(0.7), low=-0.3, high=-0.1, margin=0.02,
        judged=True, matters=True,
    )  # fmt: skip


def slice_judgement(name: str) -> SliceJudgement:
    return SliceJudgement(
        slice=name, examples=120, value=0.7, deviation=0.05, calibration_error=0.02, mean_label=0.2,
        mean_prediction=0.25, live=0.9, status="failed", why=f"worse on {name}",
    )  # fmt: skip


def curves() -> ModelCurves:
    return ModelCurves(
        metrics=(("auc", 0.7), ("mean_label", 0.2)),
        deviations=(("auc", 0.05),),
        roc=((0, 0), (0.3, 0.6), (1, 1)),
        precision_recall=((0.1, 1), (1, 0.2)),
        calibration=(CalibrationBin(examples=120, predicted=0.25, observed=0.2, low=0.14, high=0.28),),
    )


def hostile() -> RunReport:
    """Returns a report of 500 columns whose names and values attack the page."""
    features = tuple(feature_drift(index) for index in range(COLUMNS))
    summary = FeatureSummary(present=0.5, mean=-1e300, deviation=1e-300, minimum=float("-inf"), maximum=float("nan"))
    words = FeatureSummary(present=1.0, distinct=10**12, top=(LONG, 0.9))
    evidence = Evidence(
        span=7,
        version=3,
        rows=10**9,
        fingerprint="0",
        live=LiveModel(version="1795590327", window=(1, 2, 3), age_seconds=5),
        findings=tuple(
            Finding(
                feature=column(index), kind="unseen_values", severity="warn", text=f"`{column(index)}`: `{LONG}`"
            )
            for index in range(COLUMNS)
        ),
        drift=Drift(features=features, false_alarm_rate=0.05, rows=10**9, reference_rows=10, window=(1, 2, 3)),
        performance=tuple(change(name) for name in ["", *(f"a={column(index)}" for index in range(40))]),
        skew=(ServingAlert(kind="skew", text=f"requests: `{SCRIPT}` {LONG}", feature=SCRIPT),),
        label=LabelChange(
            label=SCRIPT, baseline=estimate(0.2), current=estimate(0.3), low=0.05, high=0.15, margin=0.05, matters=True
        ),
    )  # fmt: skip
    decision = Decision(
        verdict=Verdict.RERUN,
        row=Row.DRIFT,
        reasons=tuple(Reason(kind="drift", text=f"{item.direction} (0.5, threshold 0.05)") for item in features[:19]),
        notes=tuple(Reason(kind="warning", text=column(index)) for index in range(COLUMNS)),
        evidence=evidence,
    )
    return RunReport(
        dataset=SCRIPT,
        run_id=f"2026-01-01T00:00:00{IMAGE}",
        started_at=1_767_225_600.0,
        span=7,
        version=3,
        outcome=Result.NOT_BLESSED,
        headline=f"The candidate was not pushed: {SCRIPT} {LONG}",
        pushed_version=None,
        error=f"{IMAGE} {LONG}",
        decision=decision,
        distributions=tuple(distribution(index) for index in range(COLUMNS)),
        statistics=Statistics(
            span_examples=10**9,
            baseline_examples=10,
            rows=tuple(
                StatisticsRow(
                    feature=column(index),
                    type="string",
                    moved=index < 19,
                    span=(words if index % 2 else summary) if index % 7 else None,
                    baseline=words if index % 5 else None,
                )
                for index in range(COLUMNS)
            ),
        ),
        training=Training(
            rows=10**9,
            curve=(Epoch(epoch=1, steps=10, train_loss=0.5, validation_loss=0.6, seconds=1.0),),
            best_epoch=1,
            validation_rows=10,
            validation=(("auc", 0.7), ("log loss", 0.6)),
            loss="log loss, nats",
            start=SCRIPT,
            seconds=5.0,
        ),
        evaluation=Evaluation(
            judgement=Judgement(
                blessed=False,
                reasons=(f"{IMAGE} {LONG}",),
                slices=tuple(
                    slice_judgement(name) for name in ["", *(f"a={column(index)}" for index in range(COLUMNS))]
                ),
            ),
            curves=EvaluationCurves(candidate=curves(), live=curves()),
        ),
        servability=Servability(servable=False, reason=SCRIPT, p99_ms=None),
        lineage=(LineageStep(what=SCRIPT, source=IMAGE, kind=BIDI, path=f"/{LONG}"),),
        costs=(Cost(node=SCRIPT, status="failed", start=0.0, seconds=0.0, peak_memory_bytes=None),),
        configuration=(Settings(name=SCRIPT, values=((IMAGE, LONG), ("values", BIDI))),),
    )
