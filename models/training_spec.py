"""The hyperparameters of training: what dataset.toml's [training] may say."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from models import settings
from models.errors import TrainingError
from models.settings import Range

MOST_LAYERS = 64
HISTORY_FILE = "history.json"
"""In the Trainer's model run: the training curve and what came of it."""
OUT_OF_TIME_FILE = "out_of_time.npz"
"""There too, where the window has several spans: labels and predictions on the newest, by earlier spans' training."""


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
      calibrate: whether to fit a slope and an offset to the network's outputs on the held-out rows.
      loss: of a regression's value: its mean is learned by `squared`, its median by `absolute`, and `huber` is squared
        within a standard deviation and absolute beyond.
      l2: of the learner linear: the strengths of regularisation among which the held-out rows choose, in the scale of
        scikit-learn's Ridge `alpha` and 1 / LogisticRegression `C`.
      trees: of the learner trees: rounds of boosting at most; a member usually stops growing sooner.
      tree_leaves: leaves of a tree at most.
      tree_rate: how much of what a tree has learned is added.
      tree_rows: rows of a leaf at least.
      max_steps: optimizer steps, all of which are made; 0 for as many as `epochs` and `patience` allow.
      seed: of initial weights, shuffling and the validation split.
    """

    batch_size: Annotated[int, Range(1, 1_000_000, "rows")] = 128
    epochs: Annotated[int, Range(1, 10_000)] = 12
    patience: Annotated[int, Range(1, 10_000, "epochs")] = 2
    learning_rate: Annotated[float, Range(0, 10, excluded="least")] = 3e-3
    weight_decay: Annotated[float, Range(0, 10)] = 1e-2
    hidden_units: tuple[Annotated[int, Range(1, 16_384, "units")], ...] = (64, 32)
    dropout: Annotated[float, Range(0, 1, "share", excluded="most")] = 0.2
    embedding_size: Annotated[int, Range(1, 4_096)] = 8
    cross_layers: Annotated[int, Range(0, 64)] = 0
    cross_rank: Annotated[int, Range(1, 4_096)] = 16
    ensemble_size: Annotated[int, Range(1, 64, "networks")] = 4
    validation_fraction: Annotated[float, Range(0, 1, "share of rows", excluded="both")] = 0.125
    calibrate: bool = True
    loss: Literal["squared", "absolute", "huber"] = "squared"
    l2: tuple[Annotated[float, Range(0, 1e9, excluded="least")], ...] = (
        *(300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1),
    )
    trees: Annotated[int, Range(1, 10_000, "rounds")] = 400
    tree_leaves: Annotated[int, Range(2, 1_024, "leaves")] = 31
    tree_rate: Annotated[float, Range(0, 1, excluded="least")] = 0.1
    tree_rows: Annotated[int, Range(1, 1_000_000, "rows")] = 20
    max_steps: Annotated[int, Range(0, 1_000_000_000, "steps")] = 0
    seed: Annotated[int, Range(0, 2**31 - 1)] = 20_130_101

    def __post_init__(self) -> None:
        settings.check(self, TrainingError)
        if len(self.hidden_units) > MOST_LAYERS:
            raise TrainingError(
                f"hidden_units: expected at most {MOST_LAYERS} layers. Received: {len(self.hidden_units)}."
            )

        if not self.l2:
            raise TrainingError("l2: expected at least one strength. Received: none.")

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
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        return cls(**values)
