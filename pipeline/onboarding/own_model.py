"""A model of the owner's own to begin with: model.py beside dataset.toml, and the line that names it."""

from __future__ import annotations

from pathlib import Path

from models.model_spec import ModelSpec
from models.own import source
from pipeline import files
from pipeline.config import toml_edit
from pipeline.errors import ConfigError

FILE = "model.py"
_NAMING = {"module": FILE}
_EXAMPLE = Path(source.__file__).with_name("example.py")


def example() -> str:
    """Returns the module that trains at once, with what else it may define in comments."""
    return _EXAMPLE.read_text(encoding="utf-8")


def naming_it(dataset_toml: str) -> str:
    """Returns the text of a dataset file with `[model] module`.

    Raises:
      ConfigError: the file writes the table in a form that is not edited.
    """
    return toml_edit.with_values(dataset_toml, "model", _NAMING)


def add(dataset: Path, model: ModelSpec) -> bool:
    """Names model.py in a dataset file, and writes it where there is none yet; returns whether it was written.

    Raises:
      ConfigError: the file names a module already, or cannot be edited line by line.
    """
    if model.module:
        raise ConfigError(f"{dataset} [model]: module is {model.module!r} already. Edit that file.")
    _, text = toml_edit.in_file(dataset, "model", _NAMING)
    is_new = not (dataset.parent / FILE).exists()
    if is_new:
        files.write(str(dataset.parent), FILE, example().encode())
    files.write(str(dataset.parent), dataset.name, text.encode())
    return is_new
