"""The learner of `build_model`: the network's training, of models that own code builds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.learners.network import NetworkLearner, NetworkMembers
from models.learners.protocol import Job, Learner, OnStacked, Vocabularies
from models.own.model import OwnEnsemble
from models.own.source import BUILD_MODEL, OwnCode
from models.packed import Layout
from models.stacked_features import Names
from models.target import Target
from models.training_spec import TrainingSpec


def learner_of(own: OwnCode | None) -> Learner | None:
    """Returns what trains the models of own code; None where it builds none."""
    return OwnLearner(own) if own is not None and BUILD_MODEL in own.functions else None


class OwnMembers(NetworkMembers):
    """Models of own code."""

    def on_stacked(self, names: Names) -> OnStacked | None:
        del names
        return None

    def keep(self, model_dir: str, vocabularies: Vocabularies, target: Target) -> None:
        """Keeps nothing: what its weights mean is known to own code alone."""


class OwnLearner(NetworkLearner):
    """Trains models of own code as the network is trained."""

    def __init__(self, own: OwnCode) -> None:
        self._own = own

    def start_from(
        self, base_model: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
    ) -> tuple[Sequence[np.ndarray] | None, str]:
        del base_model, layout, spec, vocabularies, target
        return None, "models of own code start anew"

    def _network(self, job: Job) -> OwnEnsemble:
        return OwnEnsemble(self._own, job.layout, job.spec, job.task.name, job.task.outputs)

    def _members(self, network: OwnEnsemble, folds: np.ndarray) -> NetworkMembers:
        return OwnMembers(network, folds)
