"""Spans that Python writes: `[source] module`, as the shipped datasets have it."""

import importlib
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.sources.config import ModuleConfig, Source


def write_spans(source: Source, folder: Path) -> None:
    """Writes all spans of a module into `folder`; those that are there stay.

    Raises:
      ConfigError: the module cannot be imported, or has no function `write_spans`.
    """
    assert isinstance(source.settings, ModuleConfig), "the caller asks only for a source of this kind"
    where = f"{source.where}: module: {source.settings.module!r}"
    try:
        module = importlib.import_module(source.settings.module)
    except Exception as error:
        cause = " ".join(str(error).split())
        raise ConfigError(f"{where} cannot be imported: {type(error).__name__}: {cause}.") from error
    function = getattr(module, "write_spans", None)
    if not callable(function):
        raise ConfigError(f"{where} has no function write_spans(data_root), which writes the spans.")
    function(folder)
