"""Measures the training window for the comparisons of later spans."""

import dataclasses
import json
import logging
import os
import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Examples, ExampleStatistics, Model, ModelRun, Schema
from tfx.utils import io_utils, path_utils

from columnar import examples as example_files
from columnar.domains import without_impossible
from models.target import Target
from models.training_spec import HISTORY_FILE, OUT_OF_TIME_FILE
from pipeline.artifacts import Baseline
from pipeline.components.rerun_gate import read_statistics
from pipeline.gate import baseline as baseline_files
from pipeline.gate import labels, performance, scoring
from pipeline.gate.definition import define
from pipeline.gate.measuring import build_baseline
from pipeline.gate.performance import Evaluation
from pipeline.gate.settings import Settings
from pipeline.gate.yardstick import Yardstick, choose_yardstick
from pipeline.ingest.training_window import by_span
from pipeline.state.version_folder import DEFINITION_FILE, WINDOW_FILE

logger = logging.getLogger(__name__)


@component
def BaselineGen(
    examples: InputArtifact[Examples],
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    model: InputArtifact[Model],
    model_run: InputArtifact[ModelRun],
    live_baseline: InputArtifact[Baseline],
    baseline: OutputArtifact[Baseline],
    settings: Parameter[str],
) -> None:
    """Writes the baseline that travels with the model, should it be pushed.

    Args:
      examples: the training window, shards named by span.
      model: the new model, which is measured on held-out rows where out-of-time predictions do not suffice.
      model_run: holds the out-of-time predictions that training left, where the window has several spans.
      live_baseline: the live model's, whose yardstick may still hold, and whose columns told of the label.
      settings: Settings.to_json().
    """
    parsed = Settings.from_json(settings)
    schema_proto = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    compared = {*parsed.features.columns, *(column for crossed in parsed.slices for column in crossed)}
    compared |= {parsed.policy.cluster} if parsed.policy.cluster else set()
    columns = [feature.name for feature in schema_proto.feature if feature.name in compared]
    paths = example_files.split_paths(examples.uri, "train")
    tables = tables_by_span(paths, schema_proto, columns, parsed.features.columns)
    evaluations = out_of_span(model_run.uri, tables, parsed)
    chosen = choose_yardstick(
        evaluations[max(evaluations)] if evaluations else None,
        lambda: held_out_evaluation(model, examples, schema_proto, parsed),
        live_yardstick(live_baseline, parsed.features.target),
        list(tables),
        parsed.policy,
    )
    live = read_baseline(live_baseline)
    measured = build_baseline(
        tables,
        schema_proto,
        parsed.features,
        parsed.policy,
        evaluation=chosen.evaluation if chosen else None,
        origin=chosen.origin if chosen else None,
        span_results=[
            result
            for span, evaluation in evaluations.items()
            for result in performance.results_of(span, evaluation, parsed.policy)
        ],
        statistics=read_statistics(statistics.uri),
        live=live,
        created_at=int(time.time()),
    )
    if live is not None and is_recalibrated(model_run.uri):
        measured = of_the_same_network(measured, live, int(live_baseline.get_string_custom_property("version")))
    measured.save(baseline.uri)
    io_utils.write_string_file(os.path.join(baseline.uri, WINDOW_FILE), json.dumps(list(measured.window)))
    definition = define(parsed.features, parsed.training, parsed.code, schema_proto, parsed.model, parsed.own)
    io_utils.write_string_file(os.path.join(baseline.uri, DEFINITION_FILE), definition.to_json())
    baseline.set_int_custom_property("present", 1)


def tables_by_span(
    paths: list[str], schema: "Schema", columns: list[str], trained_on: Collection[str]
) -> dict[int, pa.Table]:
    """Returns these columns of the rows that training took, span by span, in the order of the shards."""
    kinds = example_files.flat_schema(schema, columns)
    return {
        span: pa.Table.from_batches(
            (
                without_impossible(batch, schema, trained_on)
                for batch in example_files.iter_batches(names, schema, columns=columns)
            ),
            kinds,
        )
        for span, names in by_span(paths).items()
    }


def out_of_span(model_run_uri: str, tables: Mapping[int, pa.Table], settings: Settings) -> dict[int, Evaluation]:
    """Returns the evaluation on each labelled span by what was not trained on it, ascending; none in a window of one.

    The newest span's is out of time: by what was trained on earlier spans alone.
    """
    path = os.path.join(model_run_uri, OUT_OF_TIME_FILE)
    if not fileio.exists(path):
        return {}
    label = settings.features.target
    labelled = [span for span, table in tables.items() if labels.is_labelled(table, label)]
    with fileio.open(path, "rb") as file, np.load(file) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    given: dict[str, Any] = {"cluster": settings.policy.cluster, "target": settings.features.target}
    evaluations = {}
    for place, span in enumerate(labelled[:-1]):
        # Written by an older release, the file has the newest span alone.
        chosen = np.asarray(found.get("spans", np.empty(0))) == place
        if chosen.any():
            table, truth = labels.labelled(tables[span], label)
            rows = found["rows"][chosen]
            evaluations[span] = scoring.evaluate(
                table.take(rows), truth[rows], found["out_of_span"][chosen], settings.slices, **given
            )
    table, _ = labels.labelled(tables[labelled[-1]], label)
    evaluations[labelled[-1]] = scoring.evaluate(table, found["labels"], found["predictions"], settings.slices, **given)
    return evaluations


def held_out_evaluation(model: Model, examples: Examples, schema: "Schema", settings: Settings) -> Evaluation | None:
    """Returns the evaluation of the new model on the held-out rows; None where none of them has a label."""
    table = example_files.read_splits([examples.uri], ["eval"], schema)
    if not labels.is_labelled(table, settings.features.target):
        return None
    return scoring.evaluate_model(path_utils.serving_model_path(model.uri), table, settings)


def is_recalibrated(model_run_uri: str) -> bool:
    """Tells whether the new model is the live one with a new slope and offset."""
    path = os.path.join(model_run_uri, HISTORY_FILE)
    if not fileio.exists(path):
        return False
    with fileio.open(path, "r") as file:
        return "recalibrated_from" in json.load(file)


def of_the_same_network(
    measured: baseline_files.Baseline, live: baseline_files.Baseline, version: int
) -> baseline_files.Baseline:
    """Returns a recalibrated model's baseline with what is known of the network: its spans, its age, its results.

    Args:
      version: the live version, which is when it was pushed.
    """
    newest = {result.span for result in measured.span_results}
    return dataclasses.replace(
        measured,
        learned=live.learned or live.window,
        trained_at=live.trained_at or version,
        span_results=(*(each for each in live.span_results if each.span not in newest), *measured.span_results),
    )


def live_yardstick(baseline: Baseline, target: Target) -> Yardstick | None:
    """Returns the live model's yardstick; None where there is none, or of another target."""
    live = read_baseline(baseline)
    if live is None or live.yardstick is None or live.predicted != target:
        return None
    version = live.yardstick.origin.version or baseline.get_string_custom_property("version")
    return Yardstick(
        evaluation=live.yardstick.evaluation, origin=dataclasses.replace(live.yardstick.origin, version=version)
    )


def read_baseline(baseline: Baseline) -> baseline_files.Baseline | None:
    """Returns the live model's baseline; None where there is none, or none that can be read."""
    if not baseline.get_int_custom_property("present"):
        return None
    try:
        return baseline_files.Baseline.load(baseline.uri)
    except baseline_files.BaselineError as error:
        logger.warning("The live model's baseline cannot be read: %s", error)
        return None
