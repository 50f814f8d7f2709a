"""The answers themselves: their distribution now against the model's at push, needing no label.

The reference are this very model's predictions of held-out rows of the newest span that it was trained on, which
pipeline/components/infra_validator.py keeps beside the baseline.
See docs/decisions/0702-predictions-of-the-same-model.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from monitoring.request_rows import PREDICTION
from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.gate import drift, tfdv
from pipeline.gate.baseline import Baseline, BaselineError, build_baseline
from pipeline.gate.evidence import FeatureDrift, NotCompared
from pipeline.gate.policy import GatePolicy
from pipeline.state.version_folder import PREDICTIONS_FILE

_NAME = "prediction"
# A baseline wants a label; predictions have none, and it says so.
_SPEC = FeatureSpec(label="no_label", numeric=(_NAME,))
_SCHEMA = schema_pb2.Schema(feature=[schema_pb2.Feature(name=_NAME, type=schema_pb2.FLOAT)])


@dataclass(frozen=True, kw_only=True)
class PredictionChange:
    """The answers of a window.

    Attributes:
      mean: of the predicted probabilities.
      mean_at_push: the same of the reference; None where there is none.
      drift: Jensen-Shannon over bins frozen in the reference, with its calibrated threshold; None likewise.
    """

    mean: Estimate
    mean_at_push: Estimate | None
    drift: FeatureDrift | None


@dataclass(frozen=True, kw_only=True)
class AtPush:
    """The reference: its distribution, measured as a baseline of one column, and its mean."""

    distribution: Baseline
    mean: Estimate


def reference(baseline_dir: Path, policy: GatePolicy) -> AtPush | None:
    """Returns the predictions at push; None where the version holds none, or too few to compare with."""
    path = baseline_dir / PREDICTIONS_FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        values = arrays["probabilities"].astype(np.float64)
    try:
        measured = build_baseline(
            {0: pa.table({_NAME: values})}, _SCHEMA, _SPEC, policy, evaluation=None, statistics=None
        )
    except BaselineError:
        return None
    return AtPush(distribution=measured, mean=intervals.mean(values))


def compare(
    rows: pa.Table, at_push: AtPush | None, policy: GatePolicy
) -> tuple[PredictionChange | None, list[NotCompared]]:
    """Compares the answers of a window with those at push.

    Returns:
      What the answers were, None where the log holds none; and what could not be compared.
    """
    values = rows.column(PREDICTION).drop_null()
    if len(values) == 0:
        return None, [NotCompared(subject="skew", text="the predictions were not compared: the log holds no answers")]
    mean = intervals.mean(values.to_numpy())
    if at_push is None:
        text = "the predictions were not compared: none were stored with this version when it was pushed"
        return PredictionChange(mean=mean, mean_at_push=None, drift=None), [NotCompared(subject="skew", text=text)]
    compared = drift.compare(pa.table({_NAME: values}), at_push.distribution, _SPEC, policy, measure=tfdv.measure_skew)
    measured = [item for item in compared.drift.features if item.feature == _NAME] if compared.drift else []
    gaps = [gap for gap in compared.not_compared if gap.subject != "label"]
    return PredictionChange(mean=mean, mean_at_push=at_push.mean, drift=measured[0] if measured else None), gaps
