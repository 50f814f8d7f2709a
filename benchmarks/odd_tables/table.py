"""A table with the role of every column by hand, and how tables are made."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Columns = dict[str, Sequence[Any]]  # Any: cells as they are written.
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, kw_only=True)
class OddTable:
    """One table.

    Attributes:
      file: its name; a folder's ends with a slash.
      write: makes it at a path.
      options: of `init`, beside the file.
      roles: by column; what a person who knows the table says.
    """

    name: str
    file: str
    write: Callable[[Path], None]
    options: tuple[str, ...]
    roles: Mapping[str, str]


def csv_text(columns: Columns, separator: str = ",", ends: str = "\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=ends)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def writes(text: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(text.encode(encoding)), None)[1]


def roles_of(**groups: str | Sequence[str]) -> dict[str, str]:
    """Turns role to columns into column to role; `multi_valued` stands for `multi-valued`."""
    listed = {role: [names] if isinstance(names, str) else names for role, names in groups.items()}
    return {name: role.replace("_", "-") for role, names in listed.items() for name in names}


def draw_yes(rng: np.random.Generator, score: np.ndarray, share: float) -> np.ndarray:
    """Draws labels whose chance rises with `score`; about `share` of them are true."""
    z = (score - score.mean()) / (score.std() or 1.0)
    offset = np.log(share / (1 - share))
    return np.asarray(rng.random(len(z)) < 1 / (1 + np.exp(-(offset + 1.6 * z))))


def as_words(flags: np.ndarray, yes: str, no: str) -> list[str]:
    return [yes if flag else no for flag in flags]


def with_gaps(rng: np.random.Generator, values: Sequence[Any], share: float, word: str = "") -> list[Any]:
    return [word if drawn < share else value for value, drawn in zip(values, rng.random(len(values)), strict=True)]


def random_days(rng: np.random.Generator, first: str, days: int, rows: int) -> np.ndarray:
    return np.sort(np.datetime64(first) + rng.integers(0, days, rows) * _DAY)


def german(number: float) -> str:
    return f"{number:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")
