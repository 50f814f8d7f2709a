"""TFX's Tuner calls `tuner_fn` here: KerasTuner proposes hyperparameters, out-of-time folds say how good they are.

The rows are read and transformed once. A trial trains a fold after the other, and ends where it is behind the dataset's
own configuration beyond chance. KerasTuner keeps its state in a folder that outlives the process, so a search that was
killed goes on with the trial that it was at. The best trial has been chosen among many, by luck too: it and the
dataset's own are trained anew from other seeds, and only these trainings say whether it is better.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras_tuner
import numpy as np
import tensorflow as tf
from keras_tuner.engine import base_tuner
from keras_tuner.oracles import BayesianOptimizationOracle

from models import hyperparameters, training
from models.features import FeatureSpec
from models.model_spec import ModelSpec
from models.own.source import OwnCode
from models.training_spec import TrainingSpec
from models.transform_graph import TransformGraph
from pipeline import json_values
from pipeline.evaluation import intervals, registry
from pipeline.evaluation.bar import ONE_SIDED
from pipeline.selection.folds import Fold, plan
from pipeline.selection.own import Configuration
from pipeline.selection.search import Search, read
from pipeline.selection.trials import Trial, Tuning
from pipeline.selection.tuning_spec import TuningSpec

logger = logging.getLogger(__name__)
"""What it logs at level INFO is the progress that a person sees."""

_RANDOM_TRIALS, _SEEDS = 8, 2


class TunerFnResult(NamedTuple):
    """As TFX reads it."""

    tuner: base_tuner.BaseTuner
    fit_kwargs: dict[str, Any]  # Any: TFX's own type.


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Returns the tuner of a dataset.

    Args:
      fn_args: tfx.components.FnArgs. Its custom_config holds what the Trainer's does, "tuning" (TuningSpec.to_json()),
        "window", the number of spans that a model is trained on, and "directory", where a search is kept.

    Raises:
      DataError: fewer than two spans have labels.
    """
    config = fn_args.custom_config
    features = FeatureSpec.from_json(config["features"])
    configuration = Configuration(
        training=TrainingSpec.from_json(config.get("training") or "{}"),
        model=ModelSpec.from_json(config.get("model") or "{}"),
        own=OwnCode.from_json(config["own"]) if "own" in config else None,
    )
    spec = TuningSpec.from_json(config["tuning"])
    graph = TransformGraph(fn_args.transform_graph_path, features)
    layout, _ = training.packed_layout(configuration.own, graph, fn_args.transform_graph_path)
    rows = read(fn_args.train_files, graph, layout)
    there = np.unique(rows.spans)
    folds = plan(there.tolist(), int(config["window"]), there[1:][-spec.folds :].tolist())
    search = Search(
        configuration=configuration,
        features=features,
        rows=rows,
        layout=layout,
        folds=folds,
    )
    return TunerFnResult(FoldTuner(search, spec, config["directory"], config.get("code", "")), {})


