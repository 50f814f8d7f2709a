"""Whether a candidate may go live: one judgement for both engines, with its reasons in words."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from models.target import TaskName
from pipeline import json_values
from pipeline.evaluation import intervals, registry
from pipeline.evaluation.bar import Bar
from pipeline.evaluation.curves import ModelCurves
from pipeline.evaluation.metrics import Metric, SliceKey, value_of
from pipeline.evaluation.registry import AUC, CALIBRATION_ERROR, EXAMPLE_COUNT
from pipeline.evaluation.spec import EvaluationSpec

Status = Literal["passed", "failed", "not judged"]
Values = Mapping[str, Metric]

OVERALL: SliceKey = ()
JUDGEMENT_FILE = "judgement.json"
"""In the Evaluator's artifact, beside TFMA's files."""
RARE = 0.05
"""Share of positives below which floors are set by the share: see `floors_on`."""
# As releases wrote them that knew one task.
_FORMER_NAMES = {"auc": "value", "auc_deviation": "deviation", "baseline_auc": "live"}


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A metric that dataset.toml names besides the main one, on a slice.

    Attributes:
      value: None where it is undefined or was not measured.
      deviation: bootstrap standard deviation; None where none was computed.
      live: the live model's value; None where there is none.
    """

    metric: str
    value: float | None
    deviation: float | None
    live: float | None


@dataclass(frozen=True, kw_only=True)
class SliceJudgement:
    """One slice, or the whole split (`slice` is ""): what the candidate and the live model reached, and what follows.

    Attributes:
      metric: the task's main metric, of which are `value`, `deviation` and `live`.
      value: None where it is undefined, as an AUC where all labels are equal.
      deviation: bootstrap standard deviation; None where none was computed.
      live: the live model's value; None where there is none.
      calibration_error: None for a task without it, and where a prediction is no number.
      mean_label, mean_prediction: None for a task without it, and where a prediction is no number.
      failed: the metrics that a rule was broken by.
      why: in words, for everything but a plain pass.
      beside: see EvaluationSpec.beside.
    """

    slice: str
    examples: int
    value: float | None
    deviation: float | None
    calibration_error: float | None
    mean_label: float | None
    mean_prediction: float | None
    live: float | None
    status: Status
    why: str = ""
    metric: str = AUC
    failed: tuple[str, ...] = ()
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A blessing or its refusal; `reasons` says why in either case. The first slice is the whole split.

    Attributes:
      notes: what a person should know whether or not the candidate is blessed; see `notes_on`.
      bar: what the candidate had to beat; None where it had no value, and in files of releases without it.
    """

    blessed: bool
    reasons: tuple[str, ...]
    slices: tuple[SliceJudgement, ...]
    task: TaskName = "binary"
    notes: tuple[str, ...] = ()
    bar: Bar | None = None

    def to_dict(self) -> dict[str, Any]:  # Any: JSON.
        """Returns JSON values, as judgement.json holds them."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Serializes to JSON."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Judgement:
        """Reads what `to_json` wrote, in earlier releases too.

        Raises:
          ValueError: it is something else.
        """
        value = json.loads(text)
        if isinstance(value, dict) and isinstance(value.get("slices"), list):
            value["slices"] = [
                {_FORMER_NAMES.get(key, key): item for key, item in row.items()} for row in value["slices"]
            ]
        return json_values.from_json_values(cls, value)


def judge(
    candidate: Mapping[SliceKey, Values],
    live: Mapping[SliceKey, Values] | None,
    spec: EvaluationSpec,
    task: TaskName = "binary",
    bar: Bar | None = None,
) -> Judgement:
    """Applies the dataset file's floors and drops, and the bar that `must_beat` sets.

    A rule is broken only where the whole 95 % interval is: of the value for a floor, of the difference for a drop.
    Without bootstrap replicates the value alone decides.

    Args:
      candidate: slice to metrics; the empty key is the whole split.
      live: the live model's on the same rows; None where no model is live.
      bar: what the candidate must beat; None where it has no value to be held to it.
    """
    overall, reasons = _judge_overall(candidate.get(OVERALL, {}), (live or {}).get(OVERALL), spec, task)
    rows = [overall]
    for key in sorted((key for key in candidate if key != OVERALL), key=_in_order):
        rows.append(_judge_slice(key, candidate[key], live.get(key) if live is not None else None, spec, task))
    failed = [row for row in rows[1:] if row.status == "failed"]
    reasons += [f"{row.slice}: {row.why}" for row in failed]
    if bar is not None and not bar.cleared:
        reasons.append(bar.words)
    blessed = overall.status == "passed" and not failed and (bar is None or bar.cleared)
    if blessed:
        against = "no model is live to compare with" if live is None else "not worse than the live model"
        beaten = [bar.words] if bar is not None else []
        reasons = [", ".join([*_kept_floors(candidate[OVERALL], spec, task), *beaten, against])]
    return Judgement(blessed=blessed, reasons=tuple(reasons), slices=tuple(rows), task=task, bar=bar)


