"""What a model predicts: the task, the label's expression, the classes, and how much each row counts.

| task       | label                                  | `evaluate` answers, where known         | where unknown |
|------------|----------------------------------------|-----------------------------------------|---------------|
| binary     | models/label.py's 0/1 expressions      | 1 or 0, int64                           | -1            |
| multiclass | a text column, or a number             | the index of its class, int64           | -1            |
| regression | a number                               | the number, float64                     | NaN           |

A label is unknown where an operand is missing, where it is no class or no finite number, and where the row's weight is
not a finite number above 0: such a row is neither trained on nor judged.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from models import label as label_expression
from models import label_grammar
from models.errors import LabelError
from models.expressions import Column, Node
from models.label import NO_LABEL
from models.task_names import TaskName as TaskName
from models.task_names import TransformName as TransformName

Array = Any  # pyarrow.Array, numpy.ndarray or tf.Tensor: TensorFlow is not imported for a type.
Threshold = float | Literal["max_f1", "max_mcc"] | Mapping[str, float]
"""What decides the class that is answered: see models/thresholds.py."""
COSTS = ("cost_false_positive", "cost_false_negative")
_DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is predicted.

    Attributes:
      label: expression of models/label_grammar.py: a comparison or a 0/1 column of a binary task, a number otherwise.
      task: the kind of prediction.
      classes: of a multiclass task, at least two, all different; whole numbers are written as texts.
      weight: a numeric expression, how much each row counts; empty where each counts one.
      transform: of a regression's label before it is learned; predictions are in the label's own unit.
      interval: share of a regression's rows that `lower` to `upper` shall cover.
      threshold: which class is answered, of the two tasks that answer one: see models/thresholds.py.
    """

    label: str
    task: TaskName = "binary"
    classes: tuple[str, ...] = ()
    weight: str = ""
    transform: TransformName = "none"
    interval: float = 0.9
    threshold: Threshold = _DEFAULT_THRESHOLD

    def __post_init__(self) -> None:
        _ = self._tree, self.weight_columns  # Both are in the grammar.
        if (self.task == "multiclass") != bool(self.classes):
            raise LabelError(
                f"classes belong to task multiclass. Received: task {self.task}, {len(self.classes)} classes."
            )
        if self.classes and (len(self.classes) < 2 or len(set(self.classes)) < len(self.classes)):
            raise LabelError(f"classes: expected at least two, all different. Received: {', '.join(self.classes)}.")
        if self.transform != "none" and self.task != "regression":
            raise LabelError(f"transform: expected none, since the task is {self.task}. Received: {self.transform}.")
        self._check_threshold()

    def _check_threshold(self) -> None:
        rule = self.threshold
        if rule == _DEFAULT_THRESHOLD:
            return
        if self.task == "regression":
            raise LabelError(f"threshold: a regression answers no class. Remove the key. Received: {rule!r}.")
        if isinstance(rule, Mapping):
            wanted = "a cost for each of" if self.task == "binary" else "costs of classes:"
            allowed = COSTS if self.task == "binary" else self.classes
            wrong = sorted(set(rule) - set(allowed) or (set(allowed) - set(rule) if self.task == "binary" else ()))
            if wrong or not rule:
                raise LabelError(
                    f"threshold: expected {wanted} {', '.join(allowed)}. Received: {', '.join(rule) or '{}'}."
                )
        elif self.task == "multiclass" and not isinstance(rule, str):
            raise LabelError(
                "threshold: several classes have none in common. Expected max_f1, max_mcc, a table of costs by class, "
                f"or no such key, for the most probable class. Received: {rule!r}."
            )

    @property
    def shortest(self) -> Target | str:
        """The expression alone where it says everything, as of a binary label whose rows all count one."""
        stored = dataclasses.replace(self, threshold=_DEFAULT_THRESHOLD)  # No matter of what the labels are.
        return self.label if stored == Target(label=self.label) else stored

    @property
    def outputs(self) -> int:
        """Outputs of a network for it, see models/tasks.py."""
        return {"binary": 1, "multiclass": len(self.classes), "regression": 3}[self.task]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that label and weight are computed from; they may be features too."""
        return self.label_columns | self.weight_columns

    @property
    def label_columns(self) -> frozenset[str]:
        """The columns that the label is computed from."""
        return frozenset(label_grammar.columns(self._tree))

    @property
    def weight_columns(self) -> frozenset[str]:
        """The columns that the weight is computed from."""
        return frozenset(label_grammar.columns(label_grammar.parse_number(self.weight))) if self.weight else frozenset()

    @property
    def is_column(self) -> bool:
        """Whether the label is a column of its own rather than an expression over others."""
        return isinstance(self._tree, Column)

    def evaluate(self, columns: Mapping[str, Array]) -> Array:
        """The label of each row, as the module says; of the columns' shape.

        Args:
          columns: arrays of one shape, all Arrow, all numpy or all TensorFlow; see `models.label.evaluate`.

        Raises:
          LabelError: a column is not given, or of a type that the task's label cannot be.
        """
        labels = self._labels(columns)
        if not self.weight:
            return labels
        weights = self.weights(columns)
        if isinstance(labels, np.ndarray):
            return np.where(weights > 0, labels, NO_LABEL if self.task != "regression" else np.nan)
        import tensorflow as tf  # Only callers that already hold tensors come here.

        unknown = tf.constant(NO_LABEL if self.task != "regression" else float("nan"), labels.dtype)
        return tf.where(weights > 0, labels, unknown)

    def weights(self, columns: Mapping[str, Array]) -> Array:
        """How much each row counts, float64, of the columns' shape; 0 where the weight is not a finite number above 0.

        Raises:
          LabelError: a column is not given or not numeric.
        """
        if not self.weight:
            return np.ones(len(next(iter(columns.values()))))
        library, values = label_expression.number(self.weight, columns)
        return library.where(library.logical_and(_is_finite(library, values), values > 0), values, np.float64(0))

    def _labels(self, columns: Mapping[str, Array]) -> Array:
        if self.task == "binary":
            return label_expression.evaluate(self.label, columns)
        if self.task == "multiclass":
            return label_expression.class_index(self.label, self.classes, columns)
        library, values = label_expression.number(self.label, columns)
        return library.where(_is_finite(library, values), values, np.float64("nan"))

    @functools.cached_property
    def _tree(self) -> Node:
        parse = label_grammar.parse if self.task == "binary" else label_grammar.parse_number
        return parse(self.label)


def _is_finite(library: Any, values: Array) -> Array:  # Any: the module numpy or tensorflow.
    with np.errstate(invalid="ignore"):
        return library.equal(values - values, np.float64(0))  # Neither NaN nor an infinity less itself is 0.


def is_known(labels: np.ndarray) -> np.ndarray:
    """Which of the labels that `Target.evaluate` answered are known, bool (rows,)."""
    return np.asarray(~np.isnan(labels) if labels.dtype.kind == "f" else labels != NO_LABEL)
