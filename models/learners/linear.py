"""A regularised linear model of standardized numbers and single values: one that a person can read.

Each output is a sum: a coefficient times each number, and one coefficient for the value of each category. The loss is
the task's own, as the network's is, plus half of l2 times the squared coefficients; so of two classes this is ridge
logistic regression, of several the multinomial one, of numbers ridge regression and linear quantiles for the interval's
ends. The strength is the one with the least loss on held-out rows. What is served is the mean of the members'
coefficients, which is again one linear model.

Source: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, sections 3.4 and 4.4.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
import tensorflow as tf
from scipy import optimize
from threadpoolctl import threadpool_limits

from models.calibration import Calibration
from models.errors import TrainingError
from models.folded_network import held
from models.learners.protocol import Job, OnStacked, Trained, Vocabularies
from models.model_spec import LearnerName
from models.packed import Layout, Rows
from models.stacked_features import Names
from models.target import Target
from models.tasks import Task
from models.training_spec import TrainingSpec
from models.value_names import ValueNames

logger = logging.getLogger(__name__)

_BATCH = 65_536
_MOST_ROWS = 524_288
"""A member learns from a sample of more: coefficients hardly move any more, and the matrix is held in memory."""
_STEPS = {"maxiter": 150, "maxfun": 200, "ftol": 1e-8, "gtol": 1e-6}
"""Where the quantile loss of an interval's ends has its kinks, L-BFGS would go on for a gain of nothing."""


class LinearMembers:
    """Coefficients of every member.

    Attributes:
      coefficients: (members, inputs + 1, outputs), float64: of the numbers, of each value of each id, the intercept.
      strengths: the loss on held-out rows by l2, in the order in which they were tried.
    """

    def __init__(
        self, layout: Layout, folds: np.ndarray, coefficients: np.ndarray, strengths: Mapping[float, float]
    ) -> None:
        self.layout, self.folds = layout, folds
        self.coefficients, self.strengths = coefficients, strengths
        graph = OnPackedLinear(layout, coefficients)
        self._graph = tf.function(graph, reduce_retracing=True, autograph=False)

    def predict(self, floats: np.ndarray, ids: np.ndarray) -> np.ndarray:
        starts = range(0, max(1, len(floats)), _BATCH)
        return np.concatenate(
            [self._graph(floats[start : start + _BATCH], ids[start : start + _BATCH]).numpy() for start in starts]
        )

    def on_packed(self) -> OnPackedLinear:
        return OnPackedLinear(self.layout, self.coefficients.mean(axis=0, keepdims=True))

    def on_stacked(self, names: Names) -> OnStacked | None:
        del names  # There is nothing to fold: the packed form is as fast.
        return None

    def keep(self, model_dir: str, vocabularies: Vocabularies, target: Target) -> None:
        """Keeps nothing: coefficients are found anew within seconds."""

    def explain(self, names: ValueNames, outputs: Sequence[str], calibration: Calibration) -> dict[str, Any]:
        """The coefficients as they are served, calibration included, by column and value; the largest first."""
        served = self.coefficients.mean(axis=0) * np.array(calibration.slope)
        terms = _terms(self.layout, names)
        order = np.argsort(-np.abs(served[:-1]).max(axis=1), kind="stable")
        return {
            "kind": "coefficients",
            "outputs": list(outputs),
            "intercept": (served[-1] + np.array(calibration.offset)).tolist(),
            "coefficients": [
                {"column": terms[i][0], "value": terms[i][1], "of": served[i].tolist()} for i in order.tolist()
            ],
            "l2": [{"strength": strength, "validation_loss": loss} for strength, loss in self.strengths.items()],
        }


