"""The transform graph's features computed for all columns of a kind at once, from the constants in that graph.

TFT's graph makes every column sparse and gives each its own operations. For one row, nearly all of the time goes into
starting them. Here the columns of a kind are the rows of one matrix: one z-score, one search among boundaries, one
lookup for each dtype of categories. Each element goes through the same arithmetic in the same precision, so the
features are equal to the last bit; `models/serving_graph.py` checks it before a model is exported.

A matrix here is columns first: (features, rows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.errors import FeatureError
from models.features import FeatureSpec
from models.kinds import Feature
from models.packed import Layout
from models.preprocessing import Z_LIMIT
from models.transform_graph import INT64_LIMIT, Constants, TransformGraph

_LARGEST_LOOKUP = 2**20
"""Cells of the table that leads from the words of several columns to their ids."""
_STACKED = frozenset({"numeric", "bucketized", "categorical", "hashed", "cyclical"})
_NUMBERS = frozenset({"_z_xf", "_quantile_xf", "_phase_xf"})
_MISSING_WORD: Mapping[tf.DType, bytes | int] = {tf.string: b"", tf.int64: -1}


class Stacked(NamedTuple):
    """Transformed features, float32 and int32; `StackedFeatures.names` says which row is which."""

    z: tf.Tensor
    position: tf.Tensor
    phase: tf.Tensor
    ids: tf.Tensor
    bags: tf.Tensor


class Names(NamedTuple):
    """The rows of stacked features, in order.

    Attributes:
      numeric: the columns of `z` and of `position`.
      cyclical: the columns of `phase`.
      ids: the transformed integer features.
      bags: the transformed features of several numbers each, in the order of `Layout.bags`.
    """

    numeric: tuple[str, ...]
    cyclical: tuple[str, ...]
    ids: tuple[str, ...]
    bags: tuple[str, ...] = ()


def packed(stacked: Stacked, names: Names, layout: Layout) -> tuple[tf.Tensor, tf.Tensor]:
    """The matrices that learners take, as `packed.pack` makes them: a row per example."""
    numeric = [names.numeric.index(name) for name in layout.numeric]
    cyclical = [names.cyclical.index(name) for name in layout.cyclical]
    ids = [names.ids.index(name) for name in layout.ids]
    pairs = ((stacked.z, numeric), (stacked.position, numeric), (stacked.phase, cyclical))
    floats = tf.concat([*(_rows(x, order) for x, order in pairs), stacked.bags], axis=0)
    return tf.transpose(floats), tf.transpose(_rows(stacked.ids, ids))


def _rows(x: tf.Tensor, order: Sequence[int]) -> tf.Tensor:
    return tf.gather(x, np.array(order, np.int32))


class StackedFeatures(tf.Module):
    """Computes transformed features from dense serving inputs; traceable.

    Attributes:
      names: of the rows of what it computes.
    """

    def __init__(self, features: FeatureSpec, graph: TransformGraph) -> None:
        """Takes the constants out of the graph.

        Raises:
          FeatureError: the graph does not name its constants, or a kind of feature is not one that the network's
            numbers can take from TFT's graph.
        """
        super().__init__()
        constants = graph.constants()
        kinds: dict[str, list[Feature]] = {}
        for feature in features.encoded:
            stacks = feature.kind.group in _STACKED and feature.name in graph.serving_inputs
            kinds.setdefault(feature.kind.group if stacks else "", []).append(feature)
        self._cyclical, self._numeric, self._bucketized = (
            [feature.name for feature in kinds.get(group, [])] for group in ("cyclical", "numeric", "bucketized")
        )
        self._numbers = [*self._cyclical, *self._numeric, *self._bucketized]
        self._whole = np.array([[graph.raw_dtype(name).is_integer] for name in self._numbers], np.bool_)
        self._periods = np.array([[feature.size] for feature in kinds.get("cyclical", [])], np.float32)
        moments = [constants.moments[name] for name in self._numeric]
        self._mean = np.array([[mean] for mean, _ in moments], np.float64)
        self._std = np.array([[std] for _, std in moments], np.float64)
        self._search = _Search([constants.boundaries[name] for name in (*self._numeric, *self._bucketized)])
        categorical, hashed = kinds.get("categorical", []), kinds.get("hashed", [])
        self._categories: list[_Lookup | _Hash] = [
            _Lookup(names, dtype, constants.tokens)
            for dtype in (tf.string, tf.int64)
            for names in _together([f.name for f in categorical if graph.raw_dtype(f.name) == dtype], constants)
        ]
        self._categories += [
            _Hash([feature.name for feature in hashed if feature.size == buckets], graph, buckets)
            for buckets in sorted({feature.size for feature in hashed})
        ]
        self._others = _Others(kinds.get("", []), graph)
        ids = [*self._cyclical, *self._bucketized, *(name for part in self._categories for name in part.names)]
        self.names = Names(
            numeric=(*self._numeric, *self._others.names.numeric),
            cyclical=(*self._cyclical, *self._others.names.cyclical),
            ids=(*(f"{name}_id_xf" for name in ids), *self._others.names.ids),
            bags=self._others.names.bags,
        )

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> Stacked:
        """Transforms dense inputs, (rows,) each."""
        rows = tf.shape(next(iter(inputs.values())))[0]
        z, position, phase, ids, bags = self._others(inputs)
        if self._numbers:
            x = self._as_stored(tf.stack([inputs[name] for name in self._numbers]))
            cycles, x = _divided(x, len(self._cyclical))
            if self._cyclical:
                cycle_phase, cycle_ids = self._cycles(cycles)
                phase, ids = [cycle_phase, *phase], [cycle_ids, *ids]
            if self._numeric or self._bucketized:
                numeric = len(self._numeric)
                missing, of_buckets = _divided(tf.math.is_nan(x), numeric)
                bucket, bucket_ids = _divided(self._search(x), numeric)
                if self._numeric:
                    x, _ = _divided(x, numeric)
                    z = [self._z_scores(x, missing), *z]
                    position = [self._search.positions(x, missing, bucket), *position]
                if self._bucketized:
                    ids.insert(bool(self._cyclical), tf.where(of_buckets, 0, 1 + bucket_ids))
        first = bool(self._cyclical) + bool(self._bucketized)
        ids[first:first] = [part(inputs) for part in self._categories]
        return Stacked(
            z=_joined(z, rows),
            position=_joined(position, rows),
            phase=_joined(phase, rows),
            ids=_joined(ids, rows, tf.int32),
            bags=_joined(bags, rows),
        )

    def _as_stored(self, x: tf.Tensor) -> tf.Tensor:
        """Numbers of integer columns as int64 would hold them, NaN still NaN."""
        if not self._whole.any():
            return x
        limited = tf.raw_ops.ClipByValue(t=x, clip_value_min=-INT64_LIMIT, clip_value_max=INT64_LIMIT)
        whole = limited - tf.raw_ops.TruncateMod(x=limited, y=tf.constant(1.0))
        return whole if self._whole.all() else tf.where(self._whole, whole, x)

    def _z_scores(self, x: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
        spread = self._std > 0  # False for NaN too.
        z = (tf.cast(x, tf.float64) - self._mean) / np.where(spread, self._std, 1.0)
        z = tf.cast(tf.raw_ops.ClipByValue(t=z, clip_value_min=-Z_LIMIT, clip_value_max=Z_LIMIT), tf.float32)
        return tf.where(missing if spread.all() else tf.logical_or(missing, ~spread), 0.0, z)

    def _cycles(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        known = tf.math.is_finite(x)
        position = tf.math.floormod(tf.where(known, x, 0.0), self._periods)
        index = tf.minimum(tf.cast(tf.floor(position), tf.int32), self._periods.astype(np.int32) - 1)
        return position / self._periods, tf.where(known, 1 + index, 0)


class _Others:
    """Features of the kinds that are not stacked here, column by column from TFT's graph."""

    def __init__(self, features: Sequence[Feature], graph: TransformGraph) -> None:
        odd = sorted({suffix for feature in features for suffix in feature.kind.floats} - _NUMBERS)
        if odd:
            raise FeatureError(f"The network's numbers {', '.join(odd)} are not among those that can be stacked.")
        self._graph = graph
        self.names = Names(
            numeric=tuple(feature.name for feature in features if "_z_xf" in feature.kind.floats),
            cyclical=tuple(feature.name for feature in features if "_phase_xf" in feature.kind.floats),
            ids=tuple(f"{feature.name}_id_xf" for feature in features if feature.kind.reserved),
            bags=tuple(f"{feature.name}_bag_xf" for feature in features if feature.kind.is_bag),
        )

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tuple[list[tf.Tensor], ...]:
        """Rows of z, position, phase and ids, (1, rows) each, and of bags, (width, rows)."""
        if not any(self.names):
            return [], [], [], [], []
        # What is not taken here is cut out of the graph before it runs.
        transformed = self._graph.transform(inputs)
        floats = [
            [f"{name}{suffix}" for name in names]
            for names, suffix in (
                (self.names.numeric, "_z_xf"),
                (self.names.numeric, "_quantile_xf"),
                (self.names.cyclical, "_phase_xf"),
            )
        ]
        return (
            *([tf.cast(transformed[name], tf.float32)[None] for name in names] for names in floats),
            [tf.cast(transformed[name], tf.int32)[None] for name in self.names.ids],
            [tf.transpose(transformed[name]) for name in self.names.bags],
        )


