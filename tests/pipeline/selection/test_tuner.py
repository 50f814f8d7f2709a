"""The search over tiny rows in memory: what is tried, stopped, kept and confirmed."""

import keras_tuner
import numpy as np
import pytest

from models.errors import OwnCodeError, TrainingError
from models.features import FeatureSpec
from models.model_spec import ModelSpec
from models.packed import Layout, Rows
from models.training_spec import TrainingSpec
from pipeline.errors import DataError
from pipeline.evaluation.intervals import Estimate
from pipeline.report.scores_page import tuning_page
from pipeline.selection.folds import plan
from pipeline.selection.own import Configuration
from pipeline.selection.search import Search
from pipeline.selection.trials import Trial, Tuning
from pipeline.selection.tuner import FoldTuner
from pipeline.selection.tuning_spec import TuningSpec

FEATURES = FeatureSpec(label="y", numeric=("x",), numeric_buckets=2)
LAYOUT = Layout(ids={}, numeric=("x",), cyclical=(), numeric_buckets=2)
SLOW, RIGHT = 1e-6, 0.1


def search(learning_rate, rows=600):
    """Three spans in which x tells y; nothing is learned in twenty steps at the slow rate."""
    random = np.random.default_rng(0)
    x = random.normal(size=rows).astype(np.float32)
    return Search(
        configuration=Configuration(
            training=TrainingSpec(
                learning_rate=learning_rate, max_steps=20, ensemble_size=1, hidden_units=(4,), batch_size=64
            ),
            model=ModelSpec(learner="network"),
        ),
        features=FEATURES,
        rows=Rows(
            floats=np.stack([x, (x > 0).astype(np.float32)], axis=1),
            ids=np.empty((rows, 0), np.int32),
            labels=(x + 0.2 * random.normal(size=rows) > 0).astype(np.int64),
            spans=np.repeat([1, 2, 3], rows // 3),
        ),
        layout=LAYOUT,
        folds=plan([1, 2, 3], window=1, tested=(2, 3)),
    )


def tuner(folder, learning_rate, *, rates=(SLOW, RIGHT), trials=2):
    spec = TuningSpec(trials=trials, folds=2, space={"learning_rate": rates})
    return FoldTuner(search(learning_rate), spec, str(folder), code="")


def test_a_search_that_was_killed_goes_on_and_the_better_one_is_chosen(tmp_path, monkeypatch):
    # The predictions stand for trainings: a rate that learns tells the label, the other one guesses.
    trained = []

    def predict(self, fold, training):
        part = self.rows.part(self.rows.spans == fold.span)
        random = np.random.default_rng(training.seed + fold.span)
        trained.append(training.learning_rate)
        return part.floats[:, 1] * 0.5 + 0.25 if training.learning_rate == RIGHT else random.uniform(size=len(part))

    monkeypatch.setattr(Search, "predict", predict)
    killed = tuner(tmp_path, SLOW)
    monkeypatch.setattr(killed, "on_trial_begin", lambda trial: _stop_at("1", trial))
    with pytest.raises(KeyboardInterrupt):
        killed.search()
    assert trained == [SLOW, SLOW]  # The dataset's own, on both folds.

    again = tuner(tmp_path, SLOW)
    again.search()

    # The trial that was at work, then both anew from two other seeds on each fold.
    assert sorted(trained[2:]) == sorted([RIGHT] * 2 + [RIGHT, SLOW] * 4)
    tuning = again.tuning
    assert [trial.values["learning_rate"] for trial in tuning.trials] == [SLOW, RIGHT]
    assert (tuning.best, tuning.chosen, tuning.spans) == (1, {"learning_rate": RIGHT}, (2, 3))
    assert tuning.gain.low > 0
    assert again.get_best_hyperparameters()[0].values == {"learning_rate": RIGHT}
    assert Tuning.from_json(tuning.to_json()) == tuning


@pytest.mark.parametrize("name", ["oracle.json", "tuner0.json"])
def test_files_that_a_kill_has_cut_short_are_no_end(name, tmp_path, monkeypatch):
    def predict(self, fold, training):
        return np.full((self.rows.spans == fold.span).sum(), 0.5)

    monkeypatch.setattr(Search, "predict", predict)
    tuner(tmp_path, SLOW).search()
    (cut,) = tmp_path.rglob(name)
    cut.write_text(cut.read_text()[:20])

    again = tuner(tmp_path, SLOW)
    again.search()

    assert len(again.tuning.trials) == 2


def test_where_the_datasets_own_cannot_be_trained_nothing_takes_its_place(tmp_path, monkeypatch):
    def predict(self, fold, training):
        if training.learning_rate == SLOW:
            raise OwnCodeError("model.py, line 3: nothing is built")
        return np.full((self.rows.spans == fold.span).sum(), 0.5)

    monkeypatch.setattr(Search, "predict", predict)

    with pytest.raises(keras_tuner.errors.FatalError, match=r"model\.py, line 3"):
        tuner(tmp_path, SLOW).search()


def test_a_trial_without_a_value_is_read_as_it_was_written():
    trial = Trial(values={"epochs": 7, "hidden_units": (8, 4)}, by_fold=(0.5, float("nan")), ahead=0.0, seconds=1.0)
    gain = Estimate(value=0.1, low=-float("inf"), high=float("inf"), rows=9)
    tuning = Tuning(task="binary", metric="auc", spans=(2, 3), trials=(trial,), best=0, gain=gain)

    read = Tuning.from_json(tuning.to_json())

    assert read.trials[0].values == trial.values
    assert read.trials[0].by_fold == pytest.approx((0.5, float("nan")), nan_ok=True)
    assert read.gain == gain


def test_a_confirmation_that_was_killed_goes_on_with_the_next_span(tmp_path, monkeypatch):
    confirmed = []

    def predict(self, fold, training):
        part = self.rows.part(self.rows.spans == fold.span)
        if training.seed != 20_130_101:
            if (fold.span, len(confirmed)) == (3, 4):
                confirmed.append("killed")
                raise KeyboardInterrupt
            confirmed.append(fold.span)
        return part.floats[:, 1] * 0.5 + 0.25 if training.learning_rate == RIGHT else np.full(len(part), 0.5)

    monkeypatch.setattr(Search, "predict", predict)
    with pytest.raises(KeyboardInterrupt):
        tuner(tmp_path, SLOW).search()

    again = tuner(tmp_path, SLOW)
    again.search()

    # Two seeds of both configurations on each span; span 2 is not trained again.
    assert confirmed == [2, 2, 2, 2, "killed", 3, 3, 3, 3]
    assert again.tuning.chosen == {"learning_rate": RIGHT}


def _stop_at(number, trial):
    if trial.trial_id == number:
        raise KeyboardInterrupt


def test_a_trial_that_is_behind_is_stopped_and_the_datasets_own_stays(tmp_path, monkeypatch):
    def predict(self, fold, training):
        part = self.rows.part(self.rows.spans == fold.span)
        guessed = np.random.default_rng(fold.span).uniform(size=len(part))
        return part.floats[:, 1] * 0.5 + 0.25 if training.learning_rate == RIGHT else guessed

    monkeypatch.setattr(Search, "predict", predict)
    found = tuner(tmp_path, RIGHT)

    found.search()

    own, other = found.tuning.trials
    assert (len(own.by_fold), own.stopped) == (2, "")
    assert (len(other.by_fold), other.stopped) == (1, "behind beyond chance on span 2")
    assert (found.tuning.best, found.tuning.gain, found.tuning.chosen) == (0, None, {})
    assert found.get_best_hyperparameters()[0].values == {"learning_rate": RIGHT}
    assert found.tuning.words.startswith("None of 2 configurations has a better AUC")


def test_no_better_than_by_noise_changes_nothing(tmp_path, monkeypatch):
    # Ahead on one span, and in the confirmation once ahead and once as far behind.
    def predict(self, fold, training):
        part = self.rows.part(self.rows.spans == fold.span)
        right = part.labels.astype(np.float64)
        lucky = training.learning_rate == RIGHT and (training.seed == 20_130_101 or fold.span == 2)
        noise = np.random.default_rng(fold.span).uniform(size=len(part))
        return (noise + (0.4 if lucky else 0.2 if training.learning_rate == SLOW else 0.0) * right) / 2

    monkeypatch.setattr(Search, "predict", predict)
    found = tuner(tmp_path, SLOW)

    found.search()

    assert found.tuning.best == 1
    assert found.tuning.gain.low < 0 < found.tuning.gain.high
    assert found.tuning.chosen == {}
    assert "is not better than the dataset's own by more than its interval" in found.tuning.words
    assert found.get_best_hyperparameters()[0].values == {"learning_rate": SLOW}


def test_time_that_is_over_ends_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Search, "predict", lambda self, fold, training: np.full((self.rows.spans == fold.span).sum(), 0.5)
    )
    spec = TuningSpec(trials=50, minutes=1e-9, folds=2, space={"learning_rate": (SLOW, RIGHT)})
    found = FoldTuner(search(SLOW), spec, str(tmp_path), code="")

    found.search()

    assert len(found.tuning.trials) == 1


