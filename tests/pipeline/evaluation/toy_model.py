"""A SavedModel small enough to check by hand: probability = sigmoid(slope * x + hour / 12 - 1), label = y.

Of several classes the logits are 0, the binary one's, half of it and x; of numbers the value is the logit, its interval
one unit on either side, and `late` is the label. Where rows are weighted, `fare` is the weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

SCHEMA = text_format.Parse(
    """
    feature { name: "hour" type: INT presence { min_fraction: 1 } }
    feature { name: "fare" type: FLOAT presence { min_fraction: 1 } }
    feature { name: "payment" type: BYTES }
    feature { name: "x" type: FLOAT presence { min_fraction: 1 } }
    feature { name: "y" type: INT }
    feature { name: "late" type: FLOAT }
    """,
    schema_pb2.Schema(),
)
_PARSE = {
    "hour": tf.io.FixedLenFeature([1], tf.int64, default_value=[0]),
    "x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    "y": tf.io.FixedLenFeature([1], tf.int64, default_value=[-1]),
    "late": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
    "fare": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
}
CLASSES = ("early", "late", "never", "odd")
_EXAMPLES = tf.TensorSpec([None], tf.string, name="examples")


class _Toy(tf.Module):
    def __init__(self, slope: float, task: str, *, weighted: bool) -> None:
        super().__init__()
        self.slope = tf.Variable(slope, dtype=tf.float32)
        self._task, self._weighted = task, weighted

    def _answer(self, x: tf.Tensor, hour: tf.Tensor) -> dict[str, tf.Tensor]:
        logit = self.slope * x + hour / 12.0 - 1.0  # (batch,)
        if self._task == "regression":
            return {"value": logit, "lower": logit - 1.0, "upper": logit + 1.0}
        if self._task == "multiclass":
            logits = tf.stack([tf.zeros_like(logit), logit, logit / 2.0, x], axis=1)  # (batch, classes)
            return {
                "probabilities": tf.nn.softmax(logits),
                "classes": tf.repeat(tf.constant(CLASSES)[None], tf.shape(logits)[0], axis=0),
                "class": tf.gather(tf.constant(CLASSES), tf.argmax(logits, axis=1)),
            }
        probability = tf.sigmoid(logit)
        return {"probability": probability, "class": tf.cast(probability >= 0.5, tf.int64)}

    @tf.function(input_signature=[_EXAMPLES], autograph=False)
    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        row = tf.io.parse_example(examples, _PARSE)
        return self._answer(row["x"][:, 0], tf.cast(row["hour"][:, 0], tf.float32))

    @tf.function(
        input_signature=[{name: tf.TensorSpec([None], tf.float32, name=name) for name in ("hour", "x")}],
        autograph=False,
    )
    def serve(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._answer(inputs["x"], inputs["hour"])

    @tf.function(input_signature=[_EXAMPLES], autograph=False)
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        row = tf.io.parse_example(examples, _PARSE)
        label = row["late" if self._task == "regression" else "y"][:, 0]
        weight = {"weight_xf": row["fare"][:, 0]} if self._weighted else {}
        return {"x_xf": row["x"][:, 0], "label_xf": label, **weight}


def save(folder: Path, slope: float = 2.0, task: str = "binary", *, weighted: bool = False) -> Path:
    """Writes the model; returns its folder."""
    toy = _Toy(slope, task, weighted=weighted)
    signatures = {
        "serving_default": toy.serve,
        "serve_examples": toy.serve_examples,
        "transform_features": toy.transform_features,
    }
    tf.saved_model.save(toy, str(folder), signatures=signatures)
    return folder


def rows(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Columns whose label follows the model with slope 2; a tenth of the payments are missing (None)."""
    random = np.random.default_rng(seed)
    hour = random.integers(0, 24, count)
    x = random.normal(0.0, 1.0, count).astype(np.float32)
    payment = random.choice(np.array(["Cash", "Credit Card", "Ünknown", None], object), count, p=[0.5, 0.3, 0.1, 0.1])
    rate = 1.0 / (1.0 + np.exp(-(2.0 * x + hour / 12.0 - 1.0)))
    return {
        "hour": hour,
        "fare": random.choice(np.array([2.5, 3.25, 10.1], np.float32), count),
        "payment": payment,
        "x": x,
        "y": (random.random(count) < rate).astype(np.int64),
    }


def rows_of(task: str, count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Columns whose label is of the task: a class's number, or minutes."""
    columns, random = rows(count, seed), np.random.default_rng(seed + 1)
    logit = 2.0 * columns["x"] + columns["hour"] / 12.0 - 1.0
    if task == "regression":
        return columns | {"late": (logit + random.normal(size=count)).astype(np.float32)}
    if task == "multiclass":
        logits = np.stack([np.zeros(count), logit, logit / 2, columns["x"]], axis=1)
        return columns | {"y": (logits - np.log(-np.log(random.random(logits.shape)))).argmax(axis=1)}
    return columns


def write_examples(path: Path, columns: Mapping[str, Iterable[object]]) -> Path:
    """Writes gzipped tf.Examples; None is an absent value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for values in zip(*columns.values(), strict=True):
            example = tf.train.Example()
            for name, value in zip(columns, values, strict=True):
                feature = example.features.feature[name]
                if isinstance(value, str):
                    feature.bytes_list.value.append(value.encode())
                elif isinstance(value, (float, np.floating)):
                    feature.float_list.value.append(float(value))
                elif value is not None:
                    feature.int64_list.value.append(int(value))
            writer.write(example.SerializeToString())
    return path