def notes_on(model: ModelCurves) -> tuple[str, ...]:
    """Returns what is odd about the classes that a model answers: those that rows have and that it never answers."""
    answered = [sum(column) for column in zip(*model.confusion, strict=True)]
    truly = [sum(row) for row in model.confusion]
    never = [index for index, rows in enumerate(truly) if rows and not answered[index]]
    if not never or sum(truly) == 0:
        return ()
    hint = '[serving] threshold = "max_f1" or costs would have it answered sooner.'
    if not model.classes:
        other, threshold = 1 - never[0], model.thresholds.of_binary if model.thresholds else 0.5
        what = f"no probability reaches {threshold:.4g}" if other == 0 else f"every probability reaches {threshold:.4g}"
        rows = f"{truly[never[0]]:,.0f} of {sum(truly):,.0f} held-out rows are {never[0]}"
        return (f"The model answers {other} for all rows, although {rows}: {what}. {hint}",)
    said = ", ".join(f"{model.classes[index]} ({truly[index]:,.0f} rows)" for index in never)
    return (f"The model never answers {said}. {hint}",)


def floors_on(values: Values, floors: Mapping[str, float], task: TaskName) -> Mapping[str, float]:
    """Returns the floors and limits of an evaluation: what the file says, and what rare positives ask for besides.

    Where less than one label in twenty is 1, a model that knows nothing has a calibration error below any usual limit,
    and an area under precision and recall that is the share of the positives.
    """
    share = value_of(values, "mean_label") if task == "binary" else None
    if share is None or not 0 < share < RARE:
        return floors
    limit = min(floors.get(CALIBRATION_ERROR, 1.0), share / 2)
    return {"auc_precision_recall": share, **floors, CALIBRATION_ERROR: limit}


def _in_order(key: SliceKey) -> list[tuple[str, str, object]]:
    """Sorts slices by their columns, and values as what they are: 2 before 10."""
    return [(column, type(value).__name__, value) for column, value in key]


def slice_name(key: SliceKey) -> str:
    """Returns a slice's name, such as `payment_type=Cash`; "" for the whole split."""
    return ",".join(f"{column}={value}" for column, value in key)


def _judge_overall(
    values: Values, live: Values | None, spec: EvaluationSpec, task: TaskName
) -> tuple[SliceJudgement, list[str]]:
    if not values or not values[EXAMPLE_COUNT].value:
        empty = SliceJudgement(
            slice="",
            examples=0,
            value=None,
            deviation=None,
            calibration_error=None,
            mean_label=None,
            mean_prediction=None,
            live=None,
            status="failed",
            why="the eval split has no examples",
            metric=registry.MAIN[task],
        )
        return empty, [empty.why]
    if not _answers_numbers(values):
        why = "the model predicted NaN, which is no prediction, for at least one example"
        return _row(OVERALL, values, live, spec, task, [(registry.MAIN[task], why)]), [why]
    floors = floors_on(values, spec.floors_of(task), task)
    broken = [*_missed_floors(values, floors), *_drops(values, live, spec.drops_of(task))]
    return _row(OVERALL, values, live, spec, task, broken), [why for _, why in broken]


def _judge_slice(
    key: SliceKey, values: Values, live: Values | None, spec: EvaluationSpec, task: TaskName
) -> SliceJudgement:
    main = registry.METRICS[registry.MAIN[task]]
    if values[EXAMPLE_COUNT].value < spec.min_slice_examples:
        return _row(key, values, live, spec, task, unjudged=f"fewer than {spec.min_slice_examples} examples")
    # What is undefined on a slice, such as an AUC where all labels are equal, is no reason there.
    floors = {name: limit for name, limit in spec.slice_floors.items() if value_of(values, name) is not None}
    missed = list(_missed_floors(values, floors))
    if value_of(values, main.name) is None and not missed:
        return _row(key, values, live, spec, task, unjudged=f"{main.title} is undefined: {main.undefined}")
    if live is None or value_of(live, main.name) is None:
        why = "" if floors else "no model is live to compare with"
        return _row(key, values, None, spec, task, missed, unjudged=why)
    return _row(key, values, live, spec, task, [*missed, *_drops(values, live, spec.slice_drops_of(task))])


