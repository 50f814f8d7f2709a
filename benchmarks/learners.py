"""Which learner? Networks, trees and linear models against HistGradientBoosting, on spans after those of the training.

Each span is predicted by what was trained on the four spans before it: the same rows and columns for all. Two tables of
scikit-learn's come in five spans of rows in random order. Writes benchmarks/results/learners.json and the table of
docs/model.md; a cell is the mean over the spans with its interval, then the CPU seconds of a training.

    python -m benchmarks.learners [--only taxi:tip] [--spans 3]
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
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
from models.training_spec import TrainingSpec
from pipeline.config.dataset import load_dataset
from pipeline.config.schema import read_schema
from pipeline.evaluation import registry
from pipeline.evaluation.spec import EvaluationSpec
from pipeline.ingest import reader
from pipeline.ingest.columns import columns_of
from pipeline.selection import baselines, own, scores, scoring
from pipeline.selection.fold_rows import FoldRows, Spans
from pipeline.selection.folds import plan

WINDOW, SEED = 4, 20_130_101
RESULTS = pages.RESULTS / "learners.json"
LEARNERS: tuple[LearnerName, ...] = ("network", "trees", "linear")
PEER = "HistGradientBoosting"
PACKAGES = ("tensorflow", "lightgbm", "scikit-learn", "numpy")
COVERAGE = "interval_coverage"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Spans of one dataset, and what is predicted from which columns."""

    features: FeatureSpec
    schema: schema_pb2.Schema
    training: TrainingSpec
    spans: Mapping[int, pa.Table]


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
            number: pa.Table.from_batches(list(reader.open_span([str(path)], written, columns).batches))
            for number, path in newest
        }
    return Table(features=features, schema=schema, training=dataset.training, spans=found)


def _of_sklearn(load: Callable[[], Any], **target: Any) -> Table:
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
    spans = {span: whole.slice((span - 1) * size, size) for span in range(1, WINDOW + 2)}
    features = FeatureSpec(label="label", numeric=tuple(names), **target)
    return Table(features=features, schema=schema, training=TrainingSpec(), spans=spans)


def tables(spans: int) -> dict[str, Callable[[], Table]]:
    """By name: dataset and what is predicted."""
    from sklearn.datasets import load_diabetes, load_digits

    minutes = {"task": "regression", "label": "arr_delay"}
    classes = {"task": "multiclass", "label": "(arr_delay > 0) + (arr_delay > 15) + (arr_delay > 60)"}
    fare = {"task": "regression", "label": "fare", "numeric": ("trip_miles", "trip_seconds")}
    return {
        "taxi: tip above 20 %": lambda: _shipped("taxi", spans),
        "taxi: fare": lambda: _shipped("taxi", spans, **fare),
        "taxi: tip": lambda: _shipped("taxi", spans, task="regression", label="tips"),
        "digits: which": lambda: _of_sklearn(
            load_digits, task="multiclass", classes=tuple(str(digit) for digit in range(10))
        ),
        "diabetes: progression": lambda: _of_sklearn(load_diabetes, task="regression"),
        "flights: late": lambda: _shipped("flights", spans),
        "flights: minutes late": lambda: _shipped("flights", spans, **minutes),
        "flights: how late": lambda: _shipped("flights", spans, classes=("0", "1", "2", "3"), **classes),
    }


def measure(table: Table) -> dict[str, Any]:  # Any: JSON.
    """Trains and scores everything on every span that has four before it."""
    contenders: dict[str, scoring.Contender] = {
        name: own.contender(own.Configuration(training=table.training, model=ModelSpec(learner=name)))
        for name in LEARNERS
    }
    contenders[PEER] = baselines.contender("trees", SEED)
    everything = {name: _by_processor(contender) for name, contender in contenders.items()}
    planned = list(plan(table.spans, WINDOW, list(table.spans)[WINDOW:]))
    folds: dict[str, list[scores.FoldScore]] = {name: [] for name in everything}
    spans = Spans(table.spans.__getitem__, table.features, table.schema)
    for progress in scoring.score(everything, planned, spans, EvaluationSpec()):
        for name, fold in progress.fold.items():
            folds[name].append(fold)
        print(f"  span {progress.done} of {progress.of}: {progress.seconds:.0f} s", flush=True)
    metric = registry.MAIN[table.features.task]
    totals = {name: scores.total(name, found) for name, found in folds.items()}
    return {
        "metric": metric,
        "spans": [fold.span for fold in planned],
        "train_rows": folds[PEER][-1].train_rows,
        "contenders": {
            name: {
                "overall": {key: dataclasses.asdict(value) for key, value in total.overall.items()},
                "fit_seconds": float(np.mean([fold.fit_seconds for fold in folds[name]])),
            }
            for name, total in totals.items()
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
        metric = found["metric"]
        cells = [_cell(found["contenders"][each], metric) for each in (*LEARNERS, PEER)]
        rows.append((f"{name}, {found['train_rows']:,} rows", registry.METRICS[metric].title, *cells))
    return pages.markdown(("predicted", "metric", *LEARNERS, PEER), rows)


def _cell(found: Mapping[str, Any], metric: str) -> str:
    value = found["overall"][metric]
    half = (value["high"] - value["low"]) / 2
    digits = 4 if abs(value["value"]) < 1 else 2
    text = f"{value['value']:.{digits}f} ± {half:.{digits}f}, {found['fit_seconds']:.1f} s"
    covered = found["overall"].get(COVERAGE)
    return f"{text}; covers {covered['value']:.0%}" if covered else text


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
