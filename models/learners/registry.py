"""The learners by the name that [model] gives them."""

from __future__ import annotations

from collections.abc import Mapping

from models.learners.linear import LinearLearner
from models.learners.network import NetworkLearner
from models.learners.protocol import Learner
from models.learners.trees import TreesLearner
from models.model_spec import LearnerName

LEARNERS: Mapping[LearnerName, Learner] = {
    learner.name: learner for learner in (NetworkLearner(), TreesLearner(), LinearLearner())
}
