"""Blesses a candidate that a model server can load and that answers as it did offline.

What TFX's InfraValidator does, without Docker: the server is the embedded one, in a process of its own.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model, Schema
from tfx.utils import io_utils, path_utils

from columnar import examples as example_files
from models.feature_difference import first_difference
from models.foreign_signature import signature_of
from models.predictor import predictor_of
from models.target import TaskName
from models.tasks import one_number
from pipeline import files
from pipeline.artifacts import Baseline
from pipeline.predict import instances, servability
from pipeline.state.version_folder import BASELINE_FOLDER, PREDICTIONS_FILE, SAMPLE_REQUEST_FILE

# Enough rows that a percentile of latency means something, few enough that asking takes a second.
ROWS = 128
MOST_PREDICTIONS = 100_000
VERSION = "1"


@component
def InfraValidator(
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    schema: InputArtifact[Schema],
    baseline: InputArtifact[Baseline],
    blessing: OutputArtifact[InfraBlessing],
    model_name: Parameter[str],
    max_p99_ms: Parameter[float] = 0.0,
) -> None:
    """Stamps the model with its baseline and warm-up requests, serves it, and compares its answers.

    The blessing carries the stamped model (`has_model` is 1, as after the stock component's make_warmup), and that is
    what the Pusher pushes: baseline and warm-up requests become visible with the version, by the same rename.

    Args:
      max_p99_ms: limit on the p99 latency of single-row requests, milliseconds; 0 for no limit.
    """
    schema_proto = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    paths = example_files.split_paths(examples.uri, "eval")
    rows = next(example_files.iter_batches(paths, schema_proto, batch_size=ROWS))
    source = path_utils.serving_model_path(model.uri)
    with tempfile.TemporaryDirectory(prefix="infra-") as folder:
        # A local copy, whatever file system the artifacts are on: a server loads it and warm-up requests are added.
        version = Path(folder) / "served" / VERSION
        io_utils.copy_dir(source, str(version))
        io_utils.copy_dir(baseline.uri, str(version / BASELINE_FOLDER))
        requests = instances.instances(rows, version)
        instances.write_warmup(version, model_name, [requests[:1], requests])
        sample = json.dumps({"instances": requests[:1]})
        (version / SAMPLE_REQUEST_FILE).write_text(sample, encoding="utf-8")
        log = Path(folder) / "server.log"
        predictor = predictor_of(source)

        def answers() -> np.ndarray:
            predictions = predictor.predict(example_files.read_table(paths, schema_proto).slice(0, MOST_PREDICTIONS))
            keep_predictions(predictions, predictor.task, version / BASELINE_FOLDER / PREDICTIONS_FILE)
            return predictions[: rows.num_rows]

        outcome = servability.check(
            version.parent,
            model_name,
            requests,
            answers,
            log=log,
            max_p99_ms=max_p99_ms or None,
            foreign=signature_of(source),
            explain=lambda: first_difference(source, rows),
        )
        stamped = path_utils.stamped_model_path(blessing.uri)
        files.link_tree(source, stamped)
        files.link_tree(baseline.uri, os.path.join(stamped, BASELINE_FOLDER))
        for name in (instances.WARMUP_FILE, SAMPLE_REQUEST_FILE, os.path.join(BASELINE_FOLDER, PREDICTIONS_FILE)):
            io_utils.copy_file(str(version / name), os.path.join(stamped, name))
        io_utils.write_string_file(os.path.join(blessing.uri, log.name), log.read_text(errors="replace"))
    io_utils.write_string_file(
        os.path.join(blessing.uri, "INFRA_BLESSED" if outcome.servable else "INFRA_NOT_BLESSED"), ""
    )
    io_utils.write_string_file(os.path.join(blessing.uri, "reason.txt"), outcome.reason + "\n")
    blessing.set_int_custom_property("blessed", int(outcome.servable))
    blessing.set_int_custom_property("has_model", 1)
    blessing.set_string_custom_property("reason", outcome.reason)
    blessing.set_float_custom_property("p99_ms", outcome.p99_ms)


def keep_predictions(predictions: np.ndarray, task: TaskName, target: Path) -> None:
    """Keeps what the candidate predicts for held-out rows: what its answers to requests are compared with."""
    arrays: dict[str, Any] = {"probabilities": one_number(predictions, task)}  # Any: NumPy's own types.
    if task == "multiclass":
        arrays["classes"] = predictions
    np.savez_compressed(target, **arrays)
