"""Whose runs a root holds: written by the first run, so that two datasets of one name never share a root."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.json_values import from_json_values
from pipeline.state.root import Root

FILE = "dataset.json"


@dataclass(frozen=True)
class Owner:
    """The dataset of a root.

    Attributes:
      name: the dataset's.
      path: its file; relative to the root where the root lies in the dataset's folder, so that both can move together.
    """

    name: str
    path: str


def read(root: Root) -> Owner | None:
    """Returns whose root it is; None where no run has said so, as of roots of earlier releases.

    Raises:
      ConfigError: the file is damaged.
    """
    path = root.path / FILE
    try:
        return from_json_values(Owner, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}). Remove it; the next run writes it again.") from error


def file_of(root: Root, owner: Owner) -> Path | None:
    """Returns the owner's dataset file; None where it is not there any more."""
    path = (root.path / owner.path).resolve()
    return path if path.is_file() else None


def claim(root: Root, name: str, dataset: Path) -> None:
    """Records that the root is the dataset's. The caller has checked that it is nobody else's.

    Raises:
      OSError: the root cannot be written.
    """
    path, home = dataset.resolve(), root.path.resolve()
    inside = home.is_relative_to(path.parent)
    owner = Owner(name, os.path.relpath(path, home) if inside else str(path))
    if read(root) != owner:
        files.write(str(root.path), FILE, (json.dumps(asdict(owner), sort_keys=True) + "\n").encode())
