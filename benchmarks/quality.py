"""Is the model as good as gradient boosting? Train on the four spans before, score each whole next span.

Yardstick: scikit-learn's HistGradientBoostingClassifier with its defaults, on the same rows and columns. Prints AUC
and expected calibration error (10 bins) of both, per span, and writes them with the time of training to
benchmarks/results/quality.json.

    python -m benchmarks.quality [--dataset taxi] [--dataset flights] [--repeats 3]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from benchmarks import pages
from benchmarks.pages import environment
from models import label, scores
from models.features import FeatureSpec
from models.model_spec import ModelSpec
from models.training_spec import TrainingSpec
from pipeline.config.dataset import Dataset, load_dataset
from pipeline.config.schema import read_schema

if TYPE_CHECKING:
    from models.predictor import Predictor

WINDOW = 4
MEASURES = ("auc", "calibration_error", "seconds")
PACKAGES = ("tensorflow", "keras", "scikit-learn", "numpy", "pyarrow")
RESULTS = pages.RESULTS / "quality.json"
TARGETS = {"taxi": {"auc": 0.936, "calibration_error": 0.03}}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One model on one span."""

    auc: float
    calibration_error: float
    seconds: float


def read_spans(dataset: Dataset, schema: Any, folder: Path) -> list[pa.Table]:
    """The dataset's spans in order, typed as its schema says."""
    arrow_types = {1: pa.large_string(), 2: pa.int64(), 3: pa.float64()}  # schema_pb2.BYTES, INT, FLOAT
    types = {feature.name: arrow_types[feature.type] for feature in schema.feature}
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=["", "NA"])
    source = importlib.import_module(f"data.{dataset.name}.source")
    return [pa_csv.read_csv(path, convert_options=options).combine_chunks() for path in source.write_spans(folder)]


def labels_of(table: pa.Table, features: FeatureSpec) -> np.ndarray:
    columns = {name: table.column(name) for name in features.label_columns}
    labels: np.ndarray = label.evaluate(features.label, columns)
    return labels


def score_ours(
    train: Sequence[pa.Table], test: pa.Table, features: FeatureSpec, schema: Any, spec: TrainingSpec
) -> Score:
    """Analysis, transform graph, training, export and loading count as time; scoring the test span does not."""
    start = time.perf_counter()
    predictor = trained(train, test, features, schema, spec)
    seconds = time.perf_counter() - start
    return _score(predictor.predict(test), labels_of(test, features), seconds)


def trained(
    train: Sequence[pa.Table], test: pa.Table, features: FeatureSpec, schema: Any, spec: TrainingSpec
) -> Predictor:
    """The model of any task, trained on the spans, exported and loaded; `test` stands for the rows that it is asked."""
    from models import signatures, training
    from models.analysis import analyze
    from models.fitting import fit
    from models.packed import Layout
    from models.predictor import Predictor
    from models.transform_graph import TransformGraph, write_transform_graph

    batches = [(str(span), batch) for span, table in enumerate(train) for batch in table.to_batches(16_384)]
    with tempfile.TemporaryDirectory() as folder:
        transform_dir, model_dir = os.path.join(folder, "transform"), os.path.join(folder, "model")
        analysis = analyze((batch for _, batch in batches), features)
        write_transform_graph(analysis, features, schema, transform_dir)
        graph = TransformGraph(transform_dir, features)
        layout = Layout.of(features, {name: len(tokens) for name, tokens in analysis.vocabularies.items()})
        rows = training.pack_batches(batches, graph, layout)
        fitted = fit(rows, layout, spec, target=features.target, model=ModelSpec())
        signatures.export(fitted.members, fitted.task, fitted.calibration, graph, features, model_dir, test)
        return Predictor(model_dir)


