"""The live model, or its predictions, measured on a span's rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.gate import labels, performance
from pipeline.gate.performance import Evaluation
from pipeline.gate.settings import Settings


def evaluate_model(model_dir: Path | str, table: pa.Table, settings: Settings) -> Evaluation:
    """Measures a SavedModel on the labelled rows of `table`, overall and per slice."""
    from models.predictor import predictor_of  # Loads TensorFlow, which most decisions do without.

    table, values = labels.labelled(table, settings.features.target)
    return evaluate(table, values, predictor_of(str(model_dir)).predict(table), settings.slices)


def evaluate(
    table: pa.Table, labels_: np.ndarray, probabilities: np.ndarray, slices: tuple[tuple[str, ...], ...]
) -> Evaluation:
    """Measures probabilities, (rows,), overall and on the slices that the dataset file names."""
    columns = {name: table.column(name) for crossed in slices for name in crossed}
    masks = {name: mask for crossed in slices for name, mask in performance.slice_masks(columns, crossed).items()}
    return performance.evaluate(labels_, probabilities, masks)
