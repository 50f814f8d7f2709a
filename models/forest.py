"""Decision trees as TensorFlow's own operations: every server that runs TensorFlow runs them.

All trees stand side by side. A row is at one node of each; a step takes it to a child everywhere at once, and leaves
lead to themselves. What a node asks is always whether a column is at most its threshold: a missing value is an infinity
of the sign that leads where the node sends missing ones, and a node that asks for a set of categories has a column of
its own, -1 within and 1 outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from models.folded_network import held
from models.packed import Layout

_BATCH = 65_536
_ROWS_AT_ONCE = 1_024
"""Rows times trees times eight bytes stay within a processor's cache."""

Dump = Mapping[str, Any]  # Any: JSON of LightGBM's dump_model.


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What trees see of packed rows: numbers, phases, ids with an order and bags as numbers; then categories.

    Attributes:
      names: the user's, of each column.
      categories: the columns that are categories, by position.
    """

    layout: Layout
    names: tuple[str, ...]
    categories: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout) -> Columns:
        """The columns of a layout."""
        vectors = {**layout.bags, **layout.plain}
        bags = [name.removesuffix("_bag_xf") for name, width in vectors.items() for _ in range(width)]
        ordered = [name.removesuffix("_id_xf") for name in layout.ordered]
        numbers = [*layout.numeric, *layout.cyclical, *ordered, *bags]
        categories = [name.removesuffix("_id_xf") for name in _categories(layout)]
        places = range(len(numbers), len(numbers) + len(categories))
        return cls(layout=layout, names=(*numbers, *categories), categories=tuple(places))

    def values(self, floats: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The columns of packed rows, float32 (rows, columns), NaN where a number is missing."""
        parts = []
        for start in range(0, max(1, len(floats)), _BATCH):
            batch = slice(start, start + _BATCH)
            categories = ids[batch][:, _places(self.layout, _categories(self.layout))].astype(np.float32)
            parts.append(
                np.concatenate([numbers_in(self.layout, floats[batch], ids[batch]).numpy(), categories], axis=1)
            )
        return np.concatenate(parts)


