import numpy as np
import pytest
import tensorflow as tf

from models.folded_network import FoldedNetwork, can_fold
from models.network import Ensemble
from models.packed import Layout
from models.stacked_features import Names, Stacked
from models.training_spec import TrainingSpec

LAYOUT = Layout(
    ids={"a_id_xf": 5, "b_id_xf": 1000, "hour_id_xf": 25, "day_id_xf": 8},
    numeric=("x", "y", "z"),
    cyclical=("day", "hour"),
    numeric_buckets=4,
    bags={"genres_bag_xf": 7, "text_bag_xf": 33},
)
# Rows in another order than the network's.
NAMES = Names(
    numeric=("z", "x", "y"),
    cyclical=("hour", "day"),
    ids=("hour_id_xf", "b_id_xf", "a_id_xf", "day_id_xf"),
    bags=("genres_bag_xf", "text_bag_xf"),
)
ROWS = 50


def made(layout, **settings):
    network = Ensemble(layout, TrainingSpec(embedding_size=4, **settings))
    random = np.random.default_rng(1)
    for variable in network.trainable_variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    return network


def rows_of(layout):
    """Packed as the network takes it."""
    random = np.random.default_rng(2)
    z = random.normal(0, 3, (ROWS, len(layout.numeric)))
    position = np.where(random.random(z.shape) < 0.2, -1.0, random.uniform(0, layout.numeric_buckets, z.shape))
    phase = random.random((ROWS, len(layout.cyclical)))
    ids = np.stack([random.integers(0, values, ROWS) for values in layout.ids.values()] or [[]] * 0, axis=1)
    bags = [random.uniform(0, 0.5, (ROWS, width)) for width in layout.bags.values()]
    return np.concatenate([z, position, phase, *bags], axis=1).astype(np.float32), ids.astype(np.int32)


def stacked(floats, ids, layout, names):
    numeric, cyclical = len(layout.numeric), len(layout.cyclical)
    z, position, phase, bags = np.split(floats.T, np.cumsum([numeric, numeric, cyclical]))
    assert len(phase) == cyclical
    in_order = [layout.numeric.index(name) for name in names.numeric]
    return Stacked(
        tf.constant(z[in_order]),
        tf.constant(position[in_order]),
        tf.constant(phase[[layout.cyclical.index(name) for name in names.cyclical]]),
        tf.constant(ids.T[[list(layout.ids).index(name) for name in names.ids]]),
        tf.constant(bags),
    )


@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 3), (6, 5, 4)])
@pytest.mark.parametrize("ensemble_size", [1, 3])
def test_is_the_network(hidden_units, ensemble_size):
    network = made(LAYOUT, hidden_units=hidden_units, ensemble_size=ensemble_size)
    floats, ids = rows_of(LAYOUT)

    folded = FoldedNetwork(network.weights_by_place, NAMES, LAYOUT)(stacked(floats, ids, LAYOUT, NAMES))

    expected = network((floats, ids)).numpy()
    np.testing.assert_allclose(folded.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.3


def test_tables_that_are_too_large_are_not_folded(monkeypatch):
    network = made(LAYOUT, hidden_units=(6, 3), ensemble_size=2)
    floats, ids = rows_of(LAYOUT)
    monkeypatch.setattr("models.folded_network._TABLE_VALUES", 12 * 40)

    folded = FoldedNetwork(network.weights_by_place, NAMES, LAYOUT)
    outputs = folded(stacked(floats, ids, LAYOUT, NAMES))

    assert max(variable.shape[0] for variable in (folded._table, *(wide[1] for wide in folded._wide))) == 1000
    np.testing.assert_allclose(outputs.numpy(), network((floats, ids)).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("ids", "numeric", "cyclical"),
    [({"a_id_xf": 5}, (), ()), ({}, ("x",), ()), ({"day_id_xf": 8}, (), ("day",))],
)
def test_kinds_that_are_not_there(ids, numeric, cyclical):
    layout = Layout(ids=ids, numeric=numeric, cyclical=cyclical, numeric_buckets=4)
    names = Names(numeric=numeric, cyclical=cyclical, ids=tuple(ids))
    network = made(layout, hidden_units=(6, 3), ensemble_size=2)
    random = np.random.default_rng(3)
    floats = random.uniform(0, 1, (ROWS, len(layout.floats))).astype(np.float32)
    drawn = random.integers(0, max(ids.values(), default=1), (ROWS, len(ids))).astype(np.int32)

    folded = FoldedNetwork(network.weights_by_place, names, layout)(stacked(floats, drawn, layout, names))

    np.testing.assert_allclose(folded.numpy(), network((floats, drawn)).numpy(), rtol=1e-5, atol=1e-5)


def test_cross_layers_and_wide_layers_cannot_be_folded():
    assert can_fold(made(LAYOUT, hidden_units=(64, 32), ensemble_size=4).weights_by_place)
    assert not can_fold(made(LAYOUT, cross_layers=1).weights_by_place)
    assert not can_fold(made(LAYOUT, hidden_units=(512, 256), ensemble_size=4).weights_by_place)
