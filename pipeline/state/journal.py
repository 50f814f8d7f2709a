"""Journals of a root: one JSON object a line, appended and read in one place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append_line(path: Path, value: Mapping[str, Any]) -> None:  # Any: JSON.
    """Appends one JSON line; a line that an earlier crash cut short is ended first, so that it spoils no other."""
    text = json.dumps(value, sort_keys=True) + "\n"
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                text = "\n" + text
        file.write(text.encode())
        file.flush()
