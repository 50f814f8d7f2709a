"""The metrics: what each is called, of which tasks, in which direction it is better, and by whom it is measured.

The Evaluator, the judge, the report, the monitor and the documents read them here. Nothing here loads NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.task_names import TaskName

EXAMPLE_COUNT = "example_count"
AUC = "auc"
CALIBRATION_ERROR = "expected_calibration_error"
CLASS_SUMS, NUMBER_SUMS = "ClassSums", "NumberSums"
"""Our classes for TFMA that measure several metrics at once."""
PRECISION = 0.5
"""At which `recall_at_precision` is: of what is called 1, one in two is."""
LOSS: Mapping[TaskName, str] = {
    "binary": "binary_crossentropy",
    "multiclass": "sparse_categorical_crossentropy",
    "regression": "mean_absolute_error",
}
"""The loss by which models of each task are told apart where nothing else is asked for."""
MAIN: Mapping[TaskName, str] = {
    "binary": AUC,
    "multiclass": "sparse_categorical_accuracy",
    "regression": "mean_absolute_error",
}
"""The metric that stands for each task in headlines."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A metric.

    Attributes:
      name: TFMA's where TFMA has it; the key of `[evaluation]` floors, limits and drops, and of every result.
      title: in a report.
      tasks: whose models it measures.
      better: in which direction; empty where neither is.
      unit: `nats`, `label` for the label's own unit, `%` of it, or empty for a number without one.
      undefined: why it may have no value on some rows, in words; of every metric, that a prediction is no number.
      tfma: the class by which the Beam engine measures it, TFMA's or our own (pipeline/evaluation/tfma_metrics.py);
        empty where the local engine alone does; by task where tasks differ.
    """

    name: str
    title: str
    tasks: tuple[TaskName, ...]
    better: Literal["higher", "lower", ""] = ""
    unit: Literal["nats", "label", "%", ""] = ""
    undefined: str = "a prediction is no number"
    tfma: str | Mapping[TaskName, str] = ""

    def tfma_of(self, task: TaskName) -> str:
        """Returns the class by which the Beam engine measures models of a task; empty where none does."""
        if task not in self.tasks:
            return ""
        return self.tfma if isinstance(self.tfma, str) else self.tfma.get(task, "")

    @property
    def sign(self) -> float:
        """What a difference is multiplied by, so that above 0 is better."""
        return -1.0 if self.better == "lower" else 1.0

    @property
    def is_relative(self) -> bool:
        """Whether a drop is a share of the live model's value, since the unit is the label's own."""
        return self.unit in ("label", "%")


_B: tuple[TaskName, ...] = ("binary",)
_M: tuple[TaskName, ...] = ("multiclass",)
_R: tuple[TaskName, ...] = ("regression",)
_C, _ALL = (*_B, *_M), (*_B, *_M, *_R)
_ALL_EQUAL, _NO_POSITIVE = "all labels are equal", "no label is 1"
_NO_INTERVAL = "an answer has no interval"
METRICS: Mapping[str, Definition] = {
    item.name: item
    for item in (
        Definition(name=EXAMPLE_COUNT, title="rows", tasks=_ALL, tfma="ExampleCount"),
        Definition(name=AUC, title="AUC", tasks=_B, better="higher", tfma="AUC", undefined=_ALL_EQUAL),
        Definition(
            name="auc_precision_recall",
            title="area under precision and recall",
            tasks=_B,
            better="higher",
            tfma="AUCPrecisionRecall",
            undefined=_NO_POSITIVE,
        ),
        Definition(
            name="recall_at_precision",
            title=f"recall at a precision of {PRECISION}",
            tasks=_B,
            better="higher",
            tfma="RecallAtPrecision",
            undefined=_NO_POSITIVE,
        ),
        Definition(name="binary_accuracy", title="accuracy", tasks=_B, better="higher", tfma="BinaryAccuracy"),
        Definition(
            name="precision",
            title="precision",
            tasks=_B,
            better="higher",
            tfma="Precision",
            undefined="no row is answered 1",
        ),
        Definition(name="recall", title="recall", tasks=_B, better="higher", tfma="Recall", undefined=_NO_POSITIVE),
        Definition(
            name="f1_score",
            title="F1",
            tasks=_B,
            better="higher",
            tfma="F1Score",
            undefined="no label is 1, and no row is answered 1",
        ),
        Definition(
            name="binary_crossentropy",
            title="log loss",
            tasks=_B,
            better="lower",
            unit="nats",
            tfma="BinaryCrossentropy",
        ),
        Definition(
            name="brier_score",
            title="Brier score",
            tasks=_C,
            better="lower",
            tfma={"binary": "MeanSquaredError", "multiclass": CLASS_SUMS},
        ),
        Definition(
            name="calibration", title="predicted over observed", tasks=_B, tfma="Calibration", undefined=_NO_POSITIVE
        ),
        Definition(name="auc_macro", title="AUC, mean of the classes", tasks=_M, better="higher", undefined=_ALL_EQUAL),
        Definition(
            name="sparse_categorical_accuracy",
            title="accuracy",
            tasks=_M,
            better="higher",
            tfma="SparseCategoricalAccuracy",
        ),
        Definition(
            name="top_3_accuracy",
            title="accuracy of the first three",
            tasks=_M,
            better="higher",
            tfma=CLASS_SUMS,
            undefined="there are no more than three classes",
        ),
        *(
            Definition(name=name, title=title, tasks=_M, better="higher", tfma=CLASS_SUMS)
            for name, title in {
                "precision_macro": "precision, mean of the classes",
                "precision_weighted": "precision, classes by their rows",
                "recall_macro": "recall, mean of the classes",
                "recall_weighted": "recall, classes by their rows: the share of right answers",
                "f1_macro": "F1, mean of the classes",
                "f1_weighted": "F1, classes by their rows",
            }.items()
        ),
        Definition(
            name="matthews_correlation_coefficient",
            title="Matthews correlation",
            tasks=_C,
            better="higher",
            tfma={"binary": "MatthewsCorrelationCoefficient", "multiclass": CLASS_SUMS},
        ),
        Definition(
            name="sparse_categorical_crossentropy",
            title="log loss",
            tasks=_M,
            better="lower",
            unit="nats",
            tfma="SparseCategoricalCrossentropy",
        ),
        Definition(
            name="mcfadden_r_squared",
            title="log loss saved against the classes' shares",
            tasks=_M,
            better="higher",
            tfma=CLASS_SUMS,
            undefined=_ALL_EQUAL,
        ),
        Definition(
            name=CALIBRATION_ERROR,
            title="calibration error",
            tasks=_C,
            better="lower",
            tfma={"binary": "ExpectedCalibrationError", "multiclass": CLASS_SUMS},
        ),
        Definition(
            name="mean_absolute_error",
            title="mean absolute error",
            tasks=_R,
            better="lower",
            unit="label",
            tfma="MeanAbsoluteError",
        ),
        Definition(
            name="mean_squared_error",
            title="mean squared error",
            tasks=_R,
            better="lower",
            unit="label",
            tfma="MeanSquaredError",
        ),
        Definition(
            name="root_mean_squared_error",
            title="root mean squared error",
            tasks=_R,
            better="lower",
            unit="label",
            tfma=NUMBER_SUMS,
        ),
        Definition(
            name="mean_absolute_percentage_error",
            title="mean absolute percentage error, %",
            tasks=_R,
            better="lower",
            unit="%",
            tfma="MeanAbsolutePercentageError",
            undefined="all labels are 0",
        ),
        Definition(name="r_squared", title="R²", tasks=_R, better="higher", tfma=NUMBER_SUMS, undefined=_ALL_EQUAL),
        Definition(
            name="mean_pinball_loss",
            title="quantile loss of the ends",
            tasks=_R,
            better="lower",
            unit="label",
            undefined=_NO_INTERVAL,
        ),
        Definition(name="interval_coverage", title="rows within lower and upper", tasks=_R, undefined=_NO_INTERVAL),
        Definition(
            name="interval_width",
            title="mean width of the interval",
            tasks=_R,
            better="lower",
            unit="label",
            undefined=_NO_INTERVAL,
        ),
        Definition(name="mean_label", title="mean label", tasks=(*_B, *_R), tfma="MeanLabel"),
        Definition(name="mean_prediction", title="mean prediction", tasks=(*_B, *_R), tfma="MeanPrediction"),
    )
}
"""By name, in the order of reports."""


def of_task(task: TaskName) -> tuple[Definition, ...]:
    """Returns the metrics of a task, in order."""
    return tuple(item for item in METRICS.values() if task in item.tasks)
