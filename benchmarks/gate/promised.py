"""Does what a model's answers promise without labels come true?

A model of the four spans before each one is asked what the span's inputs promise of its answers, and is then measured
on the labels. Both are given as changes since the window, each span of which is answered by a model of the other three,
as for a baseline. Trees stand for the network, on at most 8,000 rows of a span; those of numbers learn the ends of
their interval as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from benchmarks.gate.spans import settings
from benchmarks.gate.tasks import CLASSES, with_class
from benchmarks.pages import markdown
from models.features import FeatureSpec
from pipeline.gate import challenger, labels, performance, promises
from pipeline.gate.challenger import Rows
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import Origin
from pipeline.gate.performance import Evaluation, SpanResult
from pipeline.gate.policy import GatePolicy
from pipeline.gate.yardstick import Yardstick

WINDOW = 4
MOST_ROWS = 8_000
TARGETS: dict[str, dict[str, dict[str, Any]]] = {  # Any: fields of a FeatureSpec.
    "taxi": {"AUC": {}},
    "flights": {
        "AUC": {},
        "accuracy": {"label": "how_late", "task": "multiclass", "classes": CLASSES},
        "mean absolute error": {"label": "arr_delay", "task": "regression"},
    },
}


def measure(name: str, spans: Mapping[int, pa.Table]) -> dict[str, Any]:
    """Returns the changes that were promised and those that came, by metric and span; of errors, as a share."""
    rng = np.random.default_rng(20_261_129)
    drawn = {span: table.take(np.sort(rng.permutation(table.num_rows)[:MOST_ROWS])) for span, table in spans.items()}
    found = {}
    for metric, target in TARGETS[name].items():
        features = dataclasses.replace(settings(name).features, **target)
        tables = {span: with_class(table) if "arr_delay" in table.column_names else table
                  for span, table in drawn.items()}  # fmt: skip
        found[metric] = _changes({span: labels.labelled(table, features.target)[0] for span, table in tables.items()},
                                 features)  # fmt: skip
    return found


def _changes(tables: Mapping[int, pa.Table], features: FeatureSpec) -> dict[str, dict[str, float]]:
    encoded, categorical = challenger.encode(list(tables.values()), features)
    rows = {
        span: Rows(matrix=matrix, truth=labels.evaluate(table, features.target), weights=np.ones(table.num_rows))
        for matrix, (span, table) in zip(encoded, tables.items(), strict=True)
    }

    def answered(learned: Sequence[int], span: int) -> Evaluation:
        parts = [rows[number] for number in learned]
        together = Rows(**{field.name: np.concatenate([getattr(part, field.name) for part in parts])
                           for field in dataclasses.fields(Rows)})  # fmt: skip
        predictions = _learn(features, categorical, together)(rows[span].matrix)
        return performance.evaluate(rows[span].truth, predictions, task=features.task)

    changes = {}
    for span in sorted(rows)[WINDOW:]:
        window = range(span - WINDOW, span)
        of_window: list[SpanResult] = []
        for place in window:
            others = answered([number for number in window if number != place], place)
            of_window += performance.results_of(place, others, GatePolicy())
        now = answered(window, span)
        origin = Origin(source="out_of_time", span=window[-1])
        promise = promises.compare(
            now.overall.promised, Yardstick(evaluation=now, origin=origin, spans=tuple(of_window))
        )[0]
        assert promise.before is not None, "the window was measured"
        before = float(np.average([_main(each) for each in of_window], weights=[each.rows for each in of_window]))
        came, promised = _main(now.overall) - before, promise.current.value - promise.before.value
        if features.task == "regression":
            came, promised = came / before, promised / promise.before.value
        changes[str(span)] = {"promised": round(promised, 4), "came": round(came, 4)}
    return changes


def _learn(features: FeatureSpec, categorical: Sequence[int], rows: Rows) -> Callable[[Floats], Floats]:
    value = challenger.Trees(target=features.target, categorical=tuple(categorical), loss="squared", seed=0).learn(rows)
    if features.task != "regression":
        return value
    ends = [
        HistGradientBoostingRegressor(
            max_iter=50, loss="quantile", quantile=level, categorical_features=list(categorical), random_state=0
        )
        for level in (0.05, 0.95)
    ]
    with threadpool_limits(1, user_api="openmp"):
        for end in ends:
            end.fit(rows.matrix, rows.truth)

    def predict(matrix: Floats) -> Floats:
        with threadpool_limits(1, user_api="openmp"):
            return np.column_stack([value(matrix)[:, 0], *(end.predict(matrix) for end in ends)])

    return predict


def _main(measured: performance.SliceEvaluation | SpanResult) -> float:
    return (measured.auc or measured.accuracy or measured.loss).value


def table(found: Mapping[str, Any]) -> str:
    """Returns how far promises were from what came, and, beside them, how far "no change" was."""
    rows = []
    for name, metrics in reversed(found.items()):
        for metric, spans in metrics.items():
            promised, came = (np.array([each[what] for each in spans.values()]) for what in ("promised", "came"))
            rows.append(
                [
                    f"{name}, {metric}",
                    str(len(spans)),
                    *(f"{value:.3f}" for value in (np.abs(promised - came).mean(), np.abs(came).mean())),
                    f"{np.corrcoef(promised, came)[0, 1]:.2f}",
                    ", ".join(f"{p:+.2f} / {c:+.2f}" for p, c in zip(promised, came, strict=True)),
                ]
            )
    header = ["", "spans", "mean distance of promise and change", "of no change at all", "correlation"]
    return markdown([*header, "each span: promised / came"], rows)