def _divided(x: tf.Tensor, rows: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The first rows and the others, in one operation where there are both."""
    if rows in (0, x.shape[0]):
        return x, x  # One of the two is of no use.
    first, others = tf.split(x, [rows, x.shape[0] - rows])
    return first, others


def _joined(parts: Sequence[tf.Tensor], rows: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    if len(parts) > 1:
        return tf.concat(parts, axis=0)
    return parts[0] if parts else tf.zeros([0, rows], dtype)


class _Search:
    """Quantile boundaries of several columns, those with fewer filled up at the end."""

    def __init__(self, boundaries: Sequence[np.ndarray]) -> None:
        most = max(map(len, boundaries), default=0)
        counts = np.array([[len(of_column)] for of_column in boundaries], np.int32)
        self._most = None if (counts == most).all() else counts
        self._sorted = np.full((len(boundaries), most), np.inf, np.float32)
        # The bucket's lower end and width, by column and bucket; the outer ones are as wide as all inner ones together.
        self._low = np.zeros((len(boundaries), most + 1), np.float32)
        self._width = np.zeros((len(boundaries), most + 1), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for column, of_column in enumerate(boundaries):
                count = len(of_column)
                self._sorted[column, :count] = of_column
                width = of_column[-1:] - of_column[:1]
                edges = np.concatenate([of_column[:1] - width, of_column, of_column[-1:] + width])
                self._low[column, : count + 1] = edges[:-1]
                self._width[column, : count + 1] = edges[1:] - edges[:-1]
        self._finite = bool(np.isfinite(self._low).all() and np.isfinite(self._width).all())

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Index of the bucket, int32: the number of boundaries at or below x; any index for NaN."""
        bucket = tf.raw_ops.UpperBound(sorted_inputs=self._sorted, values=x)
        return bucket if self._most is None else tf.minimum(bucket, self._most)

    def positions(self, x: tf.Tensor, missing: tf.Tensor, bucket: tf.Tensor) -> tf.Tensor:
        """Bucket index plus the share of the bucket passed, -1 where missing; of the first columns."""
        columns, width = x.shape[0], self._low.shape[1]
        cell = bucket + np.arange(0, columns * width, width, dtype=np.int32)[:, None]
        low = tf.gather(self._low[:columns].reshape(-1), cell)
        share = tf.math.divide_no_nan(x - low, tf.gather(self._width[:columns].reshape(-1), cell))
        share = tf.raw_ops.ClipByValue(t=share, clip_value_min=0.0, clip_value_max=1.0)
        if not self._finite:
            share = tf.where(tf.math.is_nan(share), tf.cast(x > 0, tf.float32), share)
        return tf.where(missing, -1.0, tf.cast(bucket, tf.float32) + share)


class _Lookup(tf.Module):
    """The vocabularies of several columns of one dtype: one lookup, then each column's own id of the word."""

    def __init__(self, names: Sequence[str], dtype: tf.DType, tokens: Mapping[str, Sequence[bytes]]) -> None:
        super().__init__()
        self.names = tuple(names)
        words = sorted({token for name in names for token in tokens[name]})
        number = {word: 1 + index for index, word in enumerate(words)}
        self._width = 2 + len(words)  # 0: unknown to all columns. Last: missing.
        ids = np.ones((len(names), self._width), np.int32)
        ids[:, -1] = 0
        for column, name in enumerate(names):
            ids[column, [number[token] for token in tokens[name]]] = 2 + np.arange(len(tokens[name]))
        self._ids = ids.reshape(-1)
        missing = _MISSING_WORD[dtype]
        keys = [word if dtype == tf.string else int(word) for word in words]
        entries = dict(zip(keys, number.values(), strict=True)) | {missing: self._width - 1}
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(list(entries), dtype), tf.constant(list(entries.values()), tf.int64)
            ),
            default_value=0,
        )

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        word = self._table.lookup(tf.stack([inputs[name] for name in self.names]))
        first = np.arange(0, len(self._ids), self._width, dtype=np.int64)[:, None]
        return tf.gather(self._ids, word if len(self.names) == 1 else word + first)