def test_what_cannot_be_trained_is_told_and_the_search_goes_on(tmp_path, monkeypatch):
    rates = (1e-5, 1e-4, 1e-3, 1e-2, RIGHT)

    def predict(self, fold, training):
        if training.learning_rate == RIGHT or training.learning_rate == SLOW:
            return self.rows.part(self.rows.spans == fold.span).floats[:, 1] * 0.5 + 0.25
        raise TrainingError(f"span {fold.span}: the training loss is nan")

    monkeypatch.setattr(Search, "predict", predict)
    found = tuner(tmp_path, SLOW, rates=(SLOW, *rates), trials=6)

    found.search()

    failed = [trial for trial in found.tuning.trials if not trial.is_measured]
    assert sorted(trial.values["learning_rate"] for trial in failed) == [1e-5, 1e-4, 1e-3, 1e-2]
    assert {trial.stopped for trial in failed} == {"failed: span 2: the training loss is nan"}
    assert found.tuning.trials[found.tuning.best].is_measured
    assert Tuning.from_json(found.tuning.to_json()) == found.tuning
    assert [trial.is_measured for _, trial in found.tuning.ranked] == [True] * 2 + [False] * 4
    page = tuning_page(found.tuning)
    assert page.count("failed: span 2: the training loss is nan") == 4
    assert "nan" not in page.replace("loss is nan", "")


