"""Finds what writes a shipped dataset's spans: `[spans] source` of its dataset.toml."""

import importlib
from pathlib import Path

from pipeline.config.dataset import Dataset
from pipeline.errors import ConfigError


def write_spans(dataset: Dataset, folder: Path) -> None:
    """Writes the spans that `[spans] source` makes into `folder`; those that are there stay.

    Raises:
      ConfigError: the module cannot be imported, or has no function `write_spans`.
    """
    where = f"{dataset.path} [spans]: source: {dataset.spans.source!r}"
    assert dataset.spans.source is not None, "the caller asks only where a source is named"
    try:
        module = importlib.import_module(dataset.spans.source)
    except Exception as error:
        cause = " ".join(str(error).split())
        raise ConfigError(f"{where} cannot be imported: {type(error).__name__}: {cause}.") from error
    function = getattr(module, "write_spans", None)
    if not callable(function):
        raise ConfigError(f"{where} has no function write_spans(data_root), which writes the spans.")
    function(folder)
