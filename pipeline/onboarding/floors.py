"""What follows from the rows of each span: the training window, its budget, and the floors of the evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from models.task_names import TaskName
from pipeline.evaluation.judge import RARE
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.onboarding.cut import SpanSummary
from pipeline.onboarding.label import CLASS_ROWS, Label

_EVAL_SHARE = 1 / 3
_ENOUGH_ROWS = 10_000
_FEWEST_SPANS, _MOST_SPANS = 4, 52
_STEPS = 800

_FLOORS: Mapping[TaskName, tuple[str, ...]] = {
    "binary": (
        "min_auc = {0.min_auc:g}  # what a model that knows nothing has",
        "max_auc_drop = {0.max_auc_drop:g}  # against the live model, on the same rows",
        "max_calibration_error = {5:g}  # beyond what the held-out rows show by chance",
    ),
    "multiclass": (
        "floors = {{ mcfadden_r_squared = 0 }}  # what answering the classes' shares has",
        "max_drop = {{ {1} = {2:g} }}  # against the live model, on the same rows",
        "max_calibration_error = {5:g}  # beyond what the held-out rows show by chance",
    ),
    "regression": (
        "floors = {{ r_squared = {3:g} }}  # what answering the {4} has",
        "max_drop = {{ {1} = {2:g} }}  # a share of the live model's, on the same rows",
    ),
}


_OF_RARE = ('metrics = ["auc_precision_recall", "recall_at_precision"]  # where few labels are 1, an AUC flatters',)


def window_of(spans: Sequence[SpanSummary]) -> int:
    """Returns how many of the newest spans are trained on: at least 4, more until they hold 10,000 rows and ten of each
    class, at most 52."""
    rows, classes = 0, np.zeros_like(spans[-1].classes)
    for count, span in enumerate(reversed(spans), 1):
        rows += span.rows
        classes = classes + span.classes
        if count >= _FEWEST_SPANS and rows >= _ENOUGH_ROWS and (classes >= CLASS_ROWS).all():
            return count
    return min(max(_FEWEST_SPANS, len(spans)), _MOST_SPANS)


def evaluation_lines(label: Label, spans: Sequence[SpanSummary]) -> list[str]:
    """Returns the table [evaluation]: the model has to beat no model, and the live one.

    The judge refuses only where a whole 95 % interval is beyond a limit, so few held-out rows need no wider limits. But
    a model of few rows cannot know a rate better than they tell it: the limit of the calibration error is the default
    and two standard deviations of a rate among the rows that are trained on.

    Args:
      spans: those of the training window, the newest last.
    """
    spec = EvaluationSpec()
    name, drop = next(iter(spec.drops_of(label.task).items()))
    floor = math.floor(100 * label.floor) / 100
    centre = "mean" if label.transform == "none" else "mean of log1p"
    rows = int(spans[-1].rows * _EVAL_SHARE)
    trained = max(1.0, (1 - _EVAL_SHARE) * sum(span.rows for span in spans))
    open_rate = 2 * math.sqrt(_variance(spans) / trained)
    calibration = min(0.5, math.ceil(100 * (spec.max_calibration_error + open_rate)) / 100)
    return [
        f"# A candidate is judged on the third of a span that is held out, {rows:,} rows or so,",
        "# and refused only where the whole 95 % interval of a metric is beyond its limit. Raise the floor to what the",
        "# model is worth once you have seen it.",
        "[evaluation]",
        *(_OF_RARE if _is_rare(label, spans) else ()),
        *(line.format(spec, name, drop, floor, centre, calibration) for line in _FLOORS[label.task]),
    ]


def threshold_lines(label: Label, spans: Sequence[SpanSummary]) -> list[str]:
    """Returns the key of [serving] without which hardly a row would be answered by a rare 1; none of other labels."""
    if not _is_rare(label, spans):
        return []
    share = float(np.sum([span.classes for span in spans], axis=0)[1] / sum(span.rows for span in spans))
    return [f'threshold = "max_f1"  # {share:.2g} of the labels are 1: hardly a row has a probability of 0.5']


def _is_rare(label: Label, spans: Sequence[SpanSummary]) -> bool:
    counts = np.sum([span.classes for span in spans], axis=0)
    return label.task == "binary" and 0 < counts[1] < RARE * counts.sum()


def _variance(spans: Sequence[SpanSummary]) -> float:
    """Returns p (1 - p) of a yes or no; of several classes, whose rate is that of right answers, the most it can be."""
    rows = np.sum([span.classes for span in spans], axis=0)
    if len(rows) != 2:
        return 0.25
    rate = float(rows[1] / rows.sum())
    return rate * (1 - rate)


def training_lines(rows: int) -> list[str]:
    """Returns the table [training] with a blank line above it; nothing from about 10,000 rows on."""
    batch, epochs, patience = _budget(rows)
    if (batch, epochs) == (128, 12):
        return []
    return [
        "",
        "# Few rows: smaller batches and more passes over them, so that training has steps enough.",
        "[training]",
        f"batch_size = {batch}",
        f"epochs = {epochs}",
        f"patience = {patience}",
    ]


def _budget(rows: int) -> tuple[int, int, int]:
    """Returns batch size, epochs and patience: the defaults from about 10,000 rows on, about 800 steps below."""
    train = max(1, int(rows * (1 - _EVAL_SHARE)))
    batch = min(128, max(16, 1 << int(math.log2(max(train / 32, 1)))))
    steps = max(1, math.ceil(train / batch))
    epochs = max(12, min(100, math.ceil(_STEPS / steps)))
    return batch, epochs, max(2, epochs // 8)
