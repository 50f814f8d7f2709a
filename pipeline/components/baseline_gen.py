"""Measures the training window for the comparisons of later spans."""

import json
import os
import re
import time

import numpy as np
import pyarrow as pa
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Examples, ExampleStatistics, ModelRun, Schema
from tfx.utils import io_utils

from columnar import examples as example_files
from pipeline.artifacts import Baseline
from pipeline.components.rerun_gate import read_statistics
from pipeline.gate import scoring
from pipeline.gate.baseline import build_baseline
from pipeline.gate.definition import define
from pipeline.gate.performance import Evaluation
from pipeline.gate.settings import Settings
from pipeline.state.version_folder import DEFINITION_FILE, WINDOW_FILE

# As models.training writes it; importing that would load TensorFlow's training parts.
OUT_OF_TIME = "out_of_time.npz"
_SPAN_OF_SHARD = re.compile(r"span-0*(\d+)-")


@component
def BaselineGen(
    examples: InputArtifact[Examples],
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    model_run: InputArtifact[ModelRun],
    baseline: OutputArtifact[Baseline],
    settings: Parameter[str],
) -> None:
    """Writes the baseline that travels with the model, should it be pushed.

    Args:
      examples: the training window, shards named by span.
      model_run: holds the out-of-time predictions that training left, where the window has several spans.
      settings: Settings.to_json().
    """
    parsed = Settings.from_json(settings)
    schema_proto = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    compared = {*parsed.features.columns, *(column for crossed in parsed.slices for column in crossed)}
    columns = [feature.name for feature in schema_proto.feature if feature.name in compared]
    tables = tables_by_span(example_files.split_paths(examples.uri, "train"), schema_proto, columns)
    measured = build_baseline(
        tables,
        schema_proto,
        parsed.features,
        parsed.policy,
        evaluation=out_of_time(model_run.uri, tables[max(tables)], parsed),
        statistics=read_statistics(statistics.uri),
        created_at=int(time.time()),
    )
    measured.save(baseline.uri)
    io_utils.write_string_file(os.path.join(baseline.uri, WINDOW_FILE), json.dumps(list(measured.window)))
    definition = define(parsed.features, parsed.training, parsed.code, schema_proto)
    io_utils.write_string_file(os.path.join(baseline.uri, DEFINITION_FILE), definition.to_json())
    baseline.set_int_custom_property("present", 1)


def tables_by_span(paths: list[str], schema: "Schema", columns: list[str]) -> dict[int, pa.Table]:
    """Returns these columns of the window's train rows, span by span, in the order of the shards."""
    shards: dict[int, list[str]] = {}
    for path in paths:
        match = _SPAN_OF_SHARD.search(os.path.basename(path))
        assert match is not None, f"{path} is not named by its span; TrainingWindow names shards so"
        shards.setdefault(int(match.group(1)), []).append(path)
    return {span: example_files.read_table(names, schema, columns) for span, names in sorted(shards.items())}


def out_of_time(model_run_uri: str, newest: pa.Table, settings: Settings) -> Evaluation | None:
    """Returns the evaluation on the newest span by the part of the model that was trained on earlier spans alone.

    None where the window has one span: held-out rows of the same days would flatter, and every later span would look
    like a decline.
    """
    path = os.path.join(model_run_uri, OUT_OF_TIME)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file, np.load(file) as arrays:
        return scoring.evaluate(newest, arrays["labels"], arrays["probabilities"], settings.slices)