def test_a_winner_that_other_seeds_cannot_train_is_not_chosen(tmp_path, monkeypatch):
    def predict(self, fold, training):
        part = self.rows.part(self.rows.spans == fold.span)
        if training.learning_rate == SLOW:
            return np.random.default_rng(fold.span).uniform(size=len(part))
        if training.seed != 20_130_101:
            raise TrainingError("span 2: the training loss is inf")
        return part.floats[:, 1] * 0.5 + 0.25

    monkeypatch.setattr(Search, "predict", predict)
    found = tuner(tmp_path, SLOW)

    found.search()

    assert (found.tuning.best, found.tuning.gain, found.tuning.chosen) == (1, None, {})
    assert "from other seeds (span 2: the training loss is inf), so it is not confirmed" in found.tuning.words


def test_a_span_of_one_class_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Search, "predict", lambda self, fold, training: np.full((self.rows.spans == fold.span).sum(), 0.5)
    )
    given = search(SLOW)
    given.rows.labels[given.rows.spans == 2] = 0

    judged = given.judged()
    found = FoldTuner(judged, TuningSpec(trials=2, space={"learning_rate": (SLOW, RIGHT)}), str(tmp_path), code="")
    found.search()

    assert found.tuning.spans == (3,)
    assert [len(trial.by_fold) for trial in found.tuning.trials] == [1, 1]
    assert found.tuning.words.endswith(
        "AUC is not defined on span 2, where all labels are equal; trials are not judged there."
    )
    given.rows.labels[given.rows.spans == 3] = 1
    with pytest.raises(DataError, match=r"not defined on spans 2, 3, where .*name more with \[tuning\] folds"):
        given.judged()


def test_a_trial_that_cannot_be_trained_names_the_span(monkeypatch):
    given = search(SLOW)
    given.rows.floats[:] = np.nan

    with pytest.raises(TrainingError, match=r"span 2, trained on 1: .*Lower learning_rate"):
        given.predict(given.folds[0], given.configuration.training)
