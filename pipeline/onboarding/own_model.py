"""A model of the owner's own to begin with: model.py beside dataset.toml, and the line that names it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from models.model_spec import ModelSpec
from models.own import source
from pipeline import files
from pipeline.errors import ConfigError

FILE = "model.py"
_EXAMPLE = Path(source.__file__).with_name("example.py")
_TABLE = re.compile(r"^\[model\][^\n]*\n", re.MULTILINE)
_LINE = f'module = "{FILE}"\n'


def example() -> str:
    """Returns the module that trains at once, with what else it may define in comments."""
    return _EXAMPLE.read_text(encoding="utf-8")


def naming_it(dataset_toml: str) -> str:
    """Returns the text of a dataset file with `[model] module`."""
    if match := _TABLE.search(dataset_toml):
        return dataset_toml[: match.end()] + _LINE + dataset_toml[match.end() :]
    return f"{dataset_toml.rstrip()}\n\n[model]\n{_LINE}"


def add(dataset: Path, model: ModelSpec) -> bool:
    """Names model.py in a dataset file, and writes it where there is none yet; returns whether it was written.

    Raises:
      ConfigError: the file names a module already, or cannot be edited line by line.
    """
    if model.module:
        raise ConfigError(f"{dataset} [model]: module is {model.module!r} already. Edit that file.")
    text = naming_it(dataset.read_text(encoding="utf-8"))
    try:
        named = tomllib.loads(text)["model"]["module"] == FILE
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        named = False
    if not named:
        raise ConfigError(f'{dataset}: write it yourself: [model] module = "{FILE}".')
    is_new = not (dataset.parent / FILE).exists()
    if is_new:
        files.write(str(dataset.parent), FILE, example().encode())
    files.write(str(dataset.parent), dataset.name, text.encode())
    return is_new
