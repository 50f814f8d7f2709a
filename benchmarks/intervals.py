"""Do intervals cover out of time what they say, and which spans should say how wide they are?

Each span of taxi and flights is predicted by what was trained on the four spans before it, with intervals of 90 %. The
held-out rows, each span's by members not trained on it, say how far the ends move: all together, as in every training;
the newest span alone; each end by the span that asks for most; or all, the more recent ones counting more. Writes
benchmarks/results/intervals.json after each span, and the table of docs/model.md. It also fits the fare on miles and
minutes, span by span: what the meter charges.

    python -m benchmarks.intervals [--only "taxi: fare"] [--spans 8]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import learners, pages
from models import calibration
from models.fitting import fit
from models.learners.protocol import Job, Learner, Trained
from models.learners.registry import LEARNERS
from models.model_spec import LearnerName, ModelSpec
from models.tasks import Regression
from pipeline.selection.fold_rows import FoldRows, Spans

RESULTS = pages.RESULTS / "intervals.json"
TABLES = ("taxi: fare", "taxi: fare, without miles and seconds", "taxi: tip", "flights: minutes late")
TRAINED: tuple[LearnerName, ...] = ("network", "trees")
HALF_LIFE = 1.0
"""Spans after which a row counts half as much."""

Moves = tuple[float, float]
Way = Callable[[np.ndarray, np.ndarray, np.ndarray, float], Moves]
"""From labels, ends, ages of the rows' spans (0 of the newest) and the nominal share: how far each end moves."""


def _together(labels: np.ndarray, ends: np.ndarray, ages: np.ndarray, interval: float) -> Moves:
    del ages
    return calibration.conformal_moves(labels, ends, interval)


def _newest(labels: np.ndarray, ends: np.ndarray, ages: np.ndarray, interval: float) -> Moves:
    return calibration.conformal_moves(labels[ages == 0], ends[ages == 0], interval)


def _most(labels: np.ndarray, ends: np.ndarray, ages: np.ndarray, interval: float) -> Moves:
    of_spans = [
        calibration.conformal_moves(labels[ages == age], ends[ages == age], interval) for age in np.unique(ages)
    ]
    return min(lower for lower, _ in of_spans), max(upper for _, upper in of_spans)


def _recent(labels: np.ndarray, ends: np.ndarray, ages: np.ndarray, interval: float) -> Moves:
    """Source: Barber, Candès, Ramdas and Tibshirani, "Conformal prediction beyond exchangeability", 2023."""
    return calibration.conformal_moves(labels, ends, interval, 0.5 ** (ages / HALF_LIFE))


WAYS: Mapping[str, Way] = {
    "all spans": _together,
    "the newest span": _newest,
    "the span that asks for most": _most,
    "recent spans count more": _recent,
}


class _Recorded:
    """A learner that keeps what it was given and what it made of it."""

    def __init__(self, learner: Learner) -> None:
        self.start_from, self._learner = learner.start_from, learner

    def train(self, job: Job) -> Trained:
        self.job, self.trained = job, self._learner.train(job)
        return self.trained


def measure(rows: FoldRows, table: learners.Table, name: LearnerName) -> dict[str, Any]:  # Any: JSON.
    """Returns by each way the share of the span's rows below, within and above its intervals, and their mean width."""
    packed, learner = rows.packed, _Recorded(LEARNERS[name])
    target = rows.features.target
    fit(packed.train, packed.layout, table.training, None, target, ModelSpec(learner=name), learner)
    task, held, members = learner.job.task, learner.job.held_out, learner.trained.members
    assert isinstance(task, Regression), "numbers have intervals"
    ends = task.uncalibrated.apply(held.outputs(members.predict, members.folds))[:, 1:]
    outputs = task.uncalibrated.apply(members.predict(packed.test.floats, packed.test.ids).mean(axis=1))
    found = {}
    for way, moves in WAYS.items():
        moved = outputs + np.array([0.0, *moves(held.labels, ends, held.folds, target.interval)])
        _, lower, upper = task.predictions(moved).T
        below, above = float(np.mean(packed.test.labels < lower)), float(np.mean(packed.test.labels > upper))
        width = float(np.mean(upper - lower))
        found[way] = {"below": below, "within": 1 - below - above, "above": above, "width": width}
    return found


def meter(span: pa.Table) -> dict[str, float]:
    """Returns what the middle trip pays: dollars at the start, a mile and a minute."""
    from sklearn.linear_model import QuantileRegressor

    names = ("trip_miles", "trip_seconds", "fare")
    miles, seconds, fare = (span[name].to_numpy(zero_copy_only=False).astype(float) for name in names)
    real = (miles > 0) & (seconds > 0) & (fare > 0)
    inputs = np.stack([miles[real], seconds[real] / 60], axis=1)
    fitted = QuantileRegressor(alpha=0.0, solver="highs").fit(inputs, fare[real])
    return {"start": float(fitted.intercept_), "mile": float(fitted.coef_[0]), "minute": float(fitted.coef_[1])}


def table_of(results: Mapping[str, Any]) -> str:
    """The table of docs/model.md: by each way the mean over the spans, the least and the most, and the mean width."""
    rows = []
    for name, of_table in results.items():
        for learner in TRAINED:
            spans = [each[learner] for each in of_table.values()]
            cells = []
            for way in WAYS:
                within = [span[way]["within"] for span in spans]
                wider = np.mean([span[way]["width"] for span in spans]) / np.mean(
                    [span["all spans"]["width"] for span in spans]
                )
                cells.append(f"{np.mean(within):.1%} ({min(within):.0%} to {max(within):.0%}), {wider:.2f}")
            rows.append((f"{name}, {len(spans)} spans", learner, *cells))
    return pages.markdown(("predicted", "learner", *WAYS), rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, and writes after each span."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", choices=TABLES, help="default: all tables")
    parser.add_argument("--spans", type=int, default=8, help="spans to predict, the newest ones")
    args = parser.parse_args(argv)
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"tables": {}, "meter": {}}
    for name in args.only or TABLES:
        table = learners.tables(args.spans)[name]()
        if name == "taxi: fare":
            kept["meter"] = {str(number): meter(span) for number, span in table.spans.items()}
        of_table = kept["tables"][name] = {}
        spans = Spans(table.spans.__getitem__, table.features, table.schema)
        for fold in spans.folds(table.folds):
            with spans.rows(fold) as rows:
                of_table[str(fold.span)] = {learner: measure(rows, table, learner) for learner in TRAINED}
            print(f"{name}, span {fold.span}", flush=True)
            kept["environment"] = pages.environment(*learners.PACKAGES)
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        ordered = {each: kept["tables"][each] for each in TABLES if each in kept["tables"]}
        pages.write_table(pages.DOCS / "model.md", "intervals", table_of(ordered))
    return 0


if __name__ == "__main__":
    sys.exit(main())
