"""From probabilities to the class that is answered: `[serving] threshold` of the dataset file.

| threshold        | binary: 1 is answered from          | multiclass: the class with the largest product is answered  |
|------------------|-------------------------------------|-------------------------------------------------------------|
| a number         | this probability on                 | probability; there is only the default                      |
| max_f1, max_mcc  | where the held-out rows score best  | probability times the factors that score best (macro F1)    |
| a table of costs | cost_false_positive over both costs | probability times the cost of not finding the class, or 1   |

Costs need no rows: of calibrated probabilities they alone decide (Elkan, "The foundations of cost-sensitive learning",
2001), and a threshold of ten positive rows' making would be worth less.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import extra_files
from models.target import COSTS, Target

PATH = os.path.join(extra_files.FOLDER, "thresholds.json")

_HALF = 0.5
_ROUNDS = 4
_ENOUGH = 50
"""Rows of the rarest class with which out-of-time rows are enough to choose on by themselves."""
_MOST_ROWS = 16_384
_LEAST_GAIN = 1e-9


@dataclass(frozen=True, kw_only=True)
class Held:
    """Rows to choose on: what `Task.predictions` gives of each, its label and its weight."""

    predictions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Which class is answered; the default is 0.5, or the most probable class.

    Attributes:
      values: of a binary model the least probability that is answered 1, (1,); of several classes the factor of each
        one's probability. float32 numbers, as the model's graph holds them; empty for the default.
      rule: what dataset.toml says, as text.
      rows: held-out rows that they were chosen on; 0 where no rows were needed.
      out_of_time: whether those rows are of a span that the models which predicted them were not trained on.
      answered: share of the held-out rows' weight that each class is the answer of; empty where there were none.
    """

    values: tuple[float, ...] = ()
    rule: str = str(_HALF)
    rows: int = 0
    out_of_time: bool = False
    answered: tuple[float, ...] = ()

    @property
    def of_binary(self) -> float:
        """The least probability that a binary model answers 1."""
        return self.values[0] if self.values else _HALF

    def answers(self, predictions: np.ndarray) -> np.ndarray:
        """The index of each row's class, int64 (rows,), of probabilities (rows,) or (rows, classes).

        Equal to the `class` that is served: both compare float32 numbers.
        """
        as_served = np.asarray(predictions, np.float32)
        if as_served.ndim == 1:
            return (as_served >= np.float32(self.of_binary)).astype(np.int64)
        factors = np.array(self.values, np.float32) if self.values else np.float32(1)
        return np.asarray((as_served * factors).argmax(axis=1))

    def variable(self, classes: int) -> np.ndarray:
        """What the model's graph holds: float32 (1,), or (classes,) of more than two."""
        if self.values:
            return np.array(self.values, np.float32)
        return np.full(1, _HALF, np.float32) if classes <= 1 else np.ones(classes, np.float32)

    def write(self, model_dir: str) -> None:
        """Writes them into a SavedModel's folder."""
        extra_files.write_json(model_dir, PATH, dataclasses.asdict(self))


def read(model_dir: str) -> Thresholds:
    """Returns a model's thresholds; the default of one that says nothing, as older ones and other people's."""
    value = extra_files.read_json(model_dir, PATH) or {}
    values: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
    return Thresholds(**values)


def choose(target: Target, held: Held, out_of_time: Held | None) -> Thresholds:
    """Returns the thresholds that a target's rule asks for.

    Args:
      held: rows that each model which predicted them was not trained on.
      out_of_time: such rows of a later span; they are preferred where there are enough of every class.
    """
    classes = max(len(target.classes), 2)
    is_later = out_of_time is not None and np.bincount(out_of_time.labels, minlength=classes).min() >= _ENOUGH
    rows = out_of_time if is_later and out_of_time is not None else held
    values, needs_rows = _values(target, rows), isinstance(target.threshold, str)
    rule = target.threshold if isinstance(target.threshold, str) else json.dumps(target.threshold)
    chosen = Thresholds(
        values=tuple(np.array(values, np.float32).astype(float).tolist()),
        rule=rule,
        rows=len(rows.labels) if needs_rows else 0,
        out_of_time=bool(is_later and needs_rows),
    )
    answered = np.bincount(chosen.answers(rows.predictions), rows.weights, classes) / max(rows.weights.sum(), 1e-300)
    return dataclasses.replace(chosen, answered=tuple(answered.tolist()))