def score_boosting(train: Sequence[pa.Table], test: pa.Table, features: FeatureSpec, seed: int) -> Score:
    """Categories are numbered; those that scikit-learn can take as such (255 values) are declared categorical."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = pa.concat_tables(train)
    columns, test_columns, categorical = [], [], []
    for feature in features.encoded:
        column, test_column = table.column(feature.name), test.column(feature.name)
        is_category = not feature.kind.is_number
        if is_category:
            values = pc.unique(column.drop_null())
            column, test_column = pc.index_in(column, values), pc.index_in(test_column, values)
        categorical.append(is_category and len(values) < 255)
        columns.append(pc.cast(column, pa.float64()).to_numpy())
        test_columns.append(pc.cast(test_column, pa.float64()).to_numpy())
    start = time.perf_counter()
    model = HistGradientBoostingClassifier(random_state=seed, categorical_features=np.array(categorical))
    model.fit(np.stack(columns, axis=1), labels_of(table, features))
    seconds = time.perf_counter() - start
    probabilities = model.predict_proba(np.stack(test_columns, axis=1))[:, 1]
    return _score(probabilities, labels_of(test, features), seconds)


def run(name: str, repeats: int) -> dict[str, Any]:
    """All spans that have four before them; prints as it goes."""
    dataset = load_dataset(name)
    assert dataset.schema_path is not None  # Both shipped datasets have one.
    schema = read_schema(dataset.schema_path)
    with tempfile.TemporaryDirectory() as folder:
        tables = read_spans(dataset, schema, Path(folder))
    print(f"{name}: train on the {WINDOW} spans before, score the whole next span; means of {repeats} seeds")
    print(f"{'span':>6} {'rows':>7} {'AUC':>7} {'AUC HGB':>8} {'ECE':>7} {'ECE HGB':>8} {'s':>6} {'s HGB':>6}")
    spans = []
    for index in range(WINDOW, len(tables)):
        train, test = tables[index - WINDOW : index], tables[index]
        seeds = [dataset.training.seed + repeat for repeat in range(repeats)]
        ours = [score_ours(train, test, dataset.features, schema, replace(dataset.training, seed=s)) for s in seeds]
        boosting = [score_boosting(train, test, dataset.features, seed) for seed in seeds]
        row = {"span": index + 1, "rows": test.num_rows, "train_rows": sum(t.num_rows for t in train)}
        spans.append(row | {"model": _summary(ours), "boosting": _summary(boosting)})
        _print_row(spans[-1])
    means = {
        side: {key: float(np.mean([span[side][key] for span in spans])) for key in MEASURES}
        for side in ("model", "boosting")
    }
    _print_row({"span": "mean", "rows": "", **means})
    return {"spans": spans, "means": means, "training": json.loads(dataset.training.to_json())}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", choices=["taxi", "flights"], help="default: both")
    parser.add_argument("--repeats", type=int, default=1, help="seeds per span")
    args = parser.parse_args(argv)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"datasets": {}}
    for name in args.dataset or ["taxi", "flights"]:
        results["datasets"][name] = run(name, args.repeats) | {
            "repeats": args.repeats,
            "environment": environment(*PACKAGES),
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    missed = [text for name, result in results["datasets"].items() for text in _missed(name, result["means"]["model"])]
    for text in missed:
        print(f"missed: {text}", file=sys.stderr)
    return 1 if missed else 0


def _score(probabilities: np.ndarray, labels: np.ndarray, seconds: float) -> Score:
    return Score(
        auc=scores.auc(probabilities, labels),
        calibration_error=scores.expected_calibration_error(probabilities, labels),
        seconds=seconds,
    )


def _summary(repeats: Sequence[Score]) -> dict[str, float]:
    aucs = [score.auc for score in repeats]
    return {
        "auc": float(np.mean(aucs)),
        "auc_spread": float(np.max(aucs) - np.min(aucs)),
        "calibration_error": float(np.mean([score.calibration_error for score in repeats])),
        "seconds": float(np.mean([score.seconds for score in repeats])),
    }


def _print_row(row: Mapping[str, Any]) -> None:
    ours, boosting = row["model"], row["boosting"]
    print(
        f"{row['span']:>6} {row['rows']:>7} {ours['auc']:7.4f} {boosting['auc']:8.4f} "
        f"{ours['calibration_error']:7.4f} {boosting['calibration_error']:8.4f} "
        f"{ours['seconds']:6.1f} {boosting['seconds']:6.1f}",
        flush=True,
    )


def _missed(name: str, means: Mapping[str, float]) -> list[str]:
    targets = TARGETS.get(name, {})
    texts = []
    if means["auc"] < targets.get("auc", 0.0):
        texts.append(f"{name}: mean AUC {means['auc']:.4f}, target {targets['auc']}")
    if means["calibration_error"] >= targets.get("calibration_error", 1.0):
        texts.append(f"{name}: mean ECE {means['calibration_error']:.4f}, target below {targets['calibration_error']}")
    return texts


if __name__ == "__main__":
    raise SystemExit(main())