class OnPackedLinear(tf.Module):
    """The linear model over packed features: one matrix product for the numbers, one lookup for the ids."""

    def __init__(self, layout: Layout, coefficients: np.ndarray) -> None:
        super().__init__()
        self._layout = layout
        members, _, outputs = coefficients.shape
        self._shape = (-1, members, outputs)
        side_by_side = coefficients.transpose(1, 0, 2).reshape(-1, members * outputs).astype(np.float32)
        numbers = _numbers_of(layout)
        self._numbers = held(side_by_side[:numbers]) if numbers else None
        self._values = held(side_by_side[numbers:-1]) if layout.ids else None
        self._intercept = tf.constant(side_by_side[-1])

    def __call__(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([tf.shape(floats)[0], 1]) + self._intercept
        if self._numbers is not None:
            total += tf.matmul(numbers_in(self._layout, floats, ids), self._numbers)
        if self._values is not None:
            total += tf.reduce_sum(tf.gather(self._values, ids + _starts(self._layout)), axis=1)
        return tf.reshape(total, self._shape)


def numbers_in(layout: Layout, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """The numbers that enter: z-scores, missing flags, sines, cosines and bags; (rows, numbers)."""
    numeric = len(layout.numeric)
    parts = [floats[:, :numeric], tf.cast(floats[:, numeric : 2 * numeric] < 0, tf.float32)]
    if layout.cyclical:
        angle = 2 * math.pi * floats[:, 2 * numeric : len(layout.floats)]
        of_cycles = [list(layout.ids).index(f"{name}_id_xf") for name in layout.cyclical]
        known = tf.cast(tf.gather(ids, of_cycles, axis=1) > 0, tf.float32)
        parts += [tf.sin(angle) * known, tf.cos(angle) * known]
    return tf.concat([*parts, floats[:, len(layout.floats) :]], axis=1)


def _numbers_of(layout: Layout) -> int:
    return 2 * len(layout.numeric) + 2 * len(layout.cyclical) + layout.width - len(layout.floats)


def _inputs_of(layout: Layout) -> int:
    return _numbers_of(layout) + sum(layout.ids.values())


def _starts(layout: Layout) -> np.ndarray:
    """Where the values of each id begin among all values."""
    return np.cumsum([0, *layout.ids.values()])[:-1].astype(np.int32)


def _terms(layout: Layout, names: ValueNames) -> list[tuple[str, str]]:
    """Column and value of each coefficient but the intercept."""
    terms = [(name, names.unit(name)) for name in layout.numeric]
    terms += [(name, "missing") for name in layout.numeric]
    terms += [(name, f"{wave} of the period") for wave in ("sine", "cosine") for name in layout.cyclical]
    for feature, size in (*layout.bags.items(), *layout.plain.items(), *layout.ids.items()):
        column = feature.removesuffix("_bag_xf").removesuffix("_id_xf")
        terms += [(column, value) for value in names.values(column, size)]
    return terms


class LinearLearner:
    """Fits every member by L-BFGS, from strong to weak regularisation, each from the one before."""

    name: ClassVar[LearnerName] = "linear"

    def start_from(
        self, base_model: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
    ) -> tuple[None, str]:
        del base_model, layout, spec, vocabularies, target
        return None, "a linear model's optimum does not depend on where it starts"

    def train(self, job: Job) -> Trained:
        of_members = job.folds.of_members
        fits = {fold: Fit(job.task, _without(job, fold), job.layout) for fold in sorted(set(of_members.tolist()))}
        start = np.zeros((_inputs_of(job.layout) + 1, job.task.outputs))
        start[-1] = job.task.start(job.rows.labels, job.rows.shares)
        found = dict.fromkeys(fits, start)
        best: LinearMembers | None = None
        losses: dict[float, float] = {}
        for l2 in sorted(job.spec.l2, reverse=True):
            # Vectors of a few hundred numbers: with several threads a step of L-BFGS took ten times the processor.
            with threadpool_limits(1, user_api="blas"):
                found = {fold: fit.minimize(l2, found[fold]) for fold, fit in fits.items()}
            coefficients = np.stack([found[fold] for fold in of_members.tolist()])
            members = LinearMembers(job.layout, of_members, coefficients, losses)
            loss = job.held_out.loss(job.held_out.outputs(members.predict, of_members))
            logger.info("l2 %g: validation loss %.4f", l2, loss)
            rises = loss >= min(losses.values(), default=math.inf)
            losses[l2] = loss
            if rises:
                break  # Along the path the loss falls, and then it rises.
            best = members
        if best is None:
            raise TrainingError(f"The validation loss is {loss} with every strength of l2. Check the numeric features.")
        return Trained(members=best)


def _without(job: Job, fold: int) -> Rows:
    """The rows that are not of this fold, or a sample of them."""
    kept = np.flatnonzero(job.folds.of_rows != fold)
    if len(kept) > _MOST_ROWS:
        kept = np.sort(job.random.choice(kept, _MOST_ROWS, replace=False))
    return job.rows.part(kept)


def design(rows: Rows, layout: Layout) -> Any:  # Any: scipy has no types.
    """The inputs of each row as a sparse matrix: the numbers, then a one for the value of each id."""
    parts = []
    columns, width = len(layout.ids), sum(layout.ids.values())
    for start in range(0, len(rows), _BATCH):
        floats, ids = rows.floats[start : start + _BATCH], rows.ids[start : start + _BATCH]
        numbers = scipy.sparse.csr_matrix(numbers_in(layout, floats, ids).numpy().astype(np.float64))
        cells = (ids + _starts(layout)).reshape(-1)
        ends = columns * np.arange(len(ids) + 1)
        ones = scipy.sparse.csr_matrix((np.ones(cells.size), cells, ends), shape=(len(ids), width))
        parts.append(scipy.sparse.hstack([numbers, ones], format="csr"))
    return scipy.sparse.vstack(parts, format="csr")


class Fit:
    """Rows that a member learns from; what is the same for every strength is made once."""

    def __init__(self, task: Task, rows: Rows, layout: Layout) -> None:
        self._x, self._total = design(rows, layout), float(rows.shares.sum())
        encoded = tf.constant(task.encode(rows.labels), tf.float64)
        shares = tf.constant(rows.shares, tf.float64)

        def loss_and_slope(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(outputs)
                loss = tf.reduce_sum(task.loss(encoded, outputs[:, None, :])[:, 0] * shares)
            return loss, tape.gradient(loss, outputs)

        self._loss_and_slope = tf.function(loss_and_slope, autograph=False)

    def minimize(self, l2: float, start: np.ndarray) -> np.ndarray:
        """The coefficients, (inputs + 1, outputs), with the least loss; the intercept, the last, is not regularised.

        Args:
          l2: half of it times the squared coefficients is added to the sum of the rows' losses.
          start: coefficients to begin from.
        """
        x, total = self._x, self._total

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            theta = flat.reshape(start.shape)
            loss, slope = self._loss_and_slope(tf.constant(x @ theta[:-1] + theta[-1]))
            of_outputs = slope.numpy()
            gradient = np.concatenate([x.T @ of_outputs + l2 * theta[:-1], of_outputs.sum(axis=0)[None]])
            value = float(loss) + l2 / 2 * float((theta[:-1] ** 2).sum())
            return value / total, gradient.reshape(-1) / total

        found = optimize.minimize(objective, start.reshape(-1), jac=True, method="L-BFGS-B", options=_STEPS)
        return np.asarray(found.x.reshape(start.shape))
