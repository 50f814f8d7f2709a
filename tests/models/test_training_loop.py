"""The optimizer, against Keras' own."""

import keras
import numpy as np
import tensorflow as tf

from models.training_loop import AdamW


def test_steps_are_those_of_keras():
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.1, warmup_steps=3)
    random = np.random.default_rng(1)
    start = [random.normal(size=(4, 3)), random.normal(size=(4, 1))]
    names = ["kernel", "bias"]
    gradients = [[random.normal(size=values.shape).astype(np.float32) for values in start] for _ in range(10)]

    ours = [keras.Variable(values, dtype="float32", name=name) for values, name in zip(start, names, strict=True)]
    optimizer = AdamW(ours, schedule, 0.05)
    theirs = [keras.Variable(values, dtype="float32", name=name) for values, name in zip(start, names, strict=True)]
    reference = keras.optimizers.AdamW(schedule, weight_decay=0.05)
    reference.exclude_from_weight_decay(var_names=["bias"])
    for step in gradients:
        optimizer.apply([tf.constant(gradient) for gradient in step])
        reference.apply([tf.constant(gradient) for gradient in step], theirs)

    for one, other, began in zip(ours, theirs, start, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
        assert np.abs(one.numpy() - began).max() > 0.1


def test_a_gradient_of_some_rows_moves_these_and_decays_all():
    table = keras.Variable(np.ones((3, 2)), dtype="float32", name="embedding")
    optimizer = AdamW([table], lambda _: tf.constant(0.1), 0.5)
    optimizer.apply([tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))])
    # The first step of Adam is the learning rate in the gradient's direction; the decay is 0.1 * 0.5 of the weight.
    np.testing.assert_allclose(table.numpy(), [[0.95, 0.95], [0.85, 0.85], [0.95, 0.95]], rtol=1e-5)