def _missed_floors(values: Values, floors: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for name, limit in floors.items():
        definition, metric = registry.METRICS[name], values.get(name)
        value = value_of(values, name)
        if metric is None:
            yield name, f"{definition.title} has a limit and was not measured: the Beam engine has no metric for it"
            continue
        if value is None:
            yield name, f"{definition.title} is undefined on the eval split: {definition.undefined}"
            continue
        if misses(definition, metric, limit):
            side = "below the floor" if definition.better == "higher" else "above the limit"
            yield name, f"{_written(definition.title, metric)} is {side} of {limit:.4g}"


def noise(metric: Metric) -> tuple[float, float]:
    """Returns how far below and above its measured value a metric may truly lie, at 95 %."""
    half = intervals.half_width(metric.deviation)
    return metric.chance or half, half


def misses(definition: registry.Definition, metric: Metric, limit: float) -> bool:
    """Whether a metric lies beyond its floor or limit with its whole interval."""
    below, above = noise(metric)
    if definition.better == "higher":
        return metric.value + above < limit
    return metric.value - below > limit


def _drops(values: Values, live: Values | None, drops: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for name, most in drops.items():
        definition = registry.METRICS[name]
        now, before = value_of(values, name), value_of(live, name) if live is not None else None
        if now is None or before is None or live is None:
            continue
        worse = definition.sign * (before - now)
        allowed = most * abs(before) if definition.is_relative else most
        if worse - intervals.half_width(_difference_deviation(values[name], live[name])) > allowed:
            how, size = "below" if definition.better == "higher" else "above", f"{most:g}"
            size = f"{most:.0%}" if definition.is_relative else size
            yield (
                name,
                f"{_written(definition.title, values[name])} is more than {size} {how} the live model's {before:.4f}",
            )


def _difference_deviation(now: Metric, before: Metric) -> float | None:
    """Returns the standard deviation of a difference; TFMA's own results say nothing of what both have in common."""
    if before.difference_deviation is not None:
        return before.difference_deviation
    return None if now.deviation is None or before.deviation is None else math.hypot(now.deviation, before.deviation)


def _kept_floors(values: Values, spec: EvaluationSpec, task: TaskName) -> Iterator[str]:
    main = registry.METRICS[registry.MAIN[task]]
    floors = floors_on(values, spec.floors_of(task), task)
    if main.name not in floors:
        yield f"{main.title} {values[main.name].value:.4f}"
    for name, limit in floors.items():
        definition = registry.METRICS[name]
        word = "floor" if definition.better == "higher" else "limit"
        yield f"{definition.title} {values[name].value:.4f} ({word} {limit:.4g})"


def _written(title: str, metric: Metric) -> str:
    half = intervals.half_width(metric.deviation)
    return f"{title} {metric.value:.4f}" + (f" ± {half:.4f}" if half else "")


def _row(
    key: SliceKey,
    values: Values,
    live: Values | None,
    spec: EvaluationSpec,
    task: TaskName,
    broken: list[tuple[str, str]] | None = None,
    unjudged: str = "",
) -> SliceJudgement:
    main = registry.MAIN[task]
    measured = _beside(values, live, main)
    return SliceJudgement(
        slice=slice_name(key),
        examples=round(values[EXAMPLE_COUNT].value),
        value=measured.value,
        deviation=measured.deviation,
        calibration_error=value_of(values, CALIBRATION_ERROR),
        mean_label=value_of(values, "mean_label"),
        mean_prediction=value_of(values, "mean_prediction"),
        live=measured.live,
        status="not judged" if unjudged else "failed" if broken else "passed",
        why=unjudged or "; ".join(why for _, why in broken or ()),
        metric=main,
        failed=tuple(name for name, _ in broken or ()),
        beside=tuple(_beside(values, live, name) for name in spec.beside(task)),
    )


def _beside(values: Values, live: Values | None, name: str) -> Beside:
    value = value_of(values, name)
    return Beside(
        metric=name,
        value=value,
        deviation=_known(values[name].deviation) if value is not None else None,
        live=value_of(live, name) if live is not None else None,
    )


def _answers_numbers(values: Values) -> bool:
    """Whether every prediction was a number: NaN survives a mean of predictions, or else a mean of losses."""
    return (
        value_of(values, "mean_prediction" if "mean_prediction" in values else "sparse_categorical_crossentropy")
        is not None
    )


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
