"""What dataset.toml's [tuning] says, and where a search looks unless it says so. Light: nothing heavy is imported."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from models import settings
from models.errors import TrainingError
from models.learners.spaces import SPACES, Choice, Choices
from models.model_spec import ModelSpec
from models.own.source import RUN, OwnCode
from models.settings import Range
from models.training_spec import TrainingSpec
from pipeline import json_values


@dataclass(frozen=True, kw_only=True)
class TuningSpec:
    """`[tuning]`: how `tune` searches for better hyperparameters, and whether each training does.

    Attributes:
      trials: configurations that are tried, the dataset's own first.
      minutes: no trial begins after so many minutes; 0 for no limit. The last trial and the confirmation of the winner
        come on top.
      folds: how many of the newest spans are predicted, each from the `[spans] window` spans before it.
      each_training: whether the Tuner is part of the pipeline, so that each training is preceded by a search and uses
        what it found; else only the command `tune` searches, and `[training]` says what is used.
      space: hyperparameters of `[training]` and the values to try, such as `dropout = [0.0, 0.2]`; where it is empty,
        those that suit the learner, or each of several.
      seed: of the search.
    """

    trials: Annotated[int, Range(1, 10_000)] = 20
    minutes: Annotated[float, Range(0, 100_000, "minutes")] = 0.0
    folds: Annotated[int, Range(1, 1_000, "spans")] = 4
    each_training: bool = False
    space: Mapping[str, Choices] = field(default_factory=dict)
    seed: Annotated[int, Range(0, 2**31 - 1)] = 20_130_101

    def __post_init__(self) -> None:
        settings.check(self)

    def choices(self, training: TrainingSpec, model: ModelSpec, own: OwnCode | None = None) -> dict[str, Choices]:
        """Returns the values that are tried, by hyperparameter, the dataset's own among them.

        Raises:
          ValueError: a hyperparameter that there is not, or a value that it cannot be; own code that trains by itself.
        """
        if own is not None and RUN in own.functions:
            raise ValueError(
                f"{own.entry} trains by a run_fn of its own, for which nothing can be tuned: it may search by itself. "
                "Remove [tuning] and leave `tune` out, or let driftgate train what a build_model builds."
            )
        known = {one.name: getattr(training, one.name) for one in dataclasses.fields(training)}
        space = self.space or {name: values for each in model.trained for name, values in SPACES[each].items()}
        for name, values in space.items():
            if name not in known:
                raise ValueError(f"space: {name!r} is no key of [training]. There are: {', '.join(known)}.")
            if not values:
                raise ValueError(f"space.{name}: name at least one value.")
            for value in values:
                try:
                    TrainingSpec.from_json(json.dumps({name: value}))
                except TrainingError as error:
                    raise ValueError(f"space.{error}") from error
        return {
            name: tuple(dict.fromkeys((known[name], *(_alike(value, known[name]) for value in values))))
            for name, values in space.items()
        }

    def to_json(self) -> str:
        """Serializes to JSON, the same text for equal specs."""
        return json.dumps(json_values.to_json_values(dataclasses.asdict(self)), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TuningSpec:
        """Reads what `to_json` wrote."""
        value: dict[str, Any] = json.loads(text)  # Any: JSON.
        hints = settings.hints(cls)
        return cls(**{name: settings.read(item, hints[name], name) for name, item in value.items()})


def _alike(value: Choice, known: object) -> Choice:
    """Returns the value in the type of the key's own: 0 and 0.0 are one rate, and one trial."""
    if isinstance(known, tuple) and isinstance(value, tuple):
        return tuple(float(one) for one in value) if any(isinstance(one, float) for one in known) else value
    return float(value) if isinstance(known, float) and isinstance(value, int) else value
