"""Is what `init` alone made of a table as good as gradient boosting on columns that a person picked?

    python -m benchmarks.onboarding_quality [NAME ...]

Types `init` for tables of benchmarks/odd_tables/, and nothing else. Trains on all spans but the newest as
dataset.toml says, and scores the newest; a table of one span is cut, two thirds and one. The yardstick: scikit-learn's
HistGradientBoosting with its defaults on the same rows, and on the columns whose role by hand is numeric, category,
cyclical or date; it cannot take texts and lists. A yes or no is scored by AUC, classes by accuracy, numbers by R² and
by the mean absolute error. Results: benchmarks/results/onboarding_quality.json and the table in docs/data.md.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import pages
from benchmarks.odd_tables import TABLES
from benchmarks.odd_tables.table import OddTable
from benchmarks.onboarding import typed
from benchmarks.pages import DOCS, environment, write_table
from benchmarks.quality import trained
from models import moments, scores
from models.target import Target
from models.task_names import TaskName
from pipeline.config.dataset import Dataset, load_dataset
from pipeline.config.schema import read_schema
from pipeline.ingest.columns import columns_of
from pipeline.ingest.reader import open_span

RESULTS = pages.RESULTS / "onboarding_quality.json"
PAGE = DOCS / "data.md"
SEED = 1
SCORES: dict[TaskName, str] = {"binary": "AUC", "multiclass": "accuracy", "regression": "R²"}
_PICKED = ("numeric", "category", "hashed", "cyclical", "date")


def measure(table: OddTable, folder: Path) -> dict[str, Any]:  # Any: JSON.
    """Returns both models' scores on one table, and of how many rows."""
    folder.mkdir()
    path = folder / table.file.rstrip("/")
    table.write(path)
    outcome = typed(folder, "init", path.name, *table.options, "--name", "mine", "--json")
    if outcome.returncode:
        raise RuntimeError(outcome.stderr)
    dataset = load_dataset(str(folder / "mine"))
    assert dataset.schema_path is not None  # `init` writes one.
    schema = read_schema(dataset.schema_path)
    train, test = _spans(dataset, folder / "mine")
    target = dataset.features.target
    predictor = trained(train, test, dataset.features, schema, dataset.training)
    picked = [name for name, role in table.roles.items() if role in _PICKED and name in test.column_names]
    labels = _labels(test, target)
    return {
        "task": target.task,
        "rows": sum(part.num_rows for part in train),
        "scored": test.num_rows,
        "ours": _scores(target.task, predictor.predict(test), labels),
        "boosting": _scores(target.task, _boosting(train, test, target, picked, table.roles), labels),
    }


def _labels(table: pa.Table, target: Target) -> np.ndarray:
    labels: np.ndarray = target.evaluate({name: table.column(name) for name in target.columns})
    return labels


def _scores(task: TaskName, predictions: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns the score of predictions as `Predictor.predict` gives them; of numbers the error too."""
    if task == "binary":
        return {"score": float(scores.auc(predictions, labels))}
    if task == "multiclass":
        return {"score": float((predictions.argmax(axis=1) == labels).mean())}
    errors = predictions[:, 0] - labels
    r_squared = 1 - float((errors**2).mean() / labels.var())
    return {"score": r_squared, "mean_absolute_error": float(np.abs(errors).mean())}


def _spans(dataset: Dataset, folder: Path) -> tuple[list[pa.Table], pa.Table]:
    columns = columns_of(read_schema(folder / "schema.pbtxt"), dataset.features.target, dataset.features.names)
    paths = sorted((folder / "spans").glob("span-*/data.parquet"), key=lambda path: int(path.parent.name[5:]))
    tables = []
    for path in paths:
        span = open_span([str(path)], "parquet", columns)
        tables.append(pa.Table.from_batches(span.batches, span.schema))
    if len(tables) > 1:
        return tables[:-1], tables[-1]
    order = np.random.default_rng(SEED).permutation(tables[0].num_rows)
    third = len(order) // 3
    return [tables[0].take(pa.array(order[third:]))], tables[0].take(pa.array(order[:third]))


def _boosting(
    train: Sequence[pa.Table], test: pa.Table, target: Target, picked: Sequence[str], roles: Any
) -> np.ndarray:  # Any: of OddTable.
    """Returns predictions as `Predictor.predict` gives them."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    table = pa.concat_tables(train)
    columns, categorical = [], []
    for name in picked:
        is_category = roles[name] in ("category", "hashed")
        values = pc.unique(table[name].drop_null())
        pair = []
        for part in (table[name], test[name]):
            if roles[name] == "date":
                pair.append(moments.from_arrow(part))
            else:
                number = pc.index_in(part, value_set=values) if is_category else part
                pair.append(pc.cast(number, pa.float64(), safe=False).to_numpy())
        columns.append(pair)
        categorical.append(is_category and len(values) < 255)
    options = {"random_state": SEED, "categorical_features": np.array(categorical)}
    inputs, asked = (np.stack([pair[part] for pair in columns], axis=1) for part in (0, 1))
    labels = _labels(table, target)
    if target.task == "regression":
        return np.asarray(HistGradientBoostingRegressor(**options).fit(inputs, labels).predict(asked))[:, None]
    predicted = HistGradientBoostingClassifier(**options).fit(inputs, labels).predict_proba(asked)
    return np.asarray(predicted[:, 1] if target.task == "binary" else predicted)


def markdown(tables: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as the docs show them."""
    rows, means = [], []
    for task, score in SCORES.items():
        of_task = {name: one for name, one in sorted(tables.items()) if one["task"] == task}
        for name, one in of_task.items():
            cells = [_cell(one[side]) for side in ("ours", "boosting")]
            rows.append([name, score, f"{one['rows']:,}", f"{one['scored']:,}", *cells])
        if of_task:
            both = [np.mean([one[side]["score"] for one in of_task.values()]) for side in ("ours", "boosting")]
            means.append([f"mean of {len(of_task)}", score, "", "", *(f"{mean:.4f}" for mean in both)])
    return pages.markdown(["table", "score", "rows", "scored", "after `init` alone", "boosting"], [*rows, *means])


def _cell(side: dict[str, float]) -> str:
    error = side.get("mean_absolute_error")
    return f"{side['score']:.4f}" + ("" if error is None else f" (error {error:.4g})")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only these tables; of the others the last result stays"
    )
    args = parser.parse_args(argv)
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["tables"] if args.names and RESULTS.exists() else {}
    for make in TABLES:
        if args.names and make.__name__ not in args.names:
            continue
        table = make()
        with tempfile.TemporaryDirectory(prefix="onboarding-quality-") as scratch:
            measured[table.name] = measure(table, Path(scratch) / table.name)
        print(table.name, json.dumps(measured[table.name]), file=sys.stderr, flush=True)
        results = {"environment": environment("tensorflow", "scikit-learn", "pyarrow"), "tables": measured}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    print(markdown(measured))
    write_table(PAGE, "onboarding_quality", markdown(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
