"""TFX's Trainer calls `run_fn` here: train split in, SavedModel and training curve out.

`fn_args.custom_config` holds "features" (FeatureSpec.to_json()) and optionally "training" (TrainingSpec.to_json()) and
"model" (ModelSpec.to_json()), and "own" (OwnCode.to_json()) where own code transforms, builds, trains or measures.
`fn_args.hyperparameters`, where a component supplies them, may override hyperparameters by name; its "warm_start"
says whether to start from `fn_args.base_model` (default: yes, if there is one). The eval split is never read: it
belongs to the Evaluator.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from columnar import examples
from columnar.domains import without_impossible
from models import hyperparameters, recalibration, signatures, thresholds
from models.errors import TrainingError
from models.features import FeatureSpec
from models.fitting import Fitted, OutOfSpan, fit
from models.learners.registry import FEW_ROWS, of_model, settled
from models.model_spec import ModelSpec
from models.own import run as own_run
from models.own.layout import layout_of
from models.own.learner import learner_of
from models.own.measures import measure
from models.own.source import BUILD_MODEL, PREPROCESSING, RUN, OwnCode
from models.packed import Layout, Rows, pack
from models.target import Target, is_known
from models.thresholds import Held, Thresholds
from models.training_spec import HISTORY_FILE, OUT_OF_TIME_FILE, TrainingSpec
from models.transform_graph import TransformGraph
from models.value_names import ValueNames

logger = logging.getLogger(__name__)

_SAMPLE_ROWS = 1000
_SPAN_OF_SHARD = re.compile(r"span-\d+")


def run_fn(fn_args: Any) -> None:
    """Trains and exports the model.

    Args:
      fn_args: tfx.components.FnArgs. Its train_files may come from several artifacts or, in one artifact, from shards
        named `span-<number>-*`; each is then a fold that validates members not trained on it.

    Rows without a label are left out: labels may come in parts.

    Raises:
      TrainingError: the train split is empty, has no label, or labels that hold nothing to learn.
    """
    start = time.perf_counter()
    features = FeatureSpec.from_json(fn_args.custom_config["features"])
    overrides = hyperparameters.overrides(getattr(fn_args, "hyperparameters", None))
    may_warm_start = overrides.pop("warm_start", True)
    to_recalibrate_on = overrides.pop("recalibrate", ())
    settings = json.loads(fn_args.custom_config.get("training") or "{}") | overrides
    spec = TrainingSpec.from_json(json.dumps(settings))
    model = ModelSpec.from_json(fn_args.custom_config.get("model") or "{}")

    own = OwnCode.from_json(fn_args.custom_config["own"]) if "own" in fn_args.custom_config else None

    graph = TransformGraph(fn_args.transform_output, features)
    if to_recalibrate_on:
        _recalibrate(fn_args, graph, spec, to_recalibrate_on)
        return
    if own is not None and RUN in own.functions:
        _run_own(own, fn_args, graph, spec, model)
        return
    layout, vocabularies = packed_layout(own, graph, fn_args.transform_output)
    rows = read_rows(_expand(fn_args.train_files), graph, layout)
    read = time.perf_counter()

    learner = learner_of(own) or of_model(model, len(rows))
    base, reason = learner.start_from(fn_args.base_model, layout, spec, vocabularies, features.target)
    if layout.is_own:
        base, reason = None, "own code transforms the features"
    if not may_warm_start:
        base, reason = None, "the hyperparameters say so"
    logger.info("Training starts %s: %s.", "anew" if base is None else "from the base model's weights", reason)
    fitted = fit(rows, layout, spec, base, features.target, model, learner)
    trained = time.perf_counter()

    sample = sample_rows(_expand(fn_args.train_files), graph)
    chosen = _thresholds(fitted, rows, features.target)
    comparison = signatures.export(
        fitted.members, fitted.task, fitted.calibration, graph, features, fn_args.serving_model_dir, sample, chosen
    )
    fitted.members.keep(fn_args.serving_model_dir, vocabularies, features.target)
    seconds = {"read": read - start, "train": trained - read, "export": time.perf_counter() - trained}
    history = describe(fitted, model, spec, len(rows), seconds, own) | {
        "warm_start": base is not None,
        "warm_start_reason": reason,
    }
    history["serving_graph"] = dataclasses.asdict(comparison)
    history["thresholds"] = dataclasses.asdict(chosen)
    history["explanation"] = dict(
        fitted.members.explain(_value_names(layout, graph), fitted.task.output_names, fitted.calibration)
    )
    newest_labels = rows.labels[rows.spans == rows.spans.max()]
    _write_run(fn_args.model_run_dir, history, newest_labels, fitted.newest_predictions, fitted.earlier)


def _value_names(layout: Layout, graph: TransformGraph) -> ValueNames:
    """Returns what a report calls values; of own features nothing is known but their numbers."""
    return ValueNames(by_column={}, spreads={}) if layout.is_own else ValueNames.of(graph.features, graph)


def _thresholds(fitted: Fitted, rows: Rows, target: Target) -> Thresholds:
    """Returns which class is answered, chosen on rows that the judging members have not seen."""
    if target.task == "regression":
        return Thresholds()
    held = Held(
        predictions=fitted.task.predictions(fitted.validation_outputs),
        labels=fitted.validation_labels,
        weights=fitted.validation_weights,
    )
    newest = rows.spans == rows.spans.max()
    later = fitted.newest_predictions
    out_of_time = None
    if later is not None:
        out_of_time = Held(predictions=later, labels=rows.labels[newest], weights=rows.shares[newest])
    return thresholds.choose(target, held, out_of_time)


def packed_layout(
    own: OwnCode | None, graph: TransformGraph, transform_dir: str
) -> tuple[Layout, Mapping[str, list[str]]]:
    """Returns how transformed features are packed, and the vocabularies that are known by their columns."""
    if own is not None and PREPROCESSING in own.functions:
        return layout_of(own, graph, transform_dir, ids_of_any_size=BUILD_MODEL in own.functions), {}
    vocabularies = {one.name: graph.vocabulary(one.name) for one in graph.features.having("vocabulary")}
    return Layout.of(graph.features, {name: len(tokens) for name, tokens in vocabularies.items()}), vocabularies


def _run_own(own: OwnCode, fn_args: Any, graph: TransformGraph, spec: TrainingSpec, model: ModelSpec) -> None:
    """Lets own code train and export, and writes what is known of it."""
    start = time.perf_counter()
    schema, columns = graph.raw_schema(), graph.features.columns

    def batches(patterns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        for batch in examples.iter_batches(_expand(patterns), schema, columns=columns):
            yield labelled(without_impossible(batch, schema, columns), graph.features)[0]

    rows = own_run.run(
        own,
        fn_args,
        graph,
        spec,
        batches={"train": batches(fn_args.train_files), "eval": batches(fn_args.eval_files)},
        sample=sample_rows(_expand(fn_args.train_files), graph),
        transformed=model.examples == "transformed",
    )
    history = {
        "rows": rows,
        "task": graph.features.task,
        "learner": RUN,
        "spec": json.loads(spec.to_json()),
        "curve": [],
        "best_epoch": 0,
        "validation": {"rows": 0},
        "warm_start": False,
        "warm_start_reason": "own code trains",
        "seconds": {"read": 0.0, "train": time.perf_counter() - start, "export": 0.0},
    }
    _write_run(fn_args.model_run_dir, history, np.empty(0), None, ())


def _recalibrate(fn_args: Any, graph: TransformGraph, spec: TrainingSpec, spans: Collection[int]) -> None:
    """Writes the base model with a new slope and offset, fitted to these spans' rows."""
    start = time.perf_counter()
    schema, columns = graph.raw_schema(), graph.features.columns

    def batches() -> Iterable[tuple[int, recalibration.Labelled]]:
        for path in _expand(fn_args.train_files):
            number = _SPAN_OF_SHARD.match(os.path.basename(path))
            span = int(number.group().removeprefix("span-")) if number else -1
            if span in spans:
                for batch in examples.iter_batches([path], schema, columns=columns):
                    yield span, labelled(without_impossible(batch, schema, columns), graph.features)

    target = graph.features.target
    found = recalibration.recalibrate(fn_args.base_model, batches(), spec, fn_args.serving_model_dir, target)
    seconds = {"read": 0.0, "train": time.perf_counter() - start, "export": 0.0}
    history = {**found.history, "seconds": seconds}
    _write_run(fn_args.model_run_dir, history, found.newest_labels, found.newest_predictions, ())


