"""The network over stacked features, with what comes before its first layer folded into tables.

The first layer is linear in the embeddings. So an embedding table times its part of the first kernel is again a table,
and the sums of the first layer are the sum of a row of each, besides one matrix product for the numbers. The members
stand side by side in every matrix. Only the order of the additions differs from the network's own, so the results are
equal up to float32's rounding.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf

from models.network import Weights
from models.packed import Layout
from models.stacked_features import Names, Stacked

_TABLE_VALUES = 2**22
"""Most numbers in folded tables: they are wider than embeddings, so those of very many values stay as they are."""
_KERNEL_VALUES = 2**18
"""Most numbers in a layer's matrix for all members, which is zero outside of each member's own part."""
_CONSTANT_VALUES = 2**16
"""Most numbers of a weight that each signature holds by itself; larger ones are variables, which they share."""


def can_fold(weights: Weights) -> bool:
    """Whether there is a first layer to fold into, and the members' matrices are small enough side by side."""
    return not weights.cross and all(kernel.size * len(kernel) <= _KERNEL_VALUES for kernel, _ in weights.layers[1:])


class FoldedNetwork(tf.Module):
    """Outputs of every member, as the network gives them, from stacked features; traceable."""

    def __init__(self, weights: Weights, names: Names, layout: Layout) -> None:
        super().__init__()
        self._names, self._buckets = names, layout.numeric_buckets
        (kernel, bias), *above = weights.layers
        self._members = len(kernel)
        parts, start = {}, 0
        for name, table in weights.tables.items():
            parts[name] = kernel[:, start : start + table.shape[2]]
            start += table.shape[2]
        numbers = kernel[:, start:][:, _order_of_numbers(names, layout)]
        self._numbers = held(_side_by_side(numbers)) if numbers.shape[1] else None
        self._bias = tf.constant(_side_by_side(bias))
        bags = [_folded(weights.tables[name], parts[name]) for name in names.bags]
        self._bags = held(np.concatenate(bags).astype(np.float32)) if bags else None
        small = _smallest(weights, names, _TABLE_VALUES // self._bias.shape[1])
        folded = [_folded(weights.tables[name], parts[name]) for name in names.ids if name in small]
        rows = [row for row, name in enumerate(names.ids) if name in small]
        starts = np.cumsum([0, *map(len, folded[:-1])])[: len(rows), None]
        self._wide = [
            (row, held(_side_by_side(weights.tables[name])), held(_diagonal(parts[name])))
            for row, name in enumerate(names.ids)
            if name not in small
        ]
        self._table = held(np.concatenate(folded).astype(np.float32)) if folded else None
        self._rows, self._starts = np.array(rows, np.int32), np.array(starts, np.int32)
        self._above = [(held(_diagonal(kernel)), tf.constant(_side_by_side(bias))) for kernel, bias in above]

    def __call__(self, stacked: Stacked) -> tf.Tensor:
        x = self._sums(stacked)
        for kernel, bias in self._above:
            x = tf.nn.bias_add(tf.matmul(tf.nn.relu(x), kernel), bias[0])
        return tf.reshape(x, [-1, self._members, x.shape[1] // self._members])

    def _sums(self, stacked: Stacked) -> tf.Tensor:
        """The sums of the first layer, (rows, members * units)."""
        parts = []
        if self._numbers is not None:
            parts.append(tf.matmul(self._encoded(stacked), self._numbers, transpose_a=True))
        if self._bags is not None:
            parts.append(tf.matmul(stacked.bags, self._bags, transpose_a=True))
        if self._table is not None:
            ids = tf.gather(stacked.ids, self._rows) if self._wide else stacked.ids
            cells = tf.reshape(tf.transpose(ids + self._starts), [-1])
            of_row = tf.range(tf.size(cells)) // len(self._rows)
            parts.append(tf.raw_ops.SparseSegmentSum(data=self._table, indices=cells, segment_ids=of_row))
        parts += [tf.matmul(tf.gather(table, stacked.ids[row]), kernel) for row, table, kernel in self._wide]
        # The bias comes last: TensorFlow makes one kernel of a product, its bias and a sum, and not everywhere has it.
        return tf.nn.bias_add(functools.reduce(tf.add, parts), self._bias[0])

    def _encoded(self, stacked: Stacked) -> tf.Tensor:
        """The numbers that enter beside the embeddings, columns first."""
        parts = []
        if self._names.numeric:
            steps = tf.expand_dims(stacked.position, 1) - np.arange(self._buckets, dtype=np.float32)[:, None]
            steps = tf.raw_ops.ClipByValue(t=steps, clip_value_min=0.0, clip_value_max=1.0)
            steps = tf.reshape(steps, [len(self._names.numeric) * self._buckets, -1])
            parts += [stacked.z, tf.cast(stacked.position < 0, tf.float32), steps]
        if self._names.cyclical:
            angle = 2 * math.pi * stacked.phase
            of_cycles = [self._names.ids.index(f"{name}_id_xf") for name in self._names.cyclical]
            known = tf.cast(tf.gather(stacked.ids, of_cycles) > 0, tf.float32)
            parts += [tf.sin(angle) * known, tf.cos(angle) * known]
        return tf.concat(parts, axis=0)


def _smallest(weights: Weights, names: Names, budget: int) -> frozenset[str]:
    """The integer features with the fewest values, as many as have `budget` values together."""
    sizes = {name: weights.tables[name].shape[1] for name in names.ids}
    by_size = sorted(names.ids, key=lambda name: sizes[name])
    together = np.cumsum([sizes[name] for name in by_size])
    return frozenset(by_size[: int(np.searchsorted(together, budget, side="right"))])


def _order_of_numbers(names: Names, layout: Layout) -> np.ndarray:
    """Where the network has the inputs that `_encoded` gives."""
    numeric = np.array([layout.numeric.index(name) for name in names.numeric], np.int64)
    cyclical = np.array([layout.cyclical.index(name) for name in names.cyclical], np.int64)
    count, buckets = len(numeric), layout.numeric_buckets
    steps = 2 * count + (numeric[:, None] * buckets + np.arange(buckets)).reshape(-1)
    cycles = count * (2 + buckets) + cyclical
    return np.concatenate([numeric, count + numeric, steps, cycles, len(cyclical) + cycles])


def held(value: np.ndarray) -> tf.Tensor | tf.Variable:
    """A weight of a SavedModel."""
    return tf.constant(value) if value.size <= _CONSTANT_VALUES else tf.Variable(value, trainable=False)


def _folded(table: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """An embedding table times its part of the kernel, for all members, (values, members * units)."""
    return _side_by_side(np.matmul(table.astype(np.float64), kernel.astype(np.float64)))


def _side_by_side(kernels: np.ndarray) -> np.ndarray:
    """(members, inputs, units) over the same inputs as one matrix, (inputs, members * units)."""
    return kernels.transpose(1, 0, 2).reshape(kernels.shape[1], -1)


def _diagonal(kernels: np.ndarray) -> np.ndarray:
    """(members, inputs, units) over inputs of their own as one matrix, (members * inputs, members * units)."""
    members, inputs, units = kernels.shape
    matrix = np.zeros((members, inputs, members, units), kernels.dtype)
    matrix[np.arange(members), :, np.arange(members)] = kernels
    return matrix.reshape(members * inputs, members * units)