class FoldTuner(base_tuner.BaseTuner):
    """KerasTuner's search, scored by out-of-time folds."""

    def __init__(self, search: Search, spec: TuningSpec, directory: str, code: str) -> None:
        """Takes up the search that is in `directory`; begins it anew where a kill has cut its files short."""
        self._search, self._spec = search, spec
        self._began = time.monotonic()
        self._trials: dict[str, Trial] = {}
        self.tuning: Tuning | None = None
        kept = {"directory": directory, "project_name": search.key(spec, code)}
        try:
            super().__init__(self._proposals(), overwrite=False, **kept)
            whole = not self.oracle.end_order or self.oracle.end_order[0] in self._trials
        except (ValueError, LookupError, TypeError, RuntimeError):
            whole = False
        if not whole:
            logger.warning("What an earlier search has kept is not whole. The search begins anew.")
            self._trials = {}
            super().__init__(self._proposals(), overwrite=True, **kept)
        self.oracle.verbose = 0
        if self._trials:
            logger.info("Goes on after %d trials that an earlier call has finished", len(self._trials))

    def _proposals(self) -> _Proposals:
        space = keras_tuner.HyperParameters()
        for name, values in self._search.choices(self._spec).items():
            encoded = [hyperparameters.encode(value) for value in values]
            ordered = not isinstance(encoded[0], str | bool)
            space.Choice(name, sorted(encoded) if ordered else encoded, default=encoded[0])
        direction = "min" if registry.METRICS[self._search.metric].better == "lower" else "max"
        proposals = _Proposals(
            objective=keras_tuner.Objective(self._search.metric, direction),
            max_trials=self._spec.trials,
            num_initial_points=_RANDOM_TRIALS,
            hyperparameters=space,
            tune_new_entries=False,
            allow_new_entries=False,
            seed=self._spec.seed,
        )
        proposals.over = self._is_over
        return proposals

    def run_trial(self, trial: Any) -> dict[str, float]:  # Any: KerasTuner's own.
        """Trains a trial, and returns its mean over the folds.

        Raises:
          FatalError: the dataset's own configuration cannot be trained, so there is nothing to compare with.
        """
        try:
            return self._run(trial)
        except Exception as error:  # Of a later trial: KerasTuner counts it as failed, and goes on.
            if self._trials:
                raise
            raise keras_tuner.errors.FatalError(str(error)) from error

    def _run(self, trial: Any) -> dict[str, float]:  # Any: as above.
        """Trains a trial fold by fold; a fold that it was spared counts as the dataset's own, moved by the others."""
        started = time.monotonic()
        values = hyperparameters.decode(trial.hyperparameters.values)
        training_ = self._training(values)
        is_first = not self._trials
        by_fold: list[float] = []
        ahead: list[float] = []
        errors: list[float] = []
        stopped = ""
        for fold in self._search.folds:
            predictions = self._search.predict(fold, training_)
            if is_first:
                self._keep(fold, predictions)
                value, difference, error = self._search.measure(fold, predictions)
            else:
                value, difference, error = self._search.measure(fold, predictions, self._kept(fold))
            by_fold.append(value)
            ahead.append(difference)
            errors.append(error)
            behind = math.fsum(ahead) + ONE_SIDED * math.hypot(*errors) < 0
            if behind and len(by_fold) < len(self._search.folds):
                stopped = f"behind beyond chance on span {fold.span}"
                break
        mean_ahead = math.fsum(ahead) / len(ahead)
        found = Trial(
            values={name: tuple(value) if isinstance(value, list) else value for name, value in values.items()},
            by_fold=tuple(by_fold),
            ahead=mean_ahead,
            seconds=time.monotonic() - started,
            stopped=stopped,
        )
        self._trials[trial.trial_id] = found
        own_mean = float(np.mean(next(iter(self._trials.values())).by_fold))
        return {self._search.metric: own_mean + registry.METRICS[self._search.metric].sign * mean_ahead}

    def on_trial_end(self, trial: Any) -> None:  # Any: as above.
        """Keeps the trial, and then says how it went: who reads that may rely on it."""
        super().on_trial_end(trial)
        if trial.trial_id in self._trials:
            self._say(self._trials[trial.trial_id])

    def on_search_end(self) -> None:
        """Confirms the best, and keeps what came of the search."""
        trials = tuple(self._trials.values())
        whole = [place for place, trial in enumerate(trials) if not trial.stopped]
        best = max(whole, key=lambda place: trials[place].ahead)
        gain = self._confirm(self._training(dict(trials[best].values))) if best else None
        better = gain is not None and gain.low > 0
        self.tuning = Tuning(
            task=self._search.features.task,
            metric=self._search.metric,
            spans=tuple(fold.span for fold in self._search.folds),
            trials=trials,
            best=best,
            gain=gain,
            chosen={name: value for name, value in trials[best].values.items() if value != self._own(name)}
            if better
            else {},
        )
        logger.info("%s", self.tuning.words)

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[Any]:  # Any: KerasTuner's own.
        """Returns the space with the best's values where they were confirmed, else with the dataset's own."""
        del num_trials
        assert self.tuning is not None, "TFX asks after the search"
        best = self.oracle.get_space()
        chosen = self.tuning.chosen
        best.values = {
            name: hyperparameters.encode(chosen[name] if name in chosen else self._own(name)) for name in best.values
        }
        return [best]

    def get_state(self) -> dict[str, Any]:  # Any: JSON.
        return {"trials": {key: dataclasses.asdict(trial) for key, trial in self._trials.items()}}

    def set_state(self, state: Mapping[str, Any]) -> None:  # Any: JSON.
        self._trials = {key: json_values.from_json_values(Trial, trial) for key, trial in state["trials"].items()}

    def _confirm(self, training_: TrainingSpec) -> intervals.Estimate:
        """Trains the best and the dataset's own from seeds that chose nothing; returns how far ahead the best is."""
        seeds = [training_.seed + 1 + index for index in range(_SEEDS)]
        logger.info("Confirms the best: %d trainings from other seeds", 2 * len(seeds) * len(self._search.folds))
        by_fold = []
        for fold in self._search.folds:
            differences = []
            for seed in seeds:
                ours = self._search.predict(fold, dataclasses.replace(training_, seed=seed))
                own_ = dataclasses.replace(self._search.configuration.training, seed=seed)
                differences.append(self._search.measure(fold, ours, self._search.predict(fold, own_))[1])
            by_fold.append(math.fsum(differences) / len(differences))
            logger.info("  span %d: %+.4f", fold.span, by_fold[-1])
        rows = int(np.isin(self._search.rows.spans, [fold.span for fold in self._search.folds]).sum())
        return intervals.mean_of_few(by_fold, rows)

    def _training(self, values: Mapping[str, Any]) -> TrainingSpec:  # Any: JSON.
        own_ = json.loads(self._search.configuration.training.to_json())
        return TrainingSpec.from_json(json.dumps({**own_, **values}))

    def _own(self, name: str) -> Any:  # Any: a hyperparameter.
        return getattr(self._search.configuration.training, name)

    def _path(self, fold: Fold) -> str:
        """Returns where the dataset's own predictions of a fold are; local, or in a bucket."""
        return os.path.join(str(self.project_dir), f"own-{fold.span}.npy")

    def _keep(self, fold: Fold, predictions: np.ndarray) -> None:
        data = io.BytesIO()
        np.save(data, predictions)
        with tf.io.gfile.GFile(self._path(fold), "wb") as file:
            file.write(data.getvalue())

    def _kept(self, fold: Fold) -> np.ndarray:
        with tf.io.gfile.GFile(self._path(fold), "rb") as file:
            kept: np.ndarray = np.load(io.BytesIO(file.read()))
        return kept

    def _is_over(self) -> bool:
        seconds = time.monotonic() - self._began
        return bool(self._trials) and 0 < self._spec.minutes * 60 < seconds

    def _say(self, trial: Trial) -> None:
        """Says how a trial went, what is the best so far, and how long the rest may take."""
        trials = list(self._trials.values())
        title = registry.METRICS[self._search.metric].title
        best = max((one for one in trials if not one.stopped), key=lambda one: one.ahead)
        what = ", ".join(f"{name} {value}" for name, value in trial.values.items() if value != self._own(name))
        mean = float(np.mean(trial.by_fold))
        left = (self._spec.trials - len(trials)) * (math.fsum(one.seconds for one in trials) / len(trials))
        if self._spec.minutes:
            left = min(left, max(0.0, self._spec.minutes * 60 - (time.monotonic() - self._began)))
        logger.info(
            "  trial %d of %d: %s %.4f (%+.4f)%s; best so far %+.4f; about %.0f s left; %s",
            *(len(trials), self._spec.trials, title, mean, trial.ahead),
            f", stopped: {trial.stopped}" if trial.stopped else "",
            *(best.ahead, left, what or "the dataset's own"),
        )


class _Proposals(BayesianOptimizationOracle):
    """Bayesian optimization that begins with the defaults, proposes nothing twice, and knows when time is over."""

    over = staticmethod(lambda: False)

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # Any: KerasTuner's own.
        if self.over():
            return {"status": "STOPPED", "values": None}
        if not self.trials:
            return {"status": "RUNNING", "values": {one.name: one.default for one in self.hyperparameters.space}}
        proposed: dict[str, Any] = super().populate_space(trial_id)
        if proposed["values"] is not None and self._duplicate(proposed["values"]):
            proposed = self._random_populate_space()
        return proposed


def forget(tuner: FoldTuner) -> None:
    """Removes what a search that is over has kept to go on with."""
    tf.io.gfile.rmtree(str(tuner.project_dir))