def _write_run(
    folder: str | None,
    history: Mapping[str, Any],  # Any: JSON.
    newest_labels: np.ndarray,
    newest: np.ndarray | None,
    earlier: Sequence[OutOfSpan],
) -> None:
    """Writes history.json and, where there are such predictions, how the model does on spans it has not seen."""
    if not folder:
        return
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(os.path.join(folder, HISTORY_FILE), "w") as file:
        file.write(json.dumps(history, indent=2, sort_keys=True) + "\n")
    if newest is not None:
        _write_out_of_time(folder, newest_labels, newest, earlier)


def _write_out_of_time(
    folder: str, newest_labels: np.ndarray, newest: np.ndarray, earlier: Sequence[OutOfSpan]
) -> None:
    """Writes labels and out-of-time predictions of the newest span's labelled train rows, in the order of shards.

    And of each earlier span that some networks were not trained on: its place among the spans (`spans`), the places of
    its rows (`rows`), and what these networks predict (`out_of_span`).
    """
    data = io.BytesIO()
    np.savez_compressed(
        data,
        labels=newest_labels,
        predictions=newest,
        spans=np.repeat([item.span for item in earlier], [len(item.rows) for item in earlier]),
        rows=np.concatenate([np.empty(0, np.int64), *(item.rows for item in earlier)]),
        out_of_span=np.concatenate([newest[:0], *(item.predictions for item in earlier)]),
    )
    with tf.io.gfile.GFile(os.path.join(folder, OUT_OF_TIME_FILE), "wb") as file:
        file.write(data.getvalue())


