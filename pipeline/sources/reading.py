"""What every kind of source is given, and which function reads each kind."""

from __future__ import annotations

import importlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import program
from pipeline.errors import ConfigError, PipelineError
from pipeline.sources.config import Kind, Source
from pipeline.sources.periods import Period
from pipeline.sources.plain import SchemaType
from pipeline.sources.secrets import Secrets

READERS: dict[Kind, str] = {
    "sql": "pipeline.sources.sql",
    "http": "pipeline.sources.web",
    "files": "pipeline.sources.tables",
}
"""Module of each kind that is pulled, imported when used: `read(settings, period, context)` yields a span's rows."""


@dataclass(frozen=True)
class Context:
    """What a reader is given besides its settings.

    Attributes:
      where: how messages name the table `[source]`.
      folder: of dataset.toml; relative paths are below it.
      types: of the dataset's schema, by column, for sources whose own types are weak; empty where there is none yet.
    """

    where: str
    folder: Path
    secrets: Secrets
    types: Mapping[str, SchemaType] = field(default_factory=dict)

    def require(self, module: str, extra: str, package: str = "") -> Any:  # Any: the module.
        """Returns a module of an extra, or of a package that no extra has.

        Raises:
          ConfigError: it is not installed.
        """
        try:
            return importlib.import_module(module)
        except ImportError as error:
            needed = f"the package {package}" if package else f"the extra [{extra}]"
            command = f"pip install {package}" if package else program.install(extra)
            raise ConfigError(
                f"{self.where}: this needs {needed}; the module {error.name or module!r} is not installed. "
                f"Install it: {command}."
            ) from error


def read(source: Source, period: Period, context: Context) -> Generator[pa.RecordBatch, None, None]:
    """Yields the rows of one span, in whatever types the source has. No error that it raises repeats a secret."""
    reader = importlib.import_module(READERS[source.config.kind])
    try:
        yield from reader.read(source.settings, period, context)
    except PipelineError as error:
        text = context.secrets.redact(str(error))
        if text == str(error):
            raise
        raise type(error)(text) from None
