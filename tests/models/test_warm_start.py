import dataclasses

import numpy as np

from models import warm_start
from models.network import Ensemble
from models.packed import Layout
from models.target import Target
from models.training_spec import TrainingSpec

TARGET = Target(label="y")
SPEC = TrainingSpec(hidden_units=(3,), ensemble_size=2, embedding_size=2)


def layout(tokens, buckets=4):
    return Layout(ids={"h_id_xf": buckets, "town_id_xf": 2 + tokens}, numeric=("x",), cyclical=(), numeric_buckets=3)


def test_embeddings_move_with_their_tokens(tmp_path):
    base = Ensemble(layout(3), SPEC)
    warm_start.save(str(tmp_path), base, {"town": ["a", "b", "c"]}, TARGET)

    weights, reason = warm_start.base_weights(
        str(tmp_path), layout(4), SPEC, {"town": ["new", "c", "a", "newer"]}, TARGET
    )

    assert reason == "at least 50% of each vocabulary is known to the base model"
    old = base.trainable_variables[1].numpy()  # (members, missing + unknown + a, b, c, width)
    np.testing.assert_array_equal(weights[1], old[:, [0, 1, 1, 4, 2, 1]])
    for new, variable in list(zip(weights, base.trainable_variables, strict=True))[2:]:
        np.testing.assert_array_equal(new, variable.numpy())
    Ensemble(layout(4), SPEC).start_from(weights)


def test_the_values_of_a_bag_move_too_and_its_table_keeps_its_size(tmp_path):
    bag = dataclasses.replace(layout(1), bags={"genres_bag_xf": 5})
    base = Ensemble(bag, SPEC)
    warm_start.save(str(tmp_path), base, {"town": ["a"], "genres": ["x", "y", "z"]}, TARGET)

    tokens = {"town": ["a"], "genres": ["z", "new", "x"]}
    weights, _ = warm_start.base_weights(str(tmp_path), bag, SPEC, tokens, TARGET)

    old = base.trainable_variables[2].numpy()  # (members, unknown + x, y, z + one that no value had, width)
    np.testing.assert_array_equal(weights[2], old[:, [0, 3, 0, 1, 0]])
    wider = dataclasses.replace(bag, bags={"genres_bag_xf": 6})
    assert warm_start.base_weights(str(tmp_path), wider, SPEC, tokens, TARGET)[1] == "the base model differs in bags"


def test_what_does_not_fit_starts_at_random_and_says_why(tmp_path):
    warm_start.save(str(tmp_path), Ensemble(layout(1), SPEC), {"town": ["a"]}, TARGET)
    tokens = {"town": ["a"]}

    def reason(layout_, spec=SPEC, folder=tmp_path, target=TARGET):
        weights, why = warm_start.base_weights(str(folder) if folder else None, layout_, spec, tokens, target)
        assert weights is None
        return why

    assert reason(layout(1), folder=None) == "no base model was given"
    assert reason(layout(1), folder=tmp_path / "x") == "the base model has no assets.extra/warm_start"
    wider = dataclasses.replace(SPEC, hidden_units=(4,))
    assert reason(layout(1), wider) == "the base model differs in hidden_units"
    assert reason(layout(1, buckets=9)) == "the base model differs in numbers of buckets"
    more = dataclasses.replace(layout(1), numeric=("x", "y"))
    assert reason(more) == "the base model differs in numeric"
    number = Target(label="y", task="regression")
    assert reason(layout(1), target=number) == "the base model differs in what it predicts"
