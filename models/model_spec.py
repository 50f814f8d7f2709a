"""What dataset.toml's [model] may say: which learner trains the model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from models import settings
from models.errors import TrainingError
from models.settings import Form

LearnerName = Literal["network", "trees", "linear"]
_Choice = Literal["auto", "network", "trees", "linear"]
Direction = Literal["up", "down"]
_Module = Annotated[str, Form(r"([^\x00]+\.py)?", "a Python file in the dataset's folder, such as model.py")]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Which learner trains the model; its hyperparameters are [training]'s.

    Attributes:
      learner: what trains the model: `network`, an ensemble of small neural networks; `trees`, gradient boosted trees
        (the extra `trees`); `linear`, a regularised sum of one coefficient for each number and each value, which a
        person can read; `auto`, the network, or the linear model where there are fewer than 500 rows.
      learners: several instead: all are trained, and the best out of time is the model, or their blend where that is
        surely better.
      monotonic: of the learner trees: columns with whose value the answer may only rise, `up`, or only fall, `down`.
      module: file of own code, in the dataset's folder: a `preprocessing_fn`, a `build_model`, `metrics` or a whole
        `run_fn`; what it does not define stays as it is.
      examples: what a `run_fn` finds in `train_files` and `eval_files`: `transformed`, as TFX's templates train on, or
        `raw`.
    """

    learner: _Choice = "auto"
    learners: tuple[LearnerName, ...] = ()
    monotonic: Mapping[str, Direction] = field(default_factory=dict)
    module: _Module = ""
    examples: Literal["transformed", "raw"] = "transformed"

    def __post_init__(self) -> None:
        settings.check(self, TrainingError)
        if self.learners and (len(self.learners) < 2 or len(set(self.learners)) < len(self.learners)):
            raise TrainingError(
                f"learners: expected at least two, all different. Received: {', '.join(self.learners)}."
            )
        if self.learners and self.learner != "auto":
            raise TrainingError(f"learner: expected nothing, since learners names them. Received: {self.learner!r}.")

    @property
    def trained(self) -> tuple[LearnerName, ...]:
        """All learners that are trained; on few rows `auto` is another: models/learners/registry.py."""
        return self.learners or ("network" if self.learner == "auto" else self.learner,)

    def to_json(self) -> str:
        """Serializes what is not the default to JSON, the same text for equal specs.

        So a version that was pushed before a key existed has the definition that it would have now.
        """
        defaults = {field.name: default_of(field) for field in dataclasses.fields(self)}
        values = {name: value for name, value in dataclasses.asdict(self).items() if value != defaults[name]}
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Reads what `to_json` wrote.

        Raises:
          TrainingError: an unknown key, or a value of the wrong type.
        """
        value: dict[str, Any] = json.loads(text)  # Any: JSON, which __post_init__ checks.
        unknown = sorted(set(value) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise TrainingError(f"Unknown keys of [model]: {', '.join(unknown)}.")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        return cls(**values)


def default_of(field: dataclasses.Field[Any]) -> Any:  # Any: of the field's own type.
    """Returns what a field is where nothing is said."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON.
    """Returns what `to_json` wrote, as read from JSON, with what it left out."""
    every = dataclasses.asdict(ModelSpec()) | dict(values)
    return json.loads(json.dumps(every))  # type: ignore[no-any-return]  # An object again.
