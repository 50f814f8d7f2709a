"""The Keras model: an ensemble of small networks in one, over the transformed features of models/preprocessing.py.

Every tensor carries the member as a dimension, so that the ensemble costs one matrix product per layer. The
members share nothing: each has its own embeddings, and trains on its own part of the rows (models/training.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from models.packed import Layout
from models.training_spec import TrainingSpec


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of an `Ensemble`; the first dimension of each is the member.

    Attributes:
      tables: embeddings, (members, values, width), by transformed integer feature, then by bag, in their order.
      cross: down, up and bias of each cross layer.
      layers: kernel, (members, inputs, units), and bias, (members, 1, units), of each dense layer and of the head. The
        inputs of the first: the embeddings, then z-scores, missing flags, steps of the quantiles, sines and cosines.
    """

    tables: Mapping[str, np.ndarray]
    cross: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]
    layers: Sequence[tuple[np.ndarray, np.ndarray]]


@keras.saving.register_keras_serializable("models")
class Ensemble(keras.Model):
    """Outputs of every member, from packed features.

    Call with (floats, ids), as `packed.pack` stacks them; returns (batch, members, outputs), see models/tasks.py.
    """

    def __init__(self, layout: Layout, spec: TrainingSpec, outputs: int = 1) -> None:
        super().__init__(name="ensemble")
        self.layout, self.spec = layout, spec
        self.members = spec.ensemble_size
        seeds = iter(range(spec.seed, spec.seed + 1000))

        def weight(name: str, shape: tuple[int, ...], initializer: Any) -> Any:
            return self.add_weight(name=name, shape=(self.members, *shape), initializer=initializer, dtype="float32")

        def uniform(fan_in: float) -> Any:
            return keras.initializers.RandomUniform(-math.sqrt(3 / fan_in), math.sqrt(3 / fan_in), seed=next(seeds))

        widths = self.widths(layout, spec)
        self._tables = [
            # Not named like its column: Keras refuses some names, and weights called "bias" do not decay.
            weight(f"embedding_{i}", (values, widths[name]), _normal(next(seeds)))
            for i, (name, values) in enumerate((*layout.ids.items(), *layout.bags.items()))
        ]
        width = sum(widths.values())
        width += len(layout.numeric) * (2 + layout.numeric_buckets) + 2 * len(layout.cyclical)
        width += sum(layout.plain.values())
        self._cross = [
            (
                weight(f"cross_{i}_down", (width, spec.cross_rank), uniform(width)),
                weight(f"cross_{i}_up", (spec.cross_rank, width), uniform(spec.cross_rank)),
                weight(f"cross_{i}_bias", (1, width), "zeros"),
            )
            for i in range(spec.cross_layers)
        ]
        self._dense = []
        fan_in = width
        for i, units in enumerate(spec.hidden_units):
            kernel = weight(f"dense_{i}_kernel", (fan_in, units), uniform(fan_in / 2))
            self._dense.append((kernel, weight(f"dense_{i}_bias", (1, units), "zeros")))
            fan_in = units
        self._head = (
            weight("head_kernel", (fan_in, outputs), uniform(fan_in)),
            weight("head_bias", (1, outputs), "zeros"),
        )
        self._draws = keras.random.SeedGenerator(next(seeds))
        self.built = True

    @staticmethod
    def widths(layout: Layout, spec: TrainingSpec) -> dict[str, int]:
        """Width of the embedding of each id and bag: grows with the fourth root of the number of its values."""
        limit = spec.embedding_size
        return {
            name: max(2, min(limit, math.ceil(2.5 * math.sqrt(math.sqrt(values)))))
            for name, values in (*layout.ids.items(), *layout.bags.items())
        }

    def set_prior(self, outputs: np.ndarray) -> None:
        """Starts from these outputs for every row, (outputs,), so that no step is spent on learning them."""
        bias = self._head[1]
        bias.assign(np.broadcast_to(outputs, bias.shape).astype(np.float32))

    def start_from(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the trainable weights, in the order of `trainable_variables`."""
        for variable, value in zip(self.trainable_variables, weights, strict=True):
            variable.assign(value)

    @property
    def weights_by_place(self) -> Weights:
        """The weights, each with its place in the network."""
        return Weights(
            tables={
                name: table.numpy()
                for name, table in zip((*self.layout.ids, *self.layout.bags), self._tables, strict=True)
            },
            cross=[(down.numpy(), up.numpy(), bias.numpy()) for down, up, bias in self._cross],
            layers=[(kernel.numpy(), bias.numpy()) for kernel, bias in (*self._dense, self._head)],
        )

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Outputs, (batch, members, outputs)."""
        layers = (*self._dense, self._head)
        if self._cross:
            x = ops.matmul(self._crossed(self.encoded(*inputs)), layers[0][0])
        else:
            x = self._product(self._pieces(*inputs), ops.convert_to_tensor(layers[0][0]))
        kept = self._kept(ops.shape(inputs[1])[0]) if training and self.spec.dropout and self._dense else None
        for i, (_, bias) in enumerate(self._dense):
            x = ops.relu(x + bias)
            if kept:
                x *= kept[i]
            x = ops.matmul(x, layers[i + 1][0])
        return ops.transpose(x + layers[-1][1], (1, 0, 2))

    def _pieces(self, floats: Any, ids: Any) -> list[_Piece]:
        """The encoded rows, as few tensors as there are kinds of columns."""
        layout = self.layout
        tables = [ops.convert_to_tensor(table) for table in self._tables]
        pieces = []
        for width in sorted({table.shape[2] for table in tables[: len(layout.ids)]}):
            columns = [i for i, table in enumerate(tables[: len(layout.ids)]) if table.shape[2] == width]
            pieces.append(
                _Piece(columns, self._embedded([tables[i] for i in columns], tf.gather(ids, columns, axis=1)))
            )
        start = len(layout.floats)
        for i, size in enumerate(layout.bags.values(), start=len(layout.ids)):
            pieces.append(_Piece([i], ops.matmul(floats[None, :, start : start + size], tables[i])))
            start += size
        if (shared := self._shared(floats, ids)) is not None:
            pieces.append(_Piece([len(tables)], shared[None]))
        return pieces

    def _embedded(self, tables: Sequence[Any], ids: Any) -> Any:
        """Embeddings of columns whose tables have one width, (members, batch, columns * width), from (batch, columns).

        One table of them all, of every member, is read by one kernel, and its gradient is one sum over rows.
        """
        values = [table.shape[1] for table in tables]
        one = ops.reshape(ops.concatenate(tables, axis=1), (self.members * sum(values), -1))
        of_columns = np.cumsum([0, *values[:-1]], dtype=np.int32)
        of_members = sum(values) * np.arange(self.members, dtype=np.int32)
        rows = tf.gather(one, ids[None] + (of_members[:, None, None] + of_columns))
        return ops.reshape(rows, (self.members, -1, len(values) * tables[0].shape[2]))

    def _shared(self, floats: Any, ids: Any) -> Any:
        """What every member reads alike, (batch, width), or None."""
        layout = self.layout
        numeric = len(layout.numeric)
        parts = []
        if numeric:
            position = floats[:, numeric : 2 * numeric]  # -1 if missing.
            # Piecewise linear encoding (Gorishniy et al., 2022): full buckets below are 1, the own one its share.
            steps = ops.clip(position[:, :, None] - ops.arange(layout.numeric_buckets, dtype="float32"), 0.0, 1.0)
            parts += [floats[:, :numeric], ops.cast(position < 0, "float32")]
            parts += [ops.reshape(steps, (-1, numeric * layout.numeric_buckets))]
        if layout.cyclical:
            known = [list(layout.ids).index(f"{name}_id_xf") for name in layout.cyclical]
            angle = 2 * math.pi * floats[:, 2 * numeric : 2 * numeric + len(known)]
            present = ops.cast(tf.gather(ids, known, axis=1) > 0, "float32")
            parts += [ops.sin(angle) * present, ops.cos(angle) * present]
        if layout.plain:
            parts.append(floats[:, len(layout.floats) + sum(layout.bags.values()) :])
        return ops.concatenate(parts, axis=1) if parts else None

    def _product(self, pieces: Sequence[_Piece], kernel: Any) -> Any:
        """The encoded rows times the first kernel, piece by piece: what the members share is not copied for each."""
        widths = [table.shape[2] for table in self._tables]
        rows = tf.split(kernel, [*widths, kernel.shape[1] - sum(widths)], axis=1)
        products = [
            ops.matmul(piece.values, ops.concatenate([rows[i] for i in piece.columns], axis=1)) for piece in pieces
        ]
        return sum(products[1:], products[0])

    def encoded(self, floats: Any, ids: Any) -> Any:
        """The encoded rows, (members, batch, width), in the order of the first kernel's rows."""
        columns: dict[int, Any] = {}
        for piece in self._pieces(floats, ids):
            columns |= zip(piece.columns, ops.split(piece.values, len(piece.columns), axis=2), strict=True)
        if (shared := columns.get(len(self._tables))) is not None:
            columns[len(self._tables)] = ops.broadcast_to(shared, (self.members, *ops.shape(shared)[1:]))
        return ops.concatenate([columns[i] for i in sorted(columns)], axis=2)

    def _crossed(self, x: Any) -> Any:
        start = x
        for down, up, bias in self._cross:
            x = start * (ops.matmul(ops.matmul(x, down), up) + bias) + x
        return x

    def _kept(self, rows: Any) -> list[Any]:
        """Dropout's factors for each dense layer, (members, rows, units), from one draw: a draw costs like a layer."""
        units = [kernel.shape[2] for kernel, _ in self._dense]
        drawn = keras.random.uniform((self.members, rows, sum(units)), seed=self._draws)
        kept = ops.cast(drawn >= self.spec.dropout, "float32") / (1 - self.spec.dropout)
        return list(tf.split(kept, units, axis=2))


@dataclass(frozen=True)
class _Piece:
    """A part of the encoded rows.

    Attributes:
      columns: which embeddings it holds, by their place; their number stands for what has none.
      values: (members, batch, width), or (1, batch, width) of what the members share.
    """

    columns: list[int]
    values: Any


def _normal(seed: int) -> Any:
    return keras.initializers.RandomNormal(stddev=0.1, seed=seed)
