"""What a search found: each trial's folds, and whether the best is better than what the dataset has already."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.learners.spaces import Choice
from models.target import TaskName
from pipeline import json_values
from pipeline.evaluation import registry
from pipeline.evaluation.intervals import Estimate

FILE = "tuning.json"
"""In the Tuner's results, beside TFX's own file."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One configuration.

    Attributes:
      values: hyperparameters, in JSON.
      by_fold: the metric on each fold, in order; fewer where the trial was stopped.
      ahead: by how much it is better than the dataset's own configuration, as the mean over these folds; -inf where it
        cannot be trained.
      stopped: why no further fold was trained; empty where all were.
    """

    values: Mapping[str, Choice]
    by_fold: tuple[float, ...]
    ahead: float
    seconds: float
    stopped: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether it could be trained, and so compared."""
        return bool(self.by_fold) and math.isfinite(self.ahead)

    @property
    def mean(self) -> float:
        """The metric's mean over the folds."""
        return math.fsum(self.by_fold) / len(self.by_fold)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A whole search.

    Attributes:
      metric: by which trials are compared.
      spans: those that are predicted, one a fold.
      trials: in the order in which they were tried; the first is the dataset's own configuration.
      best: place among `trials` of the one with the best mean.
      gain: by how much the best is better than the dataset's own in trainings from other seeds, as the mean over folds
        with its interval; None where the dataset's own is the best, or nothing was confirmed.
      unconfirmed: why the trainings from other seeds could not be made; empty where they were, or none was needed.
      left_out: which spans could not be judged, and why; empty where all could.
      chosen: what is used: the best's hyperparameters where the whole interval of `gain` lies above 0; none else.
    """

    dataset: str = ""
    task: TaskName
    metric: str
    spans: tuple[int, ...]
    trials: tuple[Trial, ...]
    best: int
    gain: Estimate | None
    unconfirmed: str = ""
    left_out: str = ""
    chosen: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The metric in words."""
        return registry.METRICS[self.metric].title

    @property
    def ranked(self) -> list[tuple[int, Trial]]:
        """The trials with their numbers, from 1: the best first, and those that were stopped last."""
        numbered = enumerate(self.trials, start=1)
        return sorted(numbered, key=lambda pair: (bool(pair[1].stopped), -pair[1].ahead))

    @property
    def words(self) -> str:
        """What came of it, in a sentence; and in another one, what it does not rest on."""
        return f"{self._verdict} {self.left_out}".strip()

    @property
    def _verdict(self) -> str:
        title = self.title
        if self.best == 0:
            return (
                f"None of {len(self.trials)} configurations has a better {title} than the dataset's own, which stays."
            )
        if self.unconfirmed:
            return (
                f"The best of {len(self.trials)} configurations could not be trained anew from other seeds "
                f"({self.unconfirmed}), so it is not confirmed: the dataset's own stays."
            )
        if self.gain is None or not math.isfinite(self.gain.low):
            ahead = f"{self.trials[self.best].ahead:.4f}"
            return (
                f"The best of {len(self.trials)} configurations is ahead in {title} by {ahead}, but one span cannot "
                "tell that from chance: the dataset's own stays. Tune on more spans."
            )
        half = (self.gain.high - self.gain.low) / 2
        over = f"trained anew from other seeds over {len(self.spans)} spans"
        by = f"by {self.gain.value:.4f} ± {half:.4f} in {title}, {over}"
        if self.chosen:
            return f"The best of {len(self.trials)} configurations is better than the dataset's own {by}."
        return (
            f"The best of {len(self.trials)} configurations is not better than the dataset's own by more than its "
            f"interval: {by}. The dataset's own stays."
        )

    def to_json(self) -> str:
        """Serializes to JSON."""
        return json.dumps(json_values.to_json_values(dataclasses.asdict(self)), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Tuning:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: it is something else.
        """
        return json_values.from_json_values(cls, json.loads(text))
