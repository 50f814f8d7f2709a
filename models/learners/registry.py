"""The learners by the name that [model] gives them."""

from __future__ import annotations

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


def of_model(model: ModelSpec) -> Learner:
    """Returns what trains the model that [model] describes."""
    if model.learners:
        return Several({name: LEARNERS[name] for name in model.learners})
    return LEARNERS[model.learner]
