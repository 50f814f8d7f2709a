import keras
import numpy as np
import pytest

from models.features import FeatureSpec
from models.network import Ensemble
from models.packed import Layout, pack
from models.training_spec import TrainingSpec

LAYOUT = Layout(ids={"town_id_xf": 4, "hour_id_xf": 25}, numeric=("x", "y"), cyclical=("hour",), numeric_buckets=3)
SPEC = TrainingSpec(hidden_units=(5,), ensemble_size=3, embedding_size=4, cross_layers=1, cross_rank=2, seed=1)


def some_rows(count):
    random = np.random.default_rng(0)
    floats = random.normal(size=(count, 5)).astype(np.float32)
    ids = np.stack([random.integers(0, 4, count), random.integers(0, 25, count)], axis=1).astype(np.int32)
    return floats, ids


def test_layout_counts_missing_and_unknown_values():
    features = FeatureSpec(
        label="y",
        bucketized={"b": 10},
        categorical=("c",),
        hashed={"h": 100},
        cyclical={"p": 24},
        numeric=("z", "a"),
    )

    layout = Layout.of(features, {"c": 7})

    assert layout.ids == {"b_id_xf": 11, "c_id_xf": 9, "h_id_xf": 101, "p_id_xf": 25}
    assert layout.floats == ("a_z_xf", "z_z_xf", "a_quantile_xf", "z_quantile_xf", "p_phase_xf")


def test_pack_follows_the_layout():
    transformed = {name: np.full(2, i, np.float32) for i, name in enumerate(LAYOUT.floats)}
    transformed |= {"town_id_xf": np.array([1, 2]), "hour_id_xf": np.array([3, 4])}

    floats, ids = pack(transformed, LAYOUT)

    assert floats.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert ids.tolist() == [[1, 3], [2, 4]]


def test_a_bag_enters_as_the_weighted_sum_of_its_embeddings():
    layout = Layout(ids={}, numeric=(), cyclical=(), numeric_buckets=3, bags={"genres_bag_xf": 4})
    network = Ensemble(layout, TrainingSpec(hidden_units=(), ensemble_size=1, embedding_size=2))
    (table,) = (variable for variable in network.trainable_variables if variable.name == "embedding_0")
    table.assign([[[1, 0], [0, 1], [2, 2], [-4, 8]]])
    (kernel,) = (variable for variable in network.trainable_variables if variable.name == "head_kernel")
    kernel.assign([[[1], [100]]])

    floats, ids = pack({"genres_bag_xf": np.array([[0.5, 0, 0, 0.5], [0, 0, 0, 0]])}, layout)

    # The mean of (1, 0) and (-4, 8) is (-1.5, 4); a row without a value is nothing.
    assert network((floats, ids)).numpy().reshape(-1).tolist() == [-1.5 + 400, 0]


def test_one_logit_per_member():
    assert Ensemble(LAYOUT, SPEC)(some_rows(7)).shape == (7, 3, 1)


def test_rows_do_not_see_each_other():
    network = Ensemble(LAYOUT, SPEC)
    floats, ids = some_rows(6)

    together = network((floats, ids)).numpy()
    alone = np.concatenate([network((floats[i : i + 1], ids[i : i + 1])).numpy() for i in range(6)])

    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_members_share_nothing():
    network = Ensemble(LAYOUT, SPEC)
    rows = some_rows(5)
    before = network(rows).numpy()

    for variable in network.trainable_variables:
        value = variable.numpy()
        value[1] += 1.0
        variable.assign(value)

    after = network(rows).numpy()
    np.testing.assert_array_equal(before[:, [0, 2]], after[:, [0, 2]])
    assert np.abs(before[:, 1] - after[:, 1]).min() > 0.01


def test_seeds_decide_the_weights():
    first, second = Ensemble(LAYOUT, SPEC), Ensemble(LAYOUT, SPEC)
    other = Ensemble(LAYOUT, TrainingSpec(**{**SPEC.__dict__, "seed": 2}))

    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_piecewise_linear_encoding():
    layout = Layout(ids={}, numeric=("x",), cyclical=(), numeric_buckets=3)
    network = Ensemble(layout, TrainingSpec(hidden_units=(), ensemble_size=1))

    encoded = network.encoded(
        keras.ops.convert_to_tensor([[0.5, 1.25], [0.0, -1.0]]), keras.ops.zeros((2, 0), "int32")
    ).numpy()[0]

    # z-score, missing, then how full each of the three buckets is.
    np.testing.assert_allclose(encoded, [[0.5, 0, 1, 0.25, 0], [0, 1, 0, 0, 0]])


def test_cyclical_features_end_where_they_begin_and_missing_ones_are_nothing():
    layout = Layout(ids={"hour_id_xf": 25}, numeric=(), cyclical=("hour",), numeric_buckets=2)
    network = Ensemble(layout, TrainingSpec(hidden_units=(), ensemble_size=1))

    encoded = network.encoded(
        keras.ops.convert_to_tensor([[0.25], [0.0]]), keras.ops.convert_to_tensor([[7], [0]], "int32")
    ).numpy()[0]

    np.testing.assert_allclose(encoded[:, -2:], [[1, 0], [0, 0]], atol=1e-6)


def test_the_prior_is_the_first_answer():
    network = Ensemble(LAYOUT, SPEC)
    for variable in network.trainable_variables:
        variable.assign(np.zeros(variable.shape, np.float32))

    network.set_prior(np.log([1 / 3]))

    np.testing.assert_allclose(network(some_rows(2)).numpy(), np.log(1 / 3), rtol=1e-6)


@pytest.mark.parametrize(("values", "width"), [(2, 3), (25, 4), (10_000, 4)])
def test_width_of_embeddings(values, width):
    layout = Layout(ids={"a_id_xf": values}, numeric=(), cyclical=(), numeric_buckets=2)

    # The fourth root of 2 is 1.19, times 2.5 is 2.97; of 25 it is 2.24, times 2.5 is 5.6, above the limit of 4.
    assert Ensemble.widths(layout, TrainingSpec(embedding_size=4)) == {"a_id_xf": width}
