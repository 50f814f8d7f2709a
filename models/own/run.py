"""`run_fn(fn_args)` of own code, called as TFX's Trainer calls it; what it exports is taken as it is, and checked."""

from __future__ import annotations

import copy
import json
import logging
import os
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from columnar.example_writer import SplitWriter
from models import extra_files, feature_defaults, signatures
from models.errors import ModelError, OwnCodeError
from models.features import FeatureSpec
from models.foreign_signature import recognize
from models.own import loading
from models.own.source import RUN, OwnCode
from models.predictor import Predictor
from models.tf_examples import encode_columns, encode_tensors
from models.training_spec import TrainingSpec
from models.transform_graph import TransformGraph

logger = logging.getLogger(__name__)

Batches = Iterable[pa.RecordBatch]
_SPLITS = ("train", "eval")
_ROWS = 16_384


def run(
    own: OwnCode,
    fn_args: Any,  # Any: tfx.components.FnArgs.
    graph: TransformGraph,
    spec: TrainingSpec,
    *,
    batches: dict[str, Batches],
    sample: pa.RecordBatch,
    transformed: bool,
) -> int:
    """Calls the own `run_fn` and checks what it has exported; returns the number of rows that it was given to train on.

    `train_steps` and `eval_steps` are those of `[training]`: max_steps, or as many as `epochs` take.

    Args:
      batches: labelled rows of both splits, flat.
      sample: rows that the exported model is asked about.
      transformed: whether `train_files` are transformed examples, as a template's are, or the raw ones.

    Raises:
      OwnCodeError: it failed, or has exported nothing that can be served, asked and read.
    """
    features = graph.features
    given = copy.copy(fn_args)
    with tempfile.TemporaryDirectory(prefix="own-run-") as folder:
        rows = {}
        for split in _SPLITS:
            where = os.path.join(folder, f"Split-{split}")
            with SplitWriter(where) as writer:
                for batch in batches[split]:
                    for start in range(0, batch.num_rows, _ROWS):
                        part = batch.slice(start, _ROWS)
                        writer.write(
                            encode_tensors(graph.transform_labelled(part))
                            if transformed
                            else encode_columns(part, features.columns)
                        )
            rows[split] = writer.num_examples
            setattr(given, f"{split}_files", [os.path.join(where, "*")])
        given.train_steps = spec.max_steps or max(1, spec.epochs * rows["train"] // spec.batch_size)
        given.eval_steps = max(1, rows["eval"] // spec.batch_size)
        given.custom_config = {"features": json.loads(features.to_json()), "training": json.loads(spec.to_json())}
        loading.function(own, RUN)(given)
    check_export(own, fn_args.serving_model_dir, graph, sample)
    return rows["train"]


def check_export(own: OwnCode, model_dir: str, graph: TransformGraph, sample: pa.RecordBatch) -> None:
    """Checks the SavedModel that `run_fn` has written, and says beside it how it is asked and read.

    Raises:
      OwnCodeError: there is none, or its `serving_default` cannot be asked or read.
    """
    features = graph.features
    try:
        predictor = Predictor(model_dir)
    except ModelError as error:
        raise OwnCodeError(f"{own.entry}: {RUN} has exported no model that can be served: {error}") from error
    try:
        foreign = recognize(predictor.input_specs, predictor.output_specs, features.names, features.target)
    except OwnCodeError as error:
        raise OwnCodeError(f"{own.entry}: {RUN}: {error}") from error
    feature_defaults.write(model_dir, signatures.feature_defaults(graph, features))
    if foreign is not None:
        foreign.write(model_dir)
    predictor = Predictor(model_dir)  # Which reads what was written beside the model.
    if not _finds_its_variables(predictor, sample):
        save_again(model_dir)
        predictor = Predictor(model_dir)
    _check_answers(own, predictor, features, sample)


def _finds_its_variables(predictor: Predictor, sample: pa.RecordBatch) -> bool:
    try:
        predictor.predict(sample)
    except tf.errors.FailedPreconditionError:
        return False
    except (ModelError, tf.errors.OpError, RuntimeError):
        pass  # Another fault: `_check_answers` tells it.
    return True


def save_again(model_dir: str) -> None:
    """Saves a model once more, with the same signatures and weights, so that a session finds its variables.

    `tf.saved_model.save` of a Keras 3 model writes each variable twice, and the signatures read the one that is not
    restored in a session, which is how TensorFlow Serving and this project's server load a model.
    """
    loaded = tf.saved_model.load(model_dir)
    with tempfile.TemporaryDirectory(prefix="own-model-") as folder:
        again = os.path.join(folder, "model")
        tf.saved_model.save(loaded, again, signatures=dict(loaded.signatures))
        _copy(os.path.join(model_dir, extra_files.FOLDER), os.path.join(again, extra_files.FOLDER))
        tf.io.gfile.rmtree(model_dir)
        _copy(again, model_dir)
    logger.info("The exported model was saved again: a session does not find the variables of a Keras model.")


def _copy(folder: str, target: str) -> None:
    """Copies the files of a folder and of those in it."""
    for where, _, names in tf.io.gfile.walk(folder):
        there = os.path.join(target, os.path.relpath(where, folder))
        tf.io.gfile.makedirs(there)
        for name in names:
            tf.io.gfile.copy(os.path.join(where, name), os.path.join(there, name))


def _check_answers(own: OwnCode, predictor: Predictor, features: FeatureSpec, sample: pa.RecordBatch) -> None:
    """Asks about a few rows: what has the form of an answer may still be logits."""
    try:
        found = predictor.predict(sample)
    except (ModelError, tf.errors.OpError, RuntimeError) as error:
        message = " ".join(str(getattr(error, "message", error)).split())
        raise OwnCodeError(f"{own.entry}: {RUN}: the exported model does not answer: {message}") from error
    if not np.isfinite(found).all():
        raise OwnCodeError(f"{own.entry}: {RUN}: the exported model answers what is no number.")
    if features.task != "regression" and not (found.min() >= 0 and found.max() <= 1):
        raise OwnCodeError(
            f"{own.entry}: {RUN}: expected probabilities. Received: from {found.min():.3g} to {found.max():.3g}. "
            "Export a model that ends with sigmoid or softmax."
        )
