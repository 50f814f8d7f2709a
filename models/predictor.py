"""Scores flat record batches with an exported model, in large batches."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.errors import ModelError
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
    """A loaded SavedModel; columns that a batch lacks count as missing."""

    def __init__(self, model_dir: str) -> None:
        """Loads the model.

        Raises:
          ModelError: there is no SavedModel, or it has no `serving_default` of named tensors.
        """
        try:
            self._loaded = tf.saved_model.load(str(model_dir))  # Owns the variables that the signature uses.
        except OSError as error:
            raise ModelError(f"No SavedModel can be loaded from {model_dir}: {error}") from error
        if _SIGNATURE not in self._loaded.signatures:
            found = ", ".join(self._loaded.signatures) or "none"
            raise ModelError(f"The model in {model_dir} has no signature {_SIGNATURE!r}. Its signatures: {found}.")
        self._signature = self._loaded.signatures[_SIGNATURE]
        self._inputs: dict[str, tf.TensorSpec] = dict(self._signature.structured_input_signature[1])

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features that the model takes, sorted."""
        return tuple(sorted(self._inputs))

    def predict(self, batch: pa.RecordBatch | pa.Table) -> np.ndarray:
        """Probabilities of the positive label, float32, (rows,)."""
        parts = [np.empty(0, np.float32)]
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            parts.append(self.outputs(batch.slice(start, _BATCH_ROWS))["probability"])
        return np.concatenate(parts)

    def outputs(self, batch: pa.RecordBatch | pa.Table) -> dict[str, np.ndarray]:
        """All outputs by name, sorted, (rows, ...), in one execution; may be called by several threads."""
        arrays = serving_arrays(batch, self._inputs)
        outputs = self._signature(**{name: tf.constant(x, self._inputs[name].dtype) for name, x in arrays.items()})
        return {name: tensor.numpy() for name, tensor in sorted(outputs.items())}
