"""Several learners: the best out of time is the model, or the blend where that is surely better."""

import numpy as np
import pytest
import tensorflow as tf

from models.fitting import fit
from models.learners.several import BlendMembers
from models.model_spec import ModelSpec
from models.packed import Layout, Rows
from models.training_spec import TrainingSpec

LAYOUT = Layout(ids={"a_id_xf": 3, "b_id_xf": 3}, numeric=("x",), cyclical=(), numeric_buckets=4)
SPEC = TrainingSpec(ensemble_size=3, trees=20, tree_rate=0.3, tree_rows=5, l2=(1.0,))
BOTH = ModelSpec(learners=("trees", "linear"))


def rows_of(logit, count=1200, seed=0):
    random = np.random.default_rng(seed)
    x, ids = random.normal(size=count), random.integers(1, 3, (count, 2))
    floats = np.stack([x, np.clip(x + 2, 0, 4)], axis=1)
    chance = 1 / (1 + np.exp(-logit(x, ids[:, 0] - 1, ids[:, 1] - 1)))
    return Rows(
        floats=floats.astype(np.float32),
        ids=ids.astype(np.int32),
        labels=(random.random(count) < chance).astype(np.int64),
        spans=np.arange(count) * 3 // count,
    )


def test_what_no_sum_can_say_is_learned_by_trees():
    # One or the other, not both: no coefficient of a or of b tells anything.
    fitted = fit(rows_of(lambda x, a, b: 8 * (a ^ b) - 4), LAYOUT, SPEC, model=BOTH)

    by_name = {each.learner: each for each in fitted.contenders}
    assert list(by_name) == ["trees", "linear", "blend"]
    assert [each.learner for each in fitted.contenders if each.chosen] == ["trees"]
    assert by_name["linear"].behind > by_name["linear"].behind_half_width > 0
    assert by_name["linear"].loss == pytest.approx(np.log(2), abs=0.02)
    assert by_name["trees"].behind == 0


def test_a_sum_is_learned_best_by_the_linear_model():
    fitted = fit(rows_of(lambda x, a, b: 3 * x + a - b), LAYOUT, SPEC, model=BOTH)

    assert [each.learner for each in fitted.contenders if each.chosen] == ["linear"]
    assert fitted.members.coefficients.shape == (3, 9, 1)


class Stub:
    """Members that always say the same."""

    def __init__(self, values, folds):
        self.layout, self.folds = LAYOUT, np.array(folds)
        self._values = np.array(values, np.float32)[None, :, None]

    def predict(self, floats, ids):
        return np.repeat(self._values, len(floats), axis=0)

    def on_packed(self):
        return lambda floats, ids: tf.repeat(tf.constant(self._values), tf.shape(floats)[0], axis=0)

    def on_stacked(self, names):
        return None


def test_in_a_blend_each_learner_counts_as_much():
    blend = BlendMembers([Stub([1, 3], [0, 1]), Stub([10], [0])])

    served = blend.on_packed()(tf.zeros([4, 2]), tf.zeros([4, 2], tf.int32)).numpy()

    np.testing.assert_array_equal(served, np.tile([[2.0], [10.0]], (4, 1, 1)))
    np.testing.assert_array_equal(blend.predict(np.zeros((4, 2)), np.zeros((4, 2)))[0, :, 0], [1, 3, 10])
    assert blend.folds.tolist() == [0, 1, 0]
    assert blend.on_stacked(None) is None
