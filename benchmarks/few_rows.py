"""Is the network a good default where there are few rows, or the linear model?

Draws 50 to 500 rows of four tables at random, trains every learner on them as the only span, and scores the others, up
to 2,000. Writes benchmarks/results/few_rows.json after each size, and the table of docs/model.md.

    python -m benchmarks.few_rows [--draws 3]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import learners, pages
from models.model_spec import ModelSpec
from pipeline.evaluation import intervals, registry
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.selection import own, scoring
from pipeline.selection.fold_rows import Spans
from pipeline.selection.folds import Fold

RESULTS = pages.RESULTS / "few_rows.json"
SIZES, MOST_SCORED, MOST_TRAINED = (50, 100, 200, 500), 2_000, 0.6
METRICS = {"binary": "binary_crossentropy", "regression": "mean_absolute_error"}


def tables() -> dict[str, Callable[[], learners.Table]]:
    """By name: two tables of numbers alone, two of categories too."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    every = learners.tables(1)
    return {
        "breast cancer": lambda: learners.of_sklearn(load_breast_cancer),
        "diabetes: progression": lambda: learners.of_sklearn(load_diabetes, task="regression"),
        **{name: every[name] for name in ("taxi: tip above 20 %", "taxi: fare")},
    }


def measure(table: learners.Table, draws: int) -> Iterator[tuple[int, dict[str, list[float]]]]:
    """Yields for each size the metric of every learner, by draw."""
    whole = pa.concat_tables(table.spans.values())
    metric = METRICS[table.features.task]
    contenders = {
        name: own.contender(own.Configuration(training=table.training, model=ModelSpec(learner=name)))
        for name in learners.LEARNERS
    }
    for size in SIZES:
        if size > MOST_TRAINED * whole.num_rows:
            return
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for draw in range(draws):
            order = np.random.default_rng(draw).permutation(whole.num_rows)
            parts = {1: whole.take(order[:size]), 2: whole.take(order[size:][:MOST_SCORED])}
            spans = Spans(parts.__getitem__, table.features, table.schema)
            for progress in scoring.score(contenders, [Fold(span=2, trained_on=(1,))], spans, EvaluationSpec()):
                for name, fold in progress.fold.items():
                    found[name].append(fold.metrics[metric].value)
        yield size, found


def table_of(results: Mapping[str, Any]) -> str:
    """The table of docs/model.md: means over the draws, and by how much linear is better than the network."""
    rows = []
    for name, found in results.items():
        for size, by_learner in found["sizes"].items():
            means = [f"{np.mean(values):.3f}" for values in by_learner.values()]
            gains = np.array(by_learner["network"]) - np.array(by_learner["linear"])
            gain = intervals.mean_of_few(gains.tolist(), 0)
            ahead = f"{gain.value:+.3f} ± {gain.high - gain.value:.3f}"
            rows.append((name, registry.METRICS[found["metric"]].title, size, *means, ahead))
    return pages.markdown(("table", "", "rows", *learners.LEARNERS, "linear better than network by"), rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, and writes after each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=3, help="random draws of each size")
    args = parser.parse_args(argv)
    results: dict[str, Any] = {}  # Any: JSON.
    for name, make in tables().items():
        table = make()
        results[name] = {"metric": METRICS[table.features.task], "sizes": {}}
        for size, found in measure(table, args.draws):
            results[name]["sizes"][str(size)] = found
            print(
                name, size, {learner: round(float(np.mean(values)), 4) for learner, values in found.items()}, flush=True
            )
            written = {"tables": results, "environment": pages.environment(*learners.PACKAGES)}
            RESULTS.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    pages.write_table(pages.DOCS / "model.md", "few_rows", table_of(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