def read_rows(paths: Sequence[str], graph: TransformGraph, layout: Layout) -> Rows:
    """Reads, transforms and packs the labelled examples of these shards; each row remembers its span.

    Raises:
      TrainingError: there is no row, or none with a label.
    """
    schema = graph.raw_schema()
    columns = graph.features.columns

    def batches() -> Iterable[tuple[str, pa.RecordBatch]]:
        for path in paths:
            for batch in examples.iter_batches([path], schema, columns=columns):
                yield _span_of(path), without_impossible(batch, schema, columns)

    return pack_batches(batches(), graph, layout)


def sample_rows(paths: Sequence[str], graph: TransformGraph) -> pa.RecordBatch:
    """Reads some rows of the newest shard."""
    batches = examples.iter_batches(paths[-1:], graph.raw_schema(), columns=graph.features.names)
    return next(iter(batches)).slice(0, _SAMPLE_ROWS)


def pack_batches(batches: Iterable[tuple[str, pa.RecordBatch]], graph: TransformGraph, layout: Layout) -> Rows:
    """Like `read_rows`, from pairs of a span's name and a flat record batch of it."""
    floats, ids, labels, spans, weights = [], [], [], [], []
    numbers: dict[str, int] = {}
    rows = 0
    for span, batch in batches:
        rows += batch.num_rows
        batch, of_batch, weights_of_batch = labelled(batch, graph.features)
        if not batch.num_rows:
            continue
        packed = pack(graph.transform_batch(batch), layout)
        floats.append(packed[0])
        ids.append(packed[1])
        labels.append(of_batch)
        weights.append(weights_of_batch)
        spans.append(np.full(batch.num_rows, numbers.setdefault(span, len(numbers)), np.int32))
    if not rows:
        raise TrainingError("The train split is empty. Give a window with examples.")
    if not labels:
        raise TrainingError(
            f"None of the {rows} rows of the train split has a label: a column of {graph.features.label!r} is missing "
            f"in each, or is no label of the task {graph.features.task}. Train on a window with labels."
        )
    together = Rows(
        floats=np.concatenate(floats),
        ids=np.concatenate(ids),
        labels=np.concatenate(labels),
        spans=np.concatenate(spans),
        weights=np.concatenate(weights) if graph.features.weight else None,
    )
    if len(together) < rows:
        logger.info("%d of %d rows have a label and are trained on.", len(together), rows)
    return together


def labelled(batch: pa.RecordBatch, features: FeatureSpec) -> tuple[pa.RecordBatch, np.ndarray, np.ndarray]:
    """Returns the rows of a flat record batch that have a label, their labels, and how much each row counts."""
    target = features.target
    columns = {name: batch.column(name) for name in target.columns}
    labels, weights = target.evaluate(columns), target.weights(columns)
    known = is_known(labels)
    if known.all():
        return batch, labels, weights
    return batch.filter(pa.array(known)), labels[known], weights[known]


def _learner(fitted: Fitted, model: ModelSpec, rows: int) -> str:
    """The learner whose model it is: of several the chosen one, or the blend."""
    return next((each.learner for each in fitted.contenders if each.chosen), settled(model, rows).trained[0])


def describe(
    fitted: Fitted,
    model: ModelSpec,
    spec: TrainingSpec,
    rows: int,
    seconds: Mapping[str, float],
    own: OwnCode | None = None,
) -> dict[str, Any]:
    """The training curve and what came of it, as history.json holds it; losses are the task's own."""
    outputs, labels, weights = fitted.validation_outputs, fitted.validation_labels, fitted.validation_weights
    summary = fitted.task.summary(outputs, labels, weights)
    built = own is not None and BUILD_MODEL in own.functions
    learner = BUILD_MODEL if built else _learner(fitted, model, rows)
    few = not built and model.learner == "auto" and settled(model, rows).learner == "linear"
    return {
        "rows": rows,
        "task": fitted.task.name,
        "learner": learner,
        "learner_reason": f"since there are fewer than {FEW_ROWS} rows" if few else "",
        "learners": [dataclasses.asdict(each) for each in fitted.contenders],
        "spec": json.loads(spec.to_json()),
        "curve": [dataclasses.asdict(epoch) for epoch in fitted.curve],
        "best_epoch": fitted.best_epoch,
        "calibration": dataclasses.asdict(fitted.calibration),
        "validation": {
            "rows": len(labels),
            **summary,
            **measure(own, labels, fitted.task.predictions(outputs), weights),
        },
        "seconds": dict(seconds),
    }


def _expand(patterns: Sequence[str]) -> list[str]:
    paths = sorted(path for pattern in patterns for path in examples.matching(*os.path.split(pattern)))
    if not paths:
        raise TrainingError(f"No file matches {', '.join(patterns) or 'the empty list of training files'}.")
    return paths


def _span_of(path: str) -> str:
    """What tells the spans apart: the shard's own name where it says so, else the artifact."""
    folder, name = os.path.split(path)
    match = _SPAN_OF_SHARD.match(name)
    return os.path.join(folder, match[0]) if match else folder
