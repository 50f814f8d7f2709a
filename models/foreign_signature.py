"""How a model is asked and read whose `serving_default` somebody else has written: `assets.extra/signature.json`.

As TFX's templates export it, a model takes serialized tf.Examples and answers one tensor. What it takes and answers
stays as it is; whoever asks it here, and reads what it answers, does so through this.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import extra_files
from models.errors import OwnCodeError
from models.target import Target, TaskName
from models.tasks import Regression

PATH = os.path.join(extra_files.FOLDER, "signature.json")
_AS_OURS: Mapping[TaskName, tuple[str, Mapping[str, int]]] = {
    "binary": ("probability", {"probability": 1}),
    "multiclass": ("probabilities", {"probabilities": 2}),
    "regression": ("value", dict.fromkeys(Regression.names, 1)),
}
"""By task: the output that is read, and the rank of each that must be there."""
_NOT_READ = "Name the outputs as this project does, or answer one tensor; see docs/model.md."


@dataclass(frozen=True, kw_only=True)
class ForeignSignature:
    """What differs from the signature that this project writes.

    Attributes:
      examples: the input that takes serialized tf.Examples; "" where there is one input for each column.
      output: the output that is read; "" where the outputs have the names of models/tasks.py.
      task: what it predicts.
      classes: of a multiclass task.
    """

    examples: str = ""
    output: str = ""
    task: TaskName = "binary"
    classes: tuple[str, ...] = ()

    def write(self, model_dir: str) -> None:
        """Writes it into a SavedModel's folder."""
        extra_files.write_json(model_dir, PATH, dataclasses.asdict(self))

    def outputs(self, answered: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns what the model has answered by the names of models/tasks.py, the read one first.

        A number without an interval has one of no width.
        """
        if not self.output:
            return dict(answered)
        values = np.asarray(answered[self.output])
        if self.task == "multiclass":
            names = np.array([name.encode() for name in self.classes], np.object_)
            return {
                "class": names[values.argmax(axis=1)],
                "classes": np.repeat(names[None], len(values), axis=0),
                "probabilities": values,
            }
        one = values.reshape(len(values), -1)[:, -1]  # Of two columns, as a softmax answers, the one of label 1.
        if self.task == "binary":
            return {"class": (one >= 0.5).astype(np.int64), "probability": one}
        return dict.fromkeys(Regression.names, one)


def signature_of(model_dir: str) -> ForeignSignature | None:
    """Returns what a model says of its signature; None for a model of this project's own."""
    value = extra_files.read_json(model_dir, PATH)
    return None if value is None else ForeignSignature(**value | {"classes": tuple(value["classes"])})


def recognize(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], columns: Sequence[str], target: Target
) -> ForeignSignature | None:
    """Returns how a `serving_default` is asked and read; None where it is as this project writes it.

    Args:
      inputs, outputs: tf.TensorSpec by name.
      columns: what a client sends.

    Raises:
      OwnCodeError: it takes or answers something else; says what was expected.
    """
    examples = _input(inputs, columns)
    ranks = {name: spec.shape.rank for name, spec in outputs.items()}
    name, wanted = _AS_OURS[target.task]
    if all(ranks.get(one) == rank for one, rank in wanted.items()):
        return ForeignSignature(examples=examples, task=target.task, classes=target.classes) if examples else None
    numbers = [name] if name in outputs else [one for one, spec in outputs.items() if spec.dtype.is_floating]
    if len(numbers) != 1:
        raise OwnCodeError(
            f"serving_default: expected an output {name!r}, or one output of floating point numbers. Received: "
            f"{', '.join(sorted(outputs))}. {_NOT_READ}"
        )
    (output,) = numbers
    width = outputs[output].shape[1:].as_list() if outputs[output].shape.rank is not None else [None]
    allowed = {"binary": ([], [1], [2]), "multiclass": ([len(target.classes)],), "regression": ([], [1])}[target.task]
    if width not in allowed and width != [None]:
        shapes = " or ".join(f"(rows{''.join(f', {n}' for n in shape)})" for shape in allowed)
        raise OwnCodeError(
            f"serving_default: expected {output!r} of the shape {shapes}, as the task {target.task} needs. Received: "
            f"{outputs[output].shape}. {_NOT_READ}"
        )
    return ForeignSignature(examples=examples, output=output, task=target.task, classes=target.classes)


def _input(inputs: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Returns the input of serialized tf.Examples, or "" where each is a column."""
    if set(inputs) <= set(columns):
        return ""
    if len(inputs) == 1:
        ((name, spec),) = inputs.items()
        if spec.dtype.name == "string" and spec.shape.rank == 1:
            return name
    raise OwnCodeError(
        "serving_default: expected one input of serialized tf.Examples, or one for each column of [features]. "
        f"Received: {', '.join(sorted(inputs))}. The columns are: {', '.join(columns)}."
    )
