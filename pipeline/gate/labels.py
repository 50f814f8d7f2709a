"""The label as one more column of a flat table, and how its share of positives moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models import label as label_expression
from pipeline.evaluation import intervals
from pipeline.gate import between_spans, clusters
from pipeline.gate.between_spans import Between
from pipeline.gate.evidence import LabelChange, NotCompared
from pipeline.gate.policy import GatePolicy


def evaluate(table: pa.Table, label: str) -> npt.NDArray[np.int64]:
    """Returns the label of each row: 1, 0, or NO_LABEL where a column of it is missing, in the row or altogether."""
    columns = label_expression.label_columns(label)
    if any(name not in table.column_names for name in columns):
        return np.full(table.num_rows, label_expression.NO_LABEL, np.int64)
    operands = {name: table.column(name) for name in columns}
    return np.asarray(label_expression.evaluate(label, operands), np.int64)


def is_labelled(table: pa.Table, label: str) -> bool:
    """Whether any row has a label."""
    return bool((evaluate(table, label) != label_expression.NO_LABEL).any())


def labelled(table: pa.Table, label: str) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Returns the rows that have a label, and their labels."""
    values = evaluate(table, label)
    has_label = values != label_expression.NO_LABEL
    return table.filter(pa.array(has_label)), values[has_label]


def with_label(table: pa.Table, label: str) -> pa.Table:
    """Returns the table with a column named like the label's expression: "1", "0" or null."""
    values = evaluate(table, label)
    known = values != label_expression.NO_LABEL
    codes = pa.array((values == 1).astype(np.int8), mask=~known)
    column = pa.DictionaryArray.from_arrays(codes, pa.array(["0", "1"], pa.large_string())).cast(pa.large_string())
    if label in table.column_names:
        return table.set_column(table.column_names.index(label), label, column)
    return table.append_column(label, column)


def positives(table: pa.Table, label: str, cluster: str | None = None) -> tuple[int, int]:
    """Returns the number of positive and of labelled rows; of rows that come in groups, so many as they are worth."""
    values = evaluate(table, label)
    known = values != label_expression.NO_LABEL
    positive, rows = int((values == 1).sum()), int(known.sum())
    groups = clusters.of(table, cluster)
    if groups is None or rows == 0:
        return positive, rows
    worth = rows / clusters.design_effect((values[known] == 1).astype(np.float64), groups[known])
    return round(positive / rows * worth), round(worth)


def compare(
    table: pa.Table, label: str, window: Sequence[tuple[int, int]], policy: GatePolicy
) -> tuple[LabelChange | None, list[NotCompared]]:
    """Compares the share of positive labels with the training window's, given how that varies from span to span.

    Args:
      window: positive and labelled rows of each span of the training window, or of all in one where no more is known.

    Returns:
      The change, or None and why there is none.
    """
    now = positives(table, label, policy.cluster)
    spans = [span for span in window if span[1]]
    baseline = (sum(span[0] for span in spans), sum(span[1] for span in spans))
    for rows, where in ((now[1], "the span"), (baseline[1], "the baseline")):
        if rows == 0:
            return None, [NotCompared(subject="label", text=f"the label was not compared: {where} has no labels")]
    before, after = intervals.wilson(*baseline), intervals.wilson(*now)
    ordinary = _ordinary(spans, before.value)
    rate = policy.alarm_rate("label")
    low, high = between_spans.difference(before, after, ordinary, rate, spans_before=len(spans))
    change = after.value - before.value
    return LabelChange(
        label=label,
        baseline=before,
        current=after,
        low=low,
        high=high,
        margin=policy.label_share_margin,
        matters=abs(change) > policy.label_share_margin and not low <= 0 <= high,
        between_spans=math.sqrt(ordinary.variance) if len(spans) > 1 else None,
    ), []


def _ordinary(spans: Sequence[tuple[int, int]], share: float) -> Between:
    """Returns how the share varies between spans; each errs as a span of the common share would."""
    if not 0 < share < 1:
        return between_spans.NOTHING
    errors = [math.sqrt(share * (1 - share) / rows) for _, rows in spans]
    return between_spans.between([positive / rows for positive, rows in spans], errors)
