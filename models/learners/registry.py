"""The learners by the name that [model] gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from models.learners.linear import LinearLearner
from models.learners.network import NetworkLearner
from models.learners.protocol import Learner
from models.learners.several import Several
from models.learners.trees import TreesLearner
from models.model_spec import LearnerName, ModelSpec

LEARNERS: Mapping[LearnerName, Learner] = {
    learner.name: learner for learner in (NetworkLearner(), TreesLearner(), LinearLearner())
}


FEW_ROWS = 500
"""Fewer train a linear model where [model] names no learner: benchmarks/few_rows.py."""


def of_model(model: ModelSpec, rows: int) -> Learner:
    """Returns what trains the model that [model] describes on so many rows."""
    names = settled(model, rows).trained
    return Several({name: LEARNERS[name] for name in names}) if len(names) > 1 else LEARNERS[names[0]]


def settled(model: ModelSpec, rows: int) -> ModelSpec:
    """Returns [model] with a learner's name in the place of `auto`."""
    if model.learners or model.learner != "auto":
        return model
    return dataclasses.replace(model, learner="linear" if rows < FEW_ROWS else "network")