def _together(names: Sequence[str], constants: Constants) -> list[list[str]]:
    """Groups of columns that share a lookup: its table grows with their number times the number of their words."""
    groups: list[list[str]] = []
    words: set[bytes] = set()
    for name in names:
        words |= set(constants.tokens[name])
        if groups and (len(groups[-1]) + 1) * len(words) <= _LARGEST_LOOKUP:
            groups[-1].append(name)
        else:
            groups.append([name])
            words = set(constants.tokens[name])
    return groups


class _Hash(tf.Module):
    """The columns with one number of hash buckets."""

    def __init__(self, names: Sequence[str], graph: TransformGraph, buckets: int) -> None:
        super().__init__()
        self._text = [name for name in names if graph.raw_dtype(name) == tf.string]
        self._whole = [name for name in names if name not in self._text]
        self.names = (*self._text, *self._whole)
        self._buckets = buckets

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        parts = []
        if self._text:
            parts.append(tf.stack([inputs[name] for name in self._text]))
        if self._whole:
            number = tf.stack([inputs[name] for name in self._whole])
            missing = tf.equal(number, tf.constant(-1, tf.int64))
            parts.append(tf.where(missing, "", tf.strings.as_string(number)))
        text = tf.concat(parts, axis=0)
        bucket = tf.cast(tf.strings.to_hash_bucket_fast(text, self._buckets), tf.int32)
        return tf.where(tf.equal(text, ""), 0, 1 + bucket)
