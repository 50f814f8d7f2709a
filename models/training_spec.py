"""The hyperparameters of training: what dataset.toml's [training] may say."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from models.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Hyperparameters; the defaults were chosen by benchmarks/quality.py on taxi and flights.

    Attributes:
      batch_size: rows per optimizer step.
      epochs: passes over the training rows at most; early stopping usually ends sooner.
      patience: epochs without a better validation loss before training stops.
      learning_rate: peak of the cosine schedule.
      weight_decay: decoupled weight decay of AdamW.
      hidden_units: width of each dense layer.
      dropout: share of activations dropped in training.
      embedding_size: upper limit of the width of one embedding.
      cross_layers: DCN-v2 cross layers over the concatenated encodings; 0 for none.
      cross_rank: rank of the cross layers' matrices.
      ensemble_size: networks trained side by side from different seeds; their logits are averaged.
      validation_fraction: share of the rows that each network holds out, where the rows are all of one span.
        Rows of several spans are held out by span.
      calibrate: whether to fit a slope and an offset to the logits on the held-out rows.
      max_steps: optimizer steps, all of which are made; 0 for as many as `epochs` and `patience` allow.
      seed: of initial weights, shuffling and the validation split.
    """

    batch_size: int = 128
    epochs: int = 12
    patience: int = 2
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    hidden_units: tuple[int, ...] = (64, 32)
    dropout: float = 0.2
    embedding_size: int = 8
    cross_layers: int = 0
    cross_rank: int = 16
    ensemble_size: int = 4
    validation_fraction: float = 0.125
    calibrate: bool = True
    max_steps: int = 0
    seed: int = 20_130_101

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience", "embedding_size", "ensemble_size", "cross_rank"):
            _check(name, getattr(self, name), int, getattr(self, name) >= 1, "must be an integer of at least 1")
        for name in ("cross_layers", "max_steps", "seed"):
            _check(name, getattr(self, name), int, getattr(self, name) >= 0, "must be an integer of at least 0")
        _check("learning_rate", self.learning_rate, float, self.learning_rate > 0, "must be above 0")
        _check("weight_decay", self.weight_decay, float, self.weight_decay >= 0, "must be at least 0")
        _check("dropout", self.dropout, float, 0 <= self.dropout < 1, "must be at least 0 and below 1")
        fraction = self.validation_fraction
        _check("validation_fraction", fraction, float, 0 < fraction < 1, "must be above 0 and below 1")
        _check("calibrate", self.calibrate, bool, True, "must be true or false")
        for units in self.hidden_units:
            _check("hidden_units", units, int, units >= 1, "must be integers of at least 1")

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal specs."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainingSpec:
        """Reads a JSON object of hyperparameters; those not named keep their default.

        Raises:
          TrainingError: an unknown hyperparameter, or a value of the wrong type or range.
        """
        value: dict[str, Any] = json.loads(text)
        allowed = [f.name for f in dataclasses.fields(cls)]
        unknown = sorted(set(value) - set(allowed))
        if unknown:
            raise TrainingError(f"Unknown hyperparameters: {', '.join(unknown)}. Allowed: {', '.join(allowed)}.")
        settings: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        return cls(**settings)


def _check(name: str, value: object, kind: type, in_range: bool, expected: str) -> None:
    types = (int, float) if kind is float else (kind,)
    if type(value) not in types or not in_range:
        raise TrainingError(f"Hyperparameter {name} {expected}. Received: {value!r}.")
