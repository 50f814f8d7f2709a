"""Rows with every kind of value that a request may hold: what two graphs must answer alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ROWS = 4096
_CHANGED = 0.3
"""Share of the cells that take an odd value."""
_SEED = 20_261_129
_LIMITS = np.finfo(np.float32)
_FLOATS = (
    *(np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1e30, -1e30, _LIMITS.max, _LIMITS.min),
    *(_LIMITS.tiny, -_LIMITS.tiny, 1e-45, 2.0**24, 2.0**24 + 2, 2.0**31, -(2.0**31), 2.0**53, 2.0**63, -(2.0**63)),
    *(2.0**63 - 2.0**39, 2.0**64, 23.999998, 24.0, -23.5, 1e6),
)
_INTEGERS = (-1, 0, 1, 2, -2, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))
_TEXTS = (
    b"",
    b" ",
    b"\0",
    b"-1",
    b"nan",
    b"unknown to the training data",
    b"x" * 500,
    "東京 🚕".encode(),
    b"\xff\xfe",
    b"a\nb",
)


def extreme_rows(arrays: Mapping[str, np.ndarray], boundaries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mixes rows with odd values: missing, infinite, empty, unknown, extreme, and those at and beside a boundary.

    Args:
      arrays: some rows as a serving signature takes them.
      boundaries: float32, by column, where there are any.

    Returns:
      4,096 rows, the same ones for the same arguments; values of different rows stand beside each other.
    """
    random = np.random.default_rng(_SEED)
    mixed = {}
    for name, values in arrays.items():
        odd = _odd(values.dtype, boundaries.get(name))
        usual = random.choice(values, ROWS) if len(values) else random.choice(odd, ROWS)
        mixed[name] = np.where(random.random(ROWS) < _CHANGED, random.choice(odd, ROWS), usual)
    return mixed


def _odd(dtype: np.dtype, boundaries: np.ndarray | None) -> np.ndarray:
    if dtype == np.int64:
        return np.array(_INTEGERS, np.int64)
    if dtype != np.float32:
        return np.array(_TEXTS, object)
    odd = np.array(_FLOATS, np.float32)
    if boundaries is None:
        return odd
    beside = [np.nextafter(boundaries, np.float32(end)) for end in (-np.inf, np.inf)]
    # The odd ones as often as the boundaries, however many those are.
    near = np.concatenate([boundaries, *beside])
    return np.concatenate([np.resize(odd, max(len(near), len(odd))), near])