def _values(target: Target, rows: Held) -> Sequence[float]:
    rule = target.threshold
    if isinstance(rule, float | int):
        return (float(rule),) if target.task == "binary" else ()
    if isinstance(rule, str):
        if target.task == "binary":
            return (_best_threshold(rows, _f1_of_one if rule == "max_f1" else _matthews),)
        return _best_factors(rows, _macro_f1 if rule == "max_f1" else _matthews)
    if target.task == "binary":
        false_positive, false_negative = (rule[name] for name in COSTS)
        return (false_positive / (false_positive + false_negative),)
    return [rule.get(name, 1.0) for name in target.classes]


Score = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Of right answers, answers and rows of each class, (cuts, classes), (cuts, classes) and (classes,): (cuts,)."""


def _macro_f1(right: np.ndarray, answered: np.ndarray, true: np.ndarray) -> np.ndarray:
    occurs = true > 0
    return np.asarray((2 * right[:, occurs] / (answered + true)[:, occurs]).mean(axis=1))


def _f1_of_one(right: np.ndarray, answered: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.asarray(2 * right[:, 1] / np.maximum(answered[:, 1] + true[1], 1e-300))


def _matthews(right: np.ndarray, answered: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The correlation of true and answered class, 0 where either is always the same (Gorodkin, 2004)."""
    total = true.sum()
    spread = np.sqrt(np.maximum((total**2 - (answered**2).sum(axis=1)) * (total**2 - true @ true), 0))
    score = right.sum(axis=1) * total - answered @ true
    return np.asarray(np.divide(score, spread, out=np.zeros_like(spread), where=spread > 0))


def _best_threshold(rows: Held, score: Score) -> float:
    """The least probability that is called 1 where the score is best, halfway to the next lower prediction."""
    p = np.asarray(rows.predictions, np.float32)
    zeros = np.zeros(len(p), np.int64)
    order, right, answered, true = _cuts(-p.astype(np.float64), rows, 1, zeros, 2)
    ends = np.append(np.diff(p[order]) != 0, True)  # A cut between equal predictions is none.
    scores = np.where(np.concatenate([[True], ends]), score(right, answered, true), -np.inf)
    cut = int(scores.argmax())
    above = float(p[order[cut - 1]]) if cut else 1.0
    below = float(p[order[cut]]) if cut < len(p) else 0.0
    middle = float(np.float32((above + below) / 2))
    return middle if middle > below else above


def _best_factors(rows: Held, score: Score) -> list[float]:
    """Factors of the classes' probabilities that score best, found class by class until none helps."""
    every = max(1, -(-len(rows.labels) // _MOST_ROWS))
    rows = Held(predictions=rows.predictions[::every], labels=rows.labels[::every], weights=rows.weights[::every])
    p = np.maximum(np.asarray(rows.predictions, np.float64), 1e-30)
    classes = p.shape[1]
    factors, best = np.ones(classes), -np.inf
    for _ in range(_ROUNDS):
        before = best
        for index in range(classes):
            others = p * factors
            others[:, index] = 0
            rival = others.argmax(axis=1)
            needed = others.max(axis=1) / p[:, index]  # From which factor on a row is answered by this class.
            order, right, answered, true = _cuts(needed, rows, index, rival, classes)
            scores = score(right, answered, true)
            present = int(np.searchsorted(needed[order], factors[index], side="right"))
            best = max(best, float(scores[present]))
            cut = int(scores.argmax())
            if scores[cut] > best + _LEAST_GAIN and 0 < cut < len(order):
                best = float(scores[cut])
                factors[index] = float(np.sqrt(needed[order[cut - 1]] * needed[order[cut]]))
        if not best > before + _LEAST_GAIN:
            break
    return list((factors / np.exp(np.log(factors).mean())).tolist())


def _cuts(
    needed: np.ndarray, rows: Held, index: int, rival: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts for each number of rows, in the order of `needed`, that are answered by class `index` instead of a rival.

    Returns:
      The order, (rows,); right answers and answers of each class, (rows + 1, classes); and rows of each class.
    """
    order = np.argsort(needed, kind="stable")
    weights, labels, rivals = rows.weights[order], rows.labels[order], rival[order]
    here = np.arange(len(order))
    answered = np.zeros((len(order) + 1, classes))
    answered[here + 1, rivals] -= weights
    answered[here + 1, index] += weights
    right = np.zeros_like(answered)
    right[here + 1, rivals] -= weights * (rivals == labels)
    right[here + 1, index] += weights * (labels == index)
    answered[0] = np.bincount(rivals, weights, classes)
    right[0] = np.bincount(rivals, weights * (rivals == labels), classes)
    true = np.bincount(labels, weights, classes)
    return order, right.cumsum(axis=0), answered.cumsum(axis=0), true
