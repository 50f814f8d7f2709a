"""Starting from an earlier model's weights, although the vocabularies have changed since.

A SavedModel's own variables say nothing about tokens. So each model carries, in `assets.extra/warm_start/`, its
network's weights with its layout and vocabularies; embeddings move to the token's new place.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models.network import Ensemble
from models.packed import Layout
from models.target import Target
from models.training_spec import TrainingSpec

FOLDER = os.path.join("assets.extra", "warm_start")
_FIRST_TOKEN = 2
_FIRST_OF_BAG = 1  # The place of a bag's first token; before it are all values that are not in the vocabulary.

# What decides the shape and the meaning of the weights.
_ARCHITECTURE = ("hidden_units", "embedding_size", "cross_layers", "cross_rank", "ensemble_size")

# Of models that were pushed before there were other tasks.
_BINARY = {"task": "binary", "classes": [], "transform": "none"}

Vocabularies = Mapping[str, Sequence[str]]


def save(model_dir: str, network: Ensemble, vocabularies: Vocabularies, target: Target) -> None:
    """Writes what `base_weights` needs into a SavedModel's folder."""
    folder = os.path.join(model_dir, FOLDER)
    tf.io.gfile.makedirs(folder)
    data = io.BytesIO()
    np.savez(data, *[variable.numpy() for variable in network.trainable_variables])
    with tf.io.gfile.GFile(os.path.join(folder, "weights.npz"), "wb") as file:
        file.write(data.getvalue())
    described = _describe(network.layout, network.spec, target) | {
        "vocabularies": {k: list(v) for k, v in vocabularies.items()}
    }
    with tf.io.gfile.GFile(os.path.join(folder, "network.json"), "w") as file:
        file.write(json.dumps(described, sort_keys=True))


def base_weights(
    model_dir: str | None, layout: Layout, spec: TrainingSpec, vocabularies: Vocabularies, target: Target
) -> tuple[list[np.ndarray] | None, str]:
    """Weights to start from, fitted to the present vocabularies, or None; and one clause that says why."""
    if not model_dir:
        return None, "no base model was given"
    path = os.path.join(model_dir, FOLDER, "network.json")
    if not tf.io.gfile.exists(path):
        return None, f"the base model has no {FOLDER}"
    with tf.io.gfile.GFile(path) as file:
        base = json.loads(file.read())
    difference = _difference(base, _describe(layout, spec, target))
    if difference:
        return None, f"the base model differs in {difference}"
    with tf.io.gfile.GFile(os.path.join(model_dir, FOLDER, "weights.npz"), "rb") as file:
        stored = np.load(io.BytesIO(file.read()))
    weights = [stored[name] for name in stored.files]
    columns = [(name.removesuffix("_id_xf"), _FIRST_TOKEN) for name in layout.ids]
    columns += [(name.removesuffix("_bag_xf"), _FIRST_OF_BAG) for name in layout.bags]
    known = []
    for table, (column, first) in enumerate(columns):
        if column in vocabularies:
            tokens, base_tokens = vocabularies[column], base["vocabularies"][column]
            weights[table] = _move(weights[table], base_tokens, tokens, first)
            known.append(len(set(tokens) & set(base_tokens)) / max(1, len(tokens)))
    share = min(known, default=1.0)
    return weights, f"at least {share:.0%} of each vocabulary is known to the base model"


def _describe(layout: Layout, spec: TrainingSpec, target: Target) -> dict[str, Any]:
    return {
        "target": {"task": target.task, "classes": target.classes, "transform": target.transform},
        "layout": {**dataclasses.asdict(layout), "ids": dict(layout.ids), "bags": dict(layout.bags)},
        "architecture": {name: getattr(spec, name) for name in _ARCHITECTURE},
        "widths": Ensemble.widths(layout, spec),
    }


def _difference(base: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    """What keeps the weights from being used, empty if nothing does. Sizes of vocabularies may differ."""
    here = json.loads(json.dumps(present))
    parts = [key for key in _ARCHITECTURE if base["architecture"].get(key) != here["architecture"][key]]
    parts += [key for key in ("numeric", "cyclical", "numeric_buckets") if base["layout"][key] != here["layout"][key]]
    if base.get("target", _BINARY) != here["target"]:
        parts.append("what it predicts")
    if base["layout"].get("bags", {}) != here["layout"]["bags"]:
        parts.append("bags")
    if base["widths"] != here["widths"]:
        parts.append("features or the width of their embeddings")
    fixed = {name for name in here["layout"]["ids"] if name.removesuffix("_id_xf") not in base["vocabularies"]}
    if any(base["layout"]["ids"].get(name) != here["layout"]["ids"][name] for name in fixed):
        parts.append("numbers of buckets")
    return ", ".join(parts)


def _move(table: np.ndarray, base_tokens: Sequence[str], tokens: Sequence[str], first: int) -> np.ndarray:
    """(members, values, width) with the rows in the order of `tokens`; new tokens start as the unknown value.

    A bag's table keeps its size: rows without a token start so too.
    """
    place = {token: first + line for line, token in enumerate(base_tokens)}
    rows = [*range(first), *(place.get(token, first - 1) for token in tokens)]
    if first == _FIRST_OF_BAG:
        rows += [first - 1] * (table.shape[1] - len(rows))
    return table[:, rows]
