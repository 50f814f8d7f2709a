"""What somebody else's serving_default may take and answer, and how it is read."""

import numpy as np
import pytest
import tensorflow as tf

from models.errors import OwnCodeError
from models.foreign_signature import ForeignSignature, recognize, signature_of
from models.target import Target

EXAMPLES = {"examples": tf.TensorSpec([None], tf.string)}
COLUMNS = {"fare": tf.TensorSpec([None], tf.float32)}
BINARY = Target(label="tipped")
CLASSES = Target(label="kind", task="multiclass", classes=("a", "b", "c"))
NUMBER = Target(label="minutes", task="regression")


def floats(*shape):
    return tf.TensorSpec([None, *shape], tf.float32)


@pytest.mark.parametrize(
    ("inputs", "outputs", "target", "found"),
    [
        # As TFX's templates export.
        (EXAMPLES, {"outputs": floats(1)}, BINARY, ForeignSignature(examples="examples", output="outputs")),
        (COLUMNS, {"output_0": floats(2)}, BINARY, ForeignSignature(output="output_0")),
        (COLUMNS, {"probability": floats(1)}, BINARY, ForeignSignature(output="probability")),
        # As this project exports.
        (COLUMNS, {"probability": floats(), "class": tf.TensorSpec([None], tf.int64)}, BINARY, None),
        (EXAMPLES, {"probability": floats()}, BINARY, ForeignSignature(examples="examples")),
        (
            COLUMNS,
            {"scores": floats(3)},
            CLASSES,
            ForeignSignature(output="scores", task="multiclass", classes=("a", "b", "c")),
        ),
        (COLUMNS, {"value": floats()}, NUMBER, ForeignSignature(output="value", task="regression")),
    ],
)
def test_what_can_be_read_is_recognized(inputs, outputs, target, found):
    assert recognize(inputs, outputs, ("fare", "miles"), target) == found


@pytest.mark.parametrize(
    ("inputs", "outputs", "target", "message"),
    [
        (
            {"x": floats(4)},
            {"outputs": floats(1)},
            BINARY,
            r"expected one input of serialized tf\.Examples, or one",
        ),
        (
            COLUMNS,
            {"a": floats(1), "b": floats(1)},
            BINARY,
            r"expected an output 'probability', or one output of",
        ),
        (COLUMNS, {"ids": tf.TensorSpec([None], tf.int64)}, BINARY, r"expected an output 'probability', or one output"),
        (
            COLUMNS,
            {"outputs": floats(4)},
            CLASSES,
            r"expected 'outputs' of the shape \(rows, 3\), as the task mul",
        ),
        (
            COLUMNS,
            {"outputs": floats(3)},
            BINARY,
            r"of the shape \(rows\) or \(rows, 1\) or \(rows, 2\), as the task",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(inputs, outputs, target, message):
    with pytest.raises(OwnCodeError, match=message):
        recognize(inputs, outputs, ("fare", "miles"), target)


def test_answers_get_the_names_of_their_task():
    binary = ForeignSignature(output="o").outputs({"o": np.array([[0.25], [0.5]])})
    softmax = ForeignSignature(output="o").outputs({"o": np.array([[0.75, 0.25]])})
    classes = ForeignSignature(output="o", task="multiclass", classes=("a", "b")).outputs({"o": np.array([[0.2, 0.8]])})
    number = ForeignSignature(output="o", task="regression").outputs({"o": np.array([[7.0]])})

    assert {name: values.tolist() for name, values in binary.items()} == {"class": [0, 1], "probability": [0.25, 0.5]}
    assert softmax["probability"].tolist() == [0.25]
    assert classes["class"].tolist() == [b"b"]
    assert classes["probabilities"].tolist() == [[0.2, 0.8]]
    assert [*number] == ["value", "lower", "upper"]
    assert all(values.tolist() == [7.0] for values in number.values())


def test_what_is_written_is_read(tmp_path):
    written = ForeignSignature(examples="examples", output="o", task="multiclass", classes=("a", "b"))
    written.write(str(tmp_path))

    assert signature_of(str(tmp_path)) == written
    assert signature_of(str(tmp_path / "nothing")) is None
