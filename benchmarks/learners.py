"""Which learner? Networks, trees and linear models against HistGradientBoosting, on spans after those of the training.

Each span is predicted by what was trained on the four spans before it: the same rows and columns for all, at most
10,000 rows of a span. Two tables of scikit-learn's come in five parts of rows in random order, each of which is
predicted from the other four. Writes benchmarks/results/learners.json and the table of docs/model.md, table by table.

    python -m benchmarks.learners [--only taxi:] [--spans 3]
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from benchmarks import pages
from models.features import FeatureSpec
from models.model_spec import LearnerName, ModelSpec
from models.target import TaskName
from models.training_spec import TrainingSpec
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema
from pipeline.evaluation import intervals, registry
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.ingest import reader
from pipeline.ingest.columns import columns_of
from pipeline.selection import baselines, own, scores, scoring
from pipeline.selection.fold_rows import FoldRows, Spans
from pipeline.selection.folds import Fold, plan

WINDOW, SEED = 4, 20_130_101
MOST_ROWS = 10_000
"""Rows of a span: flights has 22,000 to 29,000, of which these are drawn at random."""
RESULTS = pages.RESULTS / "learners.json"
LEARNERS: tuple[LearnerName, ...] = ("network", "trees", "linear")
PEER = "HistGradientBoosting"
PACKAGES = ("tensorflow", "lightgbm", "scikit-learn", "numpy")
COVERAGE = "interval_coverage"
COORDINATES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
SHOWN: Mapping[TaskName, tuple[str, ...]] = {
    "binary": ("auc", "binary_crossentropy"),
    "multiclass": ("sparse_categorical_accuracy", "sparse_categorical_crossentropy"),
    "regression": ("mean_absolute_error", "r_squared", "mean_pinball_loss", COVERAGE),
}
"""What is kept of each task, and shown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Spans of one dataset, and what is predicted from which columns."""

    features: FeatureSpec
    schema: schema_pb2.Schema
    training: TrainingSpec
    spans: Mapping[int, pa.Table]
    folds: tuple[Fold, ...]


def _shipped(name: str, spans: int, **changes: Any) -> Table:  # Any: fields of FeatureSpec.
    dataset = load_dataset(name)
    features = dataclasses.replace(dataset.features, **changes)
    assert dataset.schema_path is not None, "both shipped datasets have a schema"
    schema = read_schema(dataset.schema_path)
    columns = columns_of(schema, features.target, features.names)
    with tempfile.TemporaryDirectory() as folder:
        paths = importlib.import_module(f"data.{name}.source").write_spans(Path(folder))
        newest = list(enumerate(paths, start=1))[-(WINDOW + spans) :]
        written = "parquet" if str(paths[0]).endswith("parquet") else dataset.spans.csv
        found = {
            number: _sample(pa.Table.from_batches(list(reader.open_span([str(path)], written, columns).batches)))
            for number, path in newest
        }
    folds = plan(found, WINDOW, list(found)[WINDOW:])
    return Table(features=features, schema=schema, training=dataset.training, spans=found, folds=folds)


def _sample(table: pa.Table) -> pa.Table:
    if table.num_rows <= MOST_ROWS:
        return table
    chosen = np.random.default_rng(SEED).choice(table.num_rows, MOST_ROWS, replace=False)
    return table.take(np.sort(chosen))


def of_sklearn(load: Callable[[], Any], **target: Any) -> Table:
    """Numbers alone; the last column is the label."""
    loaded = load()
    order = np.random.default_rng(SEED).permutation(len(loaded.target))
    names = [f"x{i}" for i in range(loaded.data.shape[1])]
    columns = {name: pa.array(loaded.data[order, i].astype(np.float32)) for i, name in enumerate(names)}
    columns["label"] = pa.array(loaded.target[order].astype(np.float32))
    whole = pa.table(columns)
    schema = schema_pb2.Schema()
    for name in columns:
        text_format.Merge(f'feature {{ name: "{name}" type: FLOAT }}', schema)
    size = -(-len(order) // (WINDOW + 1))
    spans = {part: whole.slice((part - 1) * size, size) for part in range(1, WINDOW + 2)}
    folds = tuple(Fold(span=part, trained_on=tuple(other for other in spans if other != part)) for part in spans)
    features = FeatureSpec(label="label", numeric=tuple(names), **target)
    return Table(features=features, schema=schema, training=TrainingSpec(), spans=spans, folds=folds)


def tables(spans: int) -> dict[str, Callable[[], Table]]:
    """By name: dataset and what is predicted."""
    from sklearn.datasets import load_diabetes, load_digits

    minutes = {"task": "regression", "label": "arr_delay"}
    classes = {"task": "multiclass", "label": "(arr_delay > 15) + (arr_delay > 60)", "classes": ("0", "1", "2")}
    fare = {"task": "regression", "label": "fare"}
    return {
        "taxi: tip above 20 %": lambda: _shipped("taxi", spans),
        "taxi: fare": lambda: _shipped("taxi", spans, **fare, numeric=("trip_miles", "trip_seconds")),
        # The coordinates alone tell how far it is; in dataset.toml's ten buckets they hardly do.
        "taxi: fare, without miles and seconds": lambda: _shipped(
            "taxi", spans, **fare, numeric=COORDINATES, bucketized={}
        ),
        "taxi: tip": lambda: _shipped("taxi", spans, task="regression", label="tips"),
        "digits: which": lambda: of_sklearn(
            load_digits, task="multiclass", classes=tuple(str(digit) for digit in range(10))
        ),
        "diabetes: progression": lambda: of_sklearn(load_diabetes, task="regression"),
        "flights: late": lambda: _shipped("flights", spans),
        "flights: minutes late": lambda: _shipped("flights", spans, **minutes),
        "flights: on time, to 60 minutes, longer": lambda: _shipped("flights", spans, **classes),
    }


def measure(table: Table) -> dict[str, Any]:  # Any: JSON.
    """Trains and scores everything on every span that has four before it."""
    contenders: dict[str, scoring.Contender] = {
        name: own.contender(own.Configuration(training=table.training, model=ModelSpec(learner=name)))
        for name in LEARNERS
    }
    contenders[PEER] = baselines.contender("trees", SEED)
    everything = {name: _by_processor(contender) for name, contender in contenders.items()}
    folds: dict[str, list[scores.FoldScore]] = {name: [] for name in everything}
    spans = Spans(table.spans.__getitem__, table.features, table.schema)
    for progress in scoring.score(everything, table.folds, spans, EvaluationSpec()):
        for name, fold in progress.fold.items():
            folds[name].append(fold)
        print(f"  span {progress.done} of {progress.of}: {progress.seconds:.0f} s", flush=True)
    return {
        "metrics": SHOWN[table.features.task],
        "spans": [fold.span for fold in table.folds],
        "train_rows": [fold.train_rows for fold in folds[PEER]],
        "contenders": {
            name: {
                "values": {metric: scored.values(metric) for metric in SHOWN[table.features.task]},
                "fit_seconds": [fold.fit_seconds for fold in scored.folds],
            }
            for name, scored in ((name, scores.total(name, found)) for name, found in folds.items())
        },
    }


def _by_processor(contender: scoring.Contender) -> scoring.Contender:
    """Counts processor time, of all threads, rather than what else the machine does; predicting included."""

    def train(rows: FoldRows) -> scoring.Trained:
        _ = rows.packed, rows.train_table  # Made once for all: nobody's time.
        begun = time.process_time()
        trained = contender(rows)
        return dataclasses.replace(trained, fit_seconds=time.process_time() - begun)

    return train


def table_of(results: Mapping[str, Any]) -> str:
    """The table of docs/model.md."""
    rows = []
    for name, found in results.items():
        contenders = found["contenders"]
        title = f"{name}, {round(np.mean(found['train_rows'])):,} rows"
        for metric in found["metrics"]:
            cells = [_cell(contenders[each], contenders[PEER], metric) for each in (*LEARNERS, PEER)]
            rows.append((title, registry.METRICS[metric].title, *cells))
            title = ""
        seconds = [f"{np.mean(contenders[each]['fit_seconds']):.1f}" for each in (*LEARNERS, PEER)]
        rows.append(("", "CPU s", *seconds))
    return pages.markdown(("predicted", "", *LEARNERS, PEER), rows)


def _cell(found: Mapping[str, Any], peer: Mapping[str, Any], metric: str) -> str:
    """The mean over the spans, and by how much it is better than the peer's, with the 95 % interval of that."""
    values, of_peer = np.array(found["values"][metric]), np.array(peer["values"][metric])
    if metric == COVERAGE:
        return f"{values.mean():.1%} ({values.min():.1%} to {values.max():.1%})"
    digits = 4 if abs(values.mean()) < 1 else 2
    text = f"{values.mean():.{digits}f}"
    if found is peer:
        return text
    better = intervals.mean_of_few((registry.METRICS[metric].sign * (values - of_peer)).tolist(), 0)
    half = "" if math.isinf(better.high) else f" ± {better.high - better.value:.{digits}f}"
    return f"{text} ({better.value:+.{digits}f}{half})"


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, and writes after each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="TEXT", help="tables whose name holds this")
    parser.add_argument("--spans", type=int, default=3, help="spans to predict, the newest ones")
    args = parser.parse_args(argv)
    results = json.loads(RESULTS.read_text(encoding="utf-8"))["tables"] if RESULTS.exists() else {}
    for name, make in tables(args.spans).items():
        if args.only and not any(text in name for text in args.only):
            continue
        print(name, flush=True)
        results[name] = {**measure(make()), "environment": pages.environment(*PACKAGES)}
        text = json.dumps({"tables": results}, indent=1, sort_keys=True)
        RESULTS.write_text(text + "\n", encoding="utf-8")
        ordered = {each: results[each] for each in tables(args.spans) if each in results}
        pages.write_table(pages.DOCS / "model.md", "learners", table_of(ordered))
    return 0


if __name__ == "__main__":
    sys.exit(main())