def numbers_in(layout: Layout, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """The columns that are numbers, (rows, numbers), NaN where missing."""
    numeric, ones = len(layout.numeric), len(layout.floats)
    z, position = floats[:, :numeric], floats[:, numeric : 2 * numeric]
    cycles = tf.gather(ids, _places(layout, [f"{name}_id_xf" for name in layout.cyclical]), axis=1)
    ordered = tf.gather(ids, _places(layout, layout.ordered), axis=1)
    nan = tf.constant(np.nan, tf.float32)
    return tf.concat(
        [
            tf.where(position < 0, nan, z),
            tf.where(cycles > 0, floats[:, 2 * numeric : ones], nan),
            tf.where(ordered > 0, tf.cast(ordered, tf.float32), nan),
            floats[:, ones:],
        ],
        axis=1,
    )


def _categories(layout: Layout) -> list[str]:
    """The ids whose order means nothing."""
    numbers = {*layout.ordered, *(f"{name}_id_xf" for name in layout.cyclical)}
    return [name for name in layout.ids if name not in numbers]


def _places(layout: Layout, ids: Sequence[str]) -> np.ndarray:
    order = list(layout.ids)
    return np.array([order.index(name) for name in ids], np.int32)


@dataclass(frozen=True, kw_only=True)
class Forest:
    """All nodes of all trees.

    Attributes:
      column: what each node asks about, an index of the inputs that `OnPackedForest` makes; (nodes,).
      threshold: at most which the input leads left, float32; (nodes,).
      children: left and right, (nodes, 2); a leaf leads to itself.
      value: of each leaf, 0 of other nodes; (nodes,).
      roots: (trees,).
      outputs: how much each tree counts in each output, (trees, outputs).
      sets: of each category, by its place among the ids, the nodes' sets: -1 within, 1 outside; (values, sets).
      depth: steps from a root to the lowest leaf.
      layout: of the packed rows.
    """

    layout: Layout
    column: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    outputs: np.ndarray
    sets: Mapping[str, np.ndarray]
    depth: int

    @classmethod
    def of(cls, members: Sequence[Sequence[Dump]], columns: Columns) -> Forest:
        """Reads the boosters of each member; the outputs are the means over the members."""
        return _Reader(columns).read(members)


class _Reader:
    """Collects nodes. Inputs: the numbers with missing ones at minus infinity, at infinity, at 0; then the sets."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._numbers = len(columns.names) - len(columns.categories)
        self._nodes: list[tuple[int, float, int, int, float]] = []
        self._sets: dict[int, list[np.ndarray]] = {}
        self._of_set: list[tuple[int, int, int]] = []  # Node, category's column, number of its set.
        self._depth = 0

    def read(self, members: Sequence[Sequence[Dump]]) -> Forest:
        roots, of_trees = [], []
        for boosters in members:
            first = 0
            for booster in boosters:
                each = booster["num_tree_per_iteration"]
                for number, tree in enumerate(booster["tree_info"]):
                    roots.append(self._read(tree["tree_structure"], 0))
                    of_trees.append(first + number % each)
                first += each
        column, threshold, left, right, value = (np.array(part) for part in zip(*self._nodes, strict=True))
        names = _categories(self._columns.layout)
        sizes = {names[place - self._numbers]: len(sets) for place, sets in sorted(self._sets.items())}
        starts = dict(zip(sorted(self._sets), 3 * self._numbers + np.cumsum([0, *sizes.values()])[:-1], strict=True))
        for node, place, number in self._of_set:
            column[node] = starts[place] + number
        return Forest(
            layout=self._columns.layout,
            column=column.astype(np.int32),
            threshold=_at_most(threshold),
            children=np.stack([left, right], axis=1).astype(np.int32),
            value=value.astype(np.float32),
            roots=np.array(roots, np.int32),
            outputs=(np.eye(first)[of_trees] / len(members)).astype(np.float32),
            sets={names[place - self._numbers]: np.stack(self._sets[place], axis=1) for place in sorted(self._sets)},
            depth=self._depth,
        )

    def _read(self, node: Mapping[str, Any], depth: int) -> int:
        """Adds a node and what is below it; returns its number."""
        number = len(self._nodes)
        if "leaf_value" in node:
            self._nodes.append((0, np.inf, number, number, node["leaf_value"]))
            self._depth = max(self._depth, depth)
            return number
        self._nodes.append((0, 0.0, 0, 0, 0.0))
        place = node["split_feature"]
        if node["decision_type"] == "==":
            column, threshold = self._set(number, place, node["threshold"]), 0.0
        else:
            missing = 2 if node["missing_type"] != "NaN" else 0 if node["default_left"] else 1
            column, threshold = place + missing * self._numbers, node["threshold"]
        left, right = self._read(node["left_child"], depth + 1), self._read(node["right_child"], depth + 1)
        self._nodes[number] = (column, threshold, left, right, 0.0)
        return number

    def _set(self, node: int, place: int, within: str) -> int:
        layout = self._columns.layout
        sides = np.ones(layout.ids[_categories(layout)[place - self._numbers]], np.float32)
        sides[[int(value) for value in within.split("||")]] = -1
        sets = self._sets.setdefault(place, [])
        self._of_set.append((node, place, len(sets)))
        sets.append(sides)
        return 0


def _at_most(threshold: np.ndarray) -> np.ndarray:
    """The largest float32 at or below each: no float32 lies between the two."""
    with np.errstate(over="ignore"):  # The largest float64 is a threshold that nothing exceeds.
        rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)


class OnPackedForest(tf.Module):
    """The mean raw outputs of the members, (rows, 1, outputs), from packed features."""

    def __init__(self, forest: Forest) -> None:
        super().__init__()
        self._layout, self._depth, self._roots = forest.layout, forest.depth, forest.roots
        self._column, self._threshold = held(forest.column), held(forest.threshold)
        self._children, self._value = held(forest.children.reshape(-1)), held(forest.value)
        self._outputs = held(forest.outputs)
        self._sets = {name: held(sets) for name, sets in forest.sets.items()}

    def __call__(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        rows = tf.shape(floats)[0]
        parts = tf.maximum(1, (rows + _ROWS_AT_ONCE - 1) // _ROWS_AT_ONCE)  # No rows have an answer too: none.
        answers = tf.TensorArray(tf.float32, parts, infer_shape=False, element_shape=[None, self._outputs.shape[1]])

        def step(part: tf.Tensor, answers: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            batch = slice(part * _ROWS_AT_ONCE, (part + 1) * _ROWS_AT_ONCE)
            return part + 1, answers.write(part, self._answer(floats[batch], ids[batch]))

        _, answers = tf.while_loop(lambda part, _: part < parts, step, (tf.constant(0), answers), parallel_iterations=1)
        return answers.concat()[:, None, :]

    def _answer(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        inputs = self._inputs(floats, ids)
        rows, width = tf.shape(inputs)[0], inputs.shape[1]
        flat = tf.reshape(inputs, [-1])
        first = tf.range(rows)[:, None] * width
        node = tf.repeat(self._roots[None], rows, axis=0)  # (rows, trees)
        for _ in range(self._depth):
            x = tf.gather(flat, first + tf.gather(self._column, node))
            right = tf.cast(x > tf.gather(self._threshold, node), tf.int32)
            node = tf.gather(self._children, 2 * node + right)
        return tf.matmul(tf.gather(self._value, node), self._outputs)

    def _inputs(self, floats: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        numbers = numbers_in(self._layout, floats, ids)
        missing = tf.math.is_nan(numbers)
        parts = [tf.where(missing, tf.constant(value, tf.float32), numbers) for value in (-np.inf, np.inf, 0.0)]
        order = list(self._layout.ids)
        parts += [tf.gather(sets, ids[:, order.index(name)]) for name, sets in self._sets.items()]
        return tf.concat(parts, axis=1)
