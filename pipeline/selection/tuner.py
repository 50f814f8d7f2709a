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
from models.errors import ModelError
from models.features import FeatureSpec
from models.learners.spaces import Choice
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
      DataError: fewer than two spans have labels, or the metric is defined on none that is predicted.
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
    trained_on = np.count_nonzero(np.isin(rows.spans, there[-int(config["window"]) :]))
    search = Search(
        configuration=configuration.on(int(trained_on)),
        features=features,
        rows=rows,
        layout=layout,
        folds=plan(there.tolist(), int(config["window"]), there[1:][-spec.folds :].tolist()),
    )
    judged = search.judged()
    if judged.left_out:
        logger.warning("%s", judged.left_out)
    return TunerFnResult(FoldTuner(judged, spec, config["directory"], config.get("code", "")), {})


class FoldTuner(base_tuner.BaseTuner):
    """KerasTuner's search, scored by out-of-time folds."""

    def __init__(self, search: Search, spec: TuningSpec, directory: str, code: str) -> None:
        """Takes up the search that is in `directory`; begins it anew where a kill has cut its files short."""
        self._search, self._spec = search, spec
        self._began = time.monotonic()
        self._trials: dict[str, Trial] = {}
        self._confirmed: dict[str, float] = {}
        self.tuning: Tuning | None = None
        kept = {"directory": directory, "project_name": search.key(spec, code)}
        try:
            super().__init__(self._proposals(), overwrite=False, **kept)
            whole = not self.oracle.end_order or self.oracle.end_order[0] in self._trials
        except (ValueError, LookupError, TypeError, RuntimeError):
            whole = False
        if not whole:
            logger.warning("What an earlier search has kept is not whole. The search begins anew.")
            self._trials, self._confirmed = {}, {}
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
            # A space may hold many values that cannot be trained; each is told, and none ends the search.
            max_consecutive_failed_trials=self._spec.trials,
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
          FailedTrialError: another one cannot; KerasTuner counts it, and goes on.
        """
        started = time.monotonic()
        decoded = hyperparameters.decode(trial.hyperparameters.values)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in decoded.items()}
        try:
            found = self._by_folds(values, is_first=not self._trials)
        except Exception as error:
            if not self._trials:
                raise keras_tuner.errors.FatalError(str(error)) from error
            stopped, seconds = f"failed: {error}", time.monotonic() - started
            self._trials[trial.trial_id] = Trial(
                values=values, by_fold=(), ahead=-math.inf, seconds=seconds, stopped=stopped
            )
            raise keras_tuner.errors.FailedTrialError(stopped) from error
        self._trials[trial.trial_id] = found
        own_mean = next(iter(self._trials.values())).mean
        return {self._search.metric: own_mean + registry.METRICS[self._search.metric].sign * found.ahead}

    def _by_folds(self, values: Mapping[str, Choice], *, is_first: bool) -> Trial:
        """Trains a trial fold by fold; a fold that it was spared counts as the dataset's own, moved by the others."""
        started = time.monotonic()
        training_ = self._training(values)
        by_fold: list[float] = []
        ahead: list[float] = []
        errors: list[float] = []
        stopped = ""
        for fold in self._search.folds:
            predictions = self._search.predict(fold, training_)
            if is_first:
                self._keep(fold, predictions)
            found = self._search.measure(fold, predictions, None if is_first else self._kept(fold))
            by_fold.append(found.value)
            ahead.append(found.ahead)
            errors.append(found.error)
            behind = math.fsum(ahead) + ONE_SIDED * math.hypot(*errors) < 0
            if behind and len(by_fold) < len(self._search.folds):
                stopped = f"behind beyond chance on span {fold.span}"
                break
        return Trial(
            values=values,
            by_fold=tuple(by_fold),
            ahead=math.fsum(ahead) / len(ahead),
            seconds=time.monotonic() - started,
            stopped=stopped,
        )

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
        gain, unconfirmed = None, ""
        if best:
            try:
                gain = self._confirm(trials[0], trials[best])
            except (ModelError, tf.errors.OpError) as error:  # The dataset's own is there all the same.
                unconfirmed = str(error)
        better = gain is not None and gain.low > 0
        self.tuning = Tuning(
            task=self._search.features.task,
            metric=self._search.metric,
            spans=tuple(fold.span for fold in self._search.folds),
            trials=trials,
            best=best,
            gain=gain,
            unconfirmed=unconfirmed,
            left_out=self._search.left_out,
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
        trials = {key: dataclasses.asdict(trial) for key, trial in self._trials.items()}
        return {"trials": trials, "confirmed": self._confirmed}

    def set_state(self, state: Mapping[str, Any]) -> None:  # Any: JSON.
        self._trials = {key: json_values.from_json_values(Trial, trial) for key, trial in state["trials"].items()}
        self._confirmed = dict(state.get("confirmed", {}))

    def _confirm(self, own: Trial, best: Trial) -> intervals.Estimate:
        """Trains the best and the dataset's own from seeds that chose nothing; returns how far ahead the best is."""
        folds = self._search.folds
        words = "Confirms the best: %d trainings from other seeds, about %.0f s"
        logger.info(words, 2 * _SEEDS * len(folds), _SEEDS * (own.seconds + best.seconds))
        by_fold = []
        for fold in folds:
            key = json.dumps([fold.span, dict(best.values)])
            if key not in self._confirmed:
                self._confirmed[key] = self._ahead(fold, self._training(best.values))
                self.save()
            by_fold.append(self._confirmed[key])
            logger.info("  span %d: %+.4f", fold.span, by_fold[-1])
        rows = int(np.isin(self._search.rows.spans, [fold.span for fold in folds]).sum())
        return intervals.mean_of_few(by_fold, rows)

    def _ahead(self, fold: Fold, training_: TrainingSpec) -> float:
        """Returns by how much a configuration is better than the dataset's own on a fold, from other seeds."""
        own_ = self._search.configuration.training
        differences = []
        for seed in (training_.seed + 1 + index for index in range(_SEEDS)):
            ours = self._search.predict(fold, dataclasses.replace(training_, seed=seed))
            theirs = self._search.predict(fold, dataclasses.replace(own_, seed=seed))
            differences.append(self._search.measure(fold, ours, theirs).ahead)
        return math.fsum(differences) / len(differences)

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
        left = (self._spec.trials - len(trials)) * (math.fsum(one.seconds for one in trials) / len(trials))
        if self._spec.minutes:
            left = min(left, max(0.0, self._spec.minutes * 60 - (time.monotonic() - self._began)))
        logger.info(
            "  trial %d of %d: %s%s; best so far %+.4f; about %.0f s left; %s",
            *(len(trials), self._spec.trials),
            f"{title} {trial.mean:.4f} ({trial.ahead:+.4f})" if trial.is_measured else f"no {title}",
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
