"""Writes docs/config.md and the JSON schema for editors: every key of dataset.toml, from the dataclasses that read it.

python -m docs.config
"""

import dataclasses
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import settings
from pipeline.config import json_schema
from pipeline.config.dataset import REQUIRED_TABLES, TABLES

PAGE = Path(__file__).with_name("config.md")
_HEAD = """# Every key of dataset.toml

Made by `make docs` from the dataclasses that read the file (`TABLES` in pipeline/config/dataset.py). A wrong key, type
or value ends a command with status 2 and one line that names the file, the key and what is allowed. `[a, b]` includes
its limits, `(a, b)` does not.

The same as a JSON schema, for completion in an editor: [dataset.schema.json](../pipeline/config/dataset.schema.json).
`init` puts a copy into the folder that it writes and names it in its first line, `#:schema ./dataset.schema.json`,
which editors with Taplo read (in Visual Studio Code the extension Even Better TOML).
"""


def page() -> str:
    """Returns the whole page."""
    parts = [_HEAD]
    for table, classes in TABLES.items():
        title = f"`[{table}]`" if table else "Above all tables"
        needed = " (required)" if table in REQUIRED_TABLES else ""
        parts.append(f"\n## {title}{needed}\n\n| key | allowed | unit | default | meaning |\n|---|---|---|---|---|\n")
        for cls in classes:
            meanings = json_schema.meanings(cls)
            defaults = {field.name: _default(field) for field in dataclasses.fields(cls)}
            for name, hint in settings.hints(cls).items():
                cells = (f"`{name}`", settings.describe(hint), _unit(hint), defaults[name], meanings[name])
                parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(parts)


def _default(field: "dataclasses.Field[Any]") -> str:
    """Returns a default as TOML writes it."""
    if field.default_factory is not dataclasses.MISSING:
        return "`{}`"
    if field.default is dataclasses.MISSING:
        return "none: required"
    return "none" if field.default is None else f"`{_toml(field.default)}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, int) and value >= 10_000:
        return f"{value:_}"
    return "inf" if value == math.inf else str(value)


def _unit(hint: Any) -> str:  # Any: typing's own forms have no common type.
    for part in _parts(hint):
        if isinstance(part, settings.Range):
            return part.unit
    return ""


def _parts(hint: Any) -> list[Any]:
    inner = typing.get_args(hint) if not isinstance(hint, Mapping) else ()
    return [hint, *(part for arg in inner for part in _parts(arg))]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    json_schema.FILE.write_text(json_schema.text(), encoding="utf-8")
