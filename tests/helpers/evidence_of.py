"""Evidence for tests: a span about which nothing is remarkable, and what can be."""

from typing import Any

from pipeline.evaluation.intervals import Estimate
from pipeline.gate.evidence import (
    Drift,
    Evidence,
    FeatureDrift,
    Finding,
    FloorCheck,
    LabelChange,
    LiveModel,
    MetricChange,
)


def estimate(value: float, error: float = 0.01, rows: int = 1000) -> Estimate:
    return Estimate(value=value, low=value - 1.96 * error, high=value + 1.96 * error, rows=rows)


def feature_drift(*, distance: float = 0.21, threshold: float = 0.08, unseen: float = 0.0) -> FeatureDrift:
    return FeatureDrift(
        feature="payment_type",
        measure="l_infinity",
        distance=distance,
        threshold=threshold,
        noise=0.05,
        variation=0.08,
        floor=0.04,
        limit="variation",
        chance=0.0,
        moved=distance > threshold,
        direction="`payment_type`: share of `Credit Card` 0.31 → 0.52",
        unseen=unseen,
    )


def drift(*features: FeatureDrift) -> Drift:
    return Drift(features=features, false_alarm_rate=0.05, rows=1200, reference_rows=3200, window=(1, 2, 3, 4))


def metric_change(*, matters: bool) -> MetricChange:
    return MetricChange(
        metric="auc",
        slice="",
        baseline=estimate(0.75),
        current=estimate(0.64 if matters else 0.75),
        low=-0.15 if matters else -0.04,
        high=-0.07 if matters else 0.04,
        margin=0.02,
        judged=True,
        matters=matters,
    )


def floor_check(*, missed: bool) -> FloorCheck:
    return FloorCheck(metric="auc", current=estimate(0.80 if missed else 0.86), limit=0.85, missed=missed)


def label_change(*, matters: bool) -> LabelChange:
    return LabelChange(
        label="late",
        baseline=estimate(0.25),
        current=estimate(0.13 if matters else 0.25),
        low=-0.16 if matters else -0.04,
        high=-0.08 if matters else 0.04,
        margin=0.05,
        matters=matters,
    )


def blocking() -> Finding:
    return Finding(
        feature="fare",
        kind="out_of_range",
        severity="block",
        text="`fare`: 10 of 1,000 rows",
        share=0.01,
        tolerance=0.005,
    )


def evidence(**changes: Any) -> Evidence:  # Any: the fields of Evidence.
    """A usable span 5 of 1,200 rows, compared with version 3, in which nothing moved."""
    quiet: dict[str, Any] = {
        "span": 5,
        "version": 0,
        "rows": 1200,
        "fingerprint": "f" * 32,
        "newest_accepted": 4,
        "live": LiveModel(version="3", window=(1, 2, 3, 4), age_seconds=86_400),
        "drift": drift(feature_drift(distance=0.02)),
        "performance": (metric_change(matters=False),),
        "label": label_change(matters=False),
        "skew": (),
    }
    return Evidence(**{**quiet, **changes})
