"""Where a search for hyperparameters looks, by learner; light, since dataset.toml's check reads it too."""

from __future__ import annotations

from collections.abc import Mapping

from models.model_spec import LearnerName

Choice = int | float | bool | str | tuple[int, ...] | tuple[float, ...]
Choices = tuple[Choice, ...]

SPACES: Mapping[LearnerName, Mapping[str, Choices]] = {
    "network": {
        "learning_rate": (0.001, 0.002, 0.003, 0.006, 0.01),
        "batch_size": (64, 128, 256, 512),
        "hidden_units": ((32,), (64, 32), (128, 64), (256, 128)),
        "dropout": (0.0, 0.1, 0.2, 0.3, 0.4),
        "embedding_size": (4, 8, 16),
        "weight_decay": (0.001, 0.01, 0.1),
        "cross_layers": (0, 1, 2),
    },
    "trees": {
        "tree_rate": (0.03, 0.05, 0.1, 0.2),
        "tree_leaves": (7, 15, 31, 63),
        "tree_rows": (5, 20, 50, 100, 200),
    },
    # The dataset's own, several strengths among which a training's held-out rows choose, against one for all trainings.
    "linear": {"l2": ((1000.0,), (300.0,), (100.0,), (30.0,), (10.0,), (3.0,), (1.0,), (0.3,), (0.1,), (0.03,))},
}
"""Hyperparameters of [training], and the values to try; the dataset's own are tried besides."""
