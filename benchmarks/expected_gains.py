"""Is what the gate expects of a training what comes of it, and what does waiting for gains to add up save?

    python -m benchmarks.expected_gains [--datasets taxi flights]   # some minutes, then the table of docs/gate.md
    python -m benchmarks.expected_gains --tables

Trees stand for the network. For each span and each window of four spans that a live model may have been trained on up
to six spans before: the expected gain is the AUC, on the later half of the span, of trees that learned the window and
the earlier half, less that of the live trees; what came of it is the difference, on the span after, of trees whose
window ends with this span. The gate's challenger does the same with more care (pipeline/gate/challenger.py). Rules
that read nothing else are then played on the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks import pages
from benchmarks.gate.sequences import sequences
from benchmarks.gate.spans import load_spans
from benchmarks.pages import environment, markdown, write_table
from models import scores
from pipeline.config.dataset import load_dataset
from pipeline.gate import challenger, labels

RESULTS = pages.RESULTS / "expected_gains.json"
PAGE = pages.DOCS / "gate.md"
WINDOW = 4
MOST_ROWS = 4_000
OLDEST = 8
_TREES = 40
Floats = npt.NDArray[np.float64]
Wants = Callable[[int, int], bool]


def measure(tables: Sequence[pa.Table], name: str) -> dict[str, Any]:
    """Returns AUCs by the live window's last span and the span: on all of it, and on its later half; and of trees that
    learned the span's earlier half too.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    features = load_dataset(name).features
    thin = [table.take(np.arange(0, table.num_rows, max(1, table.num_rows // MOST_ROWS))) for table in tables]
    labelled = [labels.labelled(table, features.target) for table in thin]
    encoded, categorical = challenger.encode([table for table, _ in labelled], features)
    spans = [(matrix, truth) for matrix, (_, truth) in zip(encoded, labelled, strict=True)]

    def fit(parts: Sequence[tuple[Floats, npt.NDArray[Any]]]) -> Callable[[Floats], Floats]:
        trees = HistGradientBoostingClassifier(
            max_iter=_TREES, categorical_features=categorical, early_stopping=False, random_state=0
        ).fit(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
        return lambda matrix: np.asarray(trees.predict_proba(matrix)[:, 1])

    number = len(spans)
    whole, later = np.full((number, number), np.nan), np.full((number, number), np.nan)
    forward = np.full(number, np.nan)
    for end in range(number):
        predict = fit(spans[max(0, end - WINDOW + 1) : end + 1])
        for span in range(end + 1, min(number, end + OLDEST + 1)):
            matrix, truth = spans[span]
            answers, half = predict(matrix), len(truth) // 2
            whole[end, span] = scores.auc(answers, truth)
            later[end, span] = scores.auc(answers[half:], truth[half:])
    for span in range(2, number):
        matrix, truth = spans[span]
        half = len(truth) // 2
        predict = fit([*spans[max(0, span - WINDOW + 1) : span], (matrix[:half], truth[:half])])
        forward[span] = scores.auc(predict(matrix[half:]), truth[half:])
    return {name: np.round(values, 5).tolist() for name, values in
            {"whole": whole, "later": later, "forward": forward}.items()}  # fmt: skip


def summarise(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how the expected gains compare with what came of them, and what each rule keeps of always' mean AUC."""
    whole, later, forward = (np.array(found[name], np.float64) for name in ("whole", "later", "forward"))
    number = len(forward)
    pairs = np.array(
        [
            (forward[span] - later[end, span], whole[span, span + 1] - whole[end, span + 1])
            for span in range(WINDOW, number - 1)
            for end in range(max(0, span - 6), span)
        ]
    )

    def live(values: Floats, end: int, span: int) -> float:
        return float(values[max(end, span - OLDEST), span])

    def play(wants: Wants) -> tuple[float, int]:
        end, trainings, aucs = WINDOW - 1, 0, []
        for span in range(WINDOW, number):
            aucs.append(live(whole, end, span))
            if wants(end, span):
                end, trainings = span, trainings + 1
        return float(np.mean(aucs)), trainings

    def gain(end: int, span: int) -> float:
        return float(forward[span]) - live(later, end, span)

    def adding_up(price: float) -> Wants:
        owed = 0.0

        def wants(end: int, span: int) -> bool:
            nonlocal owed
            owed = max(0.0, owed + gain(end, span))
            due = owed >= price
            owed = 0.0 if due else owed
            return due

        return wants

    rules: dict[str, Wants] = {
        "always": lambda *_: True,
        "never": lambda *_: False,
        "every 2nd": lambda _, span: (span - WINDOW) % 2 == 1,
        "every 4th": lambda _, span: (span - WINDOW) % 4 == 3,
        "a gain of 0.005": lambda end, span: gain(end, span) > 0.005,
        "gains of 0.02 together": adding_up(0.02),
    }
    return {
        "expected": float(pairs[:, 0].mean()),
        "brought": float(pairs[:, 1].mean()),
        "correlation": float(np.corrcoef(pairs.T)[0, 1]),
        "spans": number - WINDOW,
        "rules": {name: play(wants) for name, wants in rules.items()},
    }


def table(results: Mapping[str, Any]) -> str:
    """Returns the summaries side by side."""
    summaries = {name: summarise(found) for name, found in results.items() if name != "environment"}
    names = list(next(iter(summaries.values()))["rules"])
    rows = []
    for name, summary in summaries.items():
        best = summary["rules"]["always"][0]
        kept = [f"{auc / best:.1%} for {trainings}" for auc, trainings in summary["rules"].values()]
        rows.append([name, str(summary["spans"]), f"{summary['expected']:.4f}", f"{summary['brought']:.4f}",
                     f"{summary['correlation']:.2f}", *kept])  # fmt: skip
    return markdown(["series", "spans", "expected", "came of it", "correlation", *names], rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["taxi", "flights"], choices=["taxi", "flights"])
    parser.add_argument("--tables", action="store_true", help="only make the table")
    args = parser.parse_args(argv)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if not args.tables:
        with tempfile.TemporaryDirectory() as folder:
            for name in args.datasets:
                for title, tables in sequences(name, load_spans(name, Path(folder))).items():
                    if title != "flights by day":
                        results[title] = measure(tables, name)
        results["environment"] = environment("scikit-learn")
        text = json.dumps(results, sort_keys=True).replace("NaN", "null")
        RESULTS.write_text(text + "\n", encoding="utf-8")
        results = json.loads(text)
    write_table(PAGE, "expected_gains", table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
