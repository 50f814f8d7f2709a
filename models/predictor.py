"""Scores flat record batches with an exported model, in large batches."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models import thresholds
from models.errors import FeatureError, ModelError
from models.feature_defaults import inputs_with_defaults
from models.foreign_signature import signature_of
from models.target import TaskName
from models.tasks import PREDICTED, predictions_of
from models.tf_examples import encode_columns
from models.thresholds import Thresholds
from models.transform_graph import serving_arrays

_BATCH_ROWS = 32_768
_SIGNATURE = "serving_default"


@functools.lru_cache(maxsize=2)
def predictor_of(model_dir: str) -> Predictor:
    """Returns a model's Predictor, the same one for the same folder: models never change once they are written.

    Loading takes a second, and a run asks two models, the live one and the candidate, two times each.
    """
    return Predictor(model_dir)


class Predictor:
    """A SavedModel in a session, asked by its signature_def like a server asks it.

    `tf.saved_model.load` gives a signature's arguments, whose names are not always those of its inputs: TensorFlow
    renames `hours-per-week` to `hours_per_week`.
    """

    def __init__(self, model_dir: str) -> None:
        """Loads the model.

        Raises:
          ModelError: there is no SavedModel, or it has no `serving_default` of named tensors.
        """
        self._model_dir = str(model_dir)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, [tf.saved_model.SERVING], self._model_dir)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"No SavedModel can be loaded from {model_dir}: {error}") from error
        if _SIGNATURE not in loaded.signature_def:
            names = ", ".join(sorted(name for name in loaded.signature_def if not name.startswith("__"))) or "none"
            raise ModelError(f"The model in {model_dir} has no signature {_SIGNATURE!r}. Its signatures: {names}.")
        signature = loaded.signature_def[_SIGNATURE]
        self._placeholders = {name: info.name for name, info in signature.inputs.items()}
        self._fetches = {name: info.name for name, info in sorted(signature.outputs.items())}
        self._specs = {
            name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype))
            for name, info in signature.inputs.items()
        }
        self.output_specs = {
            name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype))
            for name, info in signature.outputs.items()
        }
        self._optional = inputs_with_defaults(self._model_dir)
        self._foreign = signature_of(self._model_dir)

    @property
    def input_specs(self) -> dict[str, tf.TensorSpec]:
        """What the signature takes, by name."""
        return dict(self._specs)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features that the model takes, sorted."""
        return tuple(sorted(self._optional if self._takes_examples else self._specs))

    @property
    def _takes_examples(self) -> str:
        """The input of serialized tf.Examples; empty where there is one for each column."""
        return self._foreign.examples if self._foreign else ""

    @property
    def task(self) -> TaskName:
        """What the model predicts, by its outputs.

        Raises:
          ModelError: they are of no task, as those of a model that someone else pushed may be.
        """
        if self._foreign:
            return self._foreign.task
        for name, task in PREDICTED.items():
            if name in self._fetches:
                return task
        raise ModelError(
            f"The model in {self._model_dir} has no output {' or '.join(map(repr, PREDICTED))}. "
            f"It has: {[*self._fetches]}."
        )

    @functools.cached_property
    def thresholds(self) -> Thresholds:
        """Which class the model answers."""
        return thresholds.read(self._model_dir)

    def predict(self, batch: pa.RecordBatch | pa.Table) -> np.ndarray:
        """Probabilities of the positive label (rows,) or of each class (rows, classes), or value, lower and upper
        (rows, 3); float32.

        Raises:
          ModelError: see `task`.
          FeatureError: see `outputs`.
        """
        _ = self.task
        starts = range(
            0, max(batch.num_rows, 1), _BATCH_ROWS
        )  # No rows are asked for too: what is answered has a shape.
        return np.concatenate([predictions_of(self.outputs(batch.slice(start, _BATCH_ROWS))) for start in starts])

    def outputs(self, batch: pa.RecordBatch | pa.Table) -> dict[str, np.ndarray]:
        """All outputs by name, sorted, (rows, ...), in one execution; may be called by several threads.

        Raises:
          FeatureError: a column has another type than its input, or is not there although nothing stands for it.
        """
        columns = set(batch.schema.names)
        absent = [name for name in self.inputs if name not in columns]
        required = [name for name in absent if name not in self._optional]
        if required or len(absent) == len(self.inputs):
            raise FeatureError(
                f"The model in {self._model_dir} needs {', '.join(map(repr, required or absent))}. "
                f"The rows have: {', '.join(map(repr, batch.schema.names))}."
            )
        if self._takes_examples:
            arrays = {self._takes_examples: np.array(encode_columns(batch, self.inputs).to_pylist(), np.object_)}
        else:
            arrays = serving_arrays(batch, self._specs)
        outputs: dict[str, np.ndarray] = self._session.run(
            self._fetches, {self._placeholders[name]: array for name, array in arrays.items()}
        )
        return self._foreign.outputs(outputs) if self._foreign else outputs
