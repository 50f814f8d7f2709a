"""The label as one more column of a flat table, and how its share of positives moved.

What is predicted is given as a Target, or as the expression of a binary label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.label import NO_LABEL
from models.target import Target, is_known
from pipeline.evaluation import intervals
from pipeline.gate import between_spans, clusters
from pipeline.gate.between_spans import Between
from pipeline.gate.evidence import LabelChange, NotCompared
from pipeline.gate.policy import GatePolicy


def evaluate(table: pa.Table, label: Target | str) -> npt.NDArray[Any]:  # Any: int64, or float64 of a regression.
    """Returns the label of each row as `Target.evaluate` does, unknown where one of its columns is not there at all."""
    target = _target(label)
    if any(name not in table.column_names for name in target.columns):
        is_number = target.task == "regression"
        return np.full(table.num_rows, np.nan if is_number else NO_LABEL, np.float64 if is_number else np.int64)
    return np.asarray(target.evaluate({name: table.column(name) for name in target.columns}))


def is_labelled(table: pa.Table, label: Target | str) -> bool:
    """Whether any row has a label."""
    return bool(is_known(evaluate(table, label)).any())


def labelled(table: pa.Table, label: Target | str) -> tuple[pa.Table, npt.NDArray[Any]]:
    """Returns the rows that have a label, and their labels."""
    values = evaluate(table, label)
    has_label = is_known(values)
    return table.filter(pa.array(has_label)), values[has_label]


def weights(table: pa.Table, label: Target | str) -> npt.NDArray[np.float64] | None:
    """Returns how much each row counts, or None where all count alike, or a column that says it is not there."""
    target = _target(label)
    if not target.weight or any(name not in table.column_names for name in target.weight_columns):
        return None
    return np.asarray(target.weights({name: table.column(name) for name in target.weight_columns}), np.float64)


def with_label(table: pa.Table, label: Target | str) -> pa.Table:
    """Returns the table with a column named like the label's expression: a class's name, of two "0" and "1", or a
    number; null where it is unknown."""
    target, values = _target(label), evaluate(table, label)
    unknown = ~is_known(values)
    if target.task == "regression":
        column = pa.array(values, pa.float64(), mask=unknown)
    else:
        names = pa.array(target.classes or ("0", "1"), pa.large_string())
        codes = pa.array(np.where(unknown, 0, values).astype(np.int32), mask=unknown)
        column = pa.DictionaryArray.from_arrays(codes, names).cast(pa.large_string())
    if target.label in table.column_names:
        return table.set_column(table.column_names.index(target.label), target.label, column)
    return table.append_column(target.label, column)


def _target(label: Target | str) -> Target:
    return Target(label=label) if isinstance(label, str) else label


def positives(table: pa.Table, label: Target | str, cluster: str | None = None) -> tuple[int, int]:
    """Returns the number of rows of label or class 1, and of labelled rows: as many as they are worth, where they come
    in groups or do not count alike. A number is never positive."""
    values = evaluate(table, label)
    known = is_known(values)
    if values.dtype.kind == "f":
        return 0, int(known.sum())
    is_positive, rows = (values[known] == 1).astype(np.float64), int(known.sum())
    groups, weigh = clusters.of(table, cluster), weights(table, label)
    if rows == 0 or (groups is None and weigh is None):
        return int(is_positive.sum()), rows
    share, worth = float(is_positive.mean()), float(rows)
    if weigh is not None:
        share, worth = float(np.average(is_positive, weights=weigh[known])), intervals.effective_rows(weigh[known])
    if groups is not None:
        worth /= clusters.design_effect(is_positive, groups[known])
    return round(share * worth), round(worth)


def compare(
    table: pa.Table, label: Target | str, window: Sequence[tuple[int, int]], policy: GatePolicy
) -> tuple[LabelChange | None, list[NotCompared]]:
    """Compares the share of positive labels with the training window's, given how that varies from span to span.

    Several classes and numbers have no such share: their label is compared as one more feature, pipeline/gate/drift.py.

    Args:
      window: positive and labelled rows of each span of the training window, or of all in one where no more is known;
        as many as they are worth where they come in groups or do not count alike.

    Returns:
      The change, or None and why there is none.
    """
    target = _target(label)
    if target.task != "binary":
        return None, []
    now = positives(table, target, policy.cluster)
    spans = [span for span in window if span[1]]
    baseline = (sum(span[0] for span in spans), sum(span[1] for span in spans))
    for rows, where in ((now[1], "the span"), (baseline[1], "the baseline")):
        if rows == 0:
            return None, [NotCompared(subject="label", text=f"the label was not compared: {where} has no labels")]
    before, after = intervals.wilson(*baseline), intervals.wilson(*now)
    ordinary = _ordinary(spans, before.value)
    rate = policy.alarm_rate("label")
    # Of a share that fell to nearly nothing the interval is short: what counts is how the share before errs here.
    unmoved = math.sqrt(before.value * (1 - before.value) / now[1])
    erring = intervals.around(after.value, max(intervals.standard_error(after), unmoved), now[1])
    low, high = between_spans.difference(before, erring, ordinary, rate, spans_before=len(spans))
    change = after.value - before.value
    margin = min(policy.label_share_margin, policy.relative_margin * before.value)
    return LabelChange(
        label=target.label,
        baseline=before,
        current=after,
        low=low,
        high=high,
        margin=margin,
        matters=abs(change) > margin and not low <= 0 <= high,
        between_spans=math.sqrt(ordinary.variance) if len(spans) > 1 else None,
    ), []


def _ordinary(spans: Sequence[tuple[int, int]], share: float) -> Between:
    """Returns how the share varies between spans; each errs as a span of the common share would."""
    if not 0 < share < 1:
        return between_spans.NOTHING
    errors = [math.sqrt(share * (1 - share) / rows) for _, rows in spans]
    return between_spans.ordinary([positive / rows for positive, rows in spans], errors)
