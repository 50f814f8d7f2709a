"""The tables of the docs, which the benchmarks remake, and what every benchmark records about its machine.

A page marks a table's place by its name: everything between `<!-- NAME -->` and `<!-- end of NAME -->` is replaced.
"""

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
RESULTS = REPOSITORY / "benchmarks" / "results"


def write_table(page: Path, name: str, text: str) -> None:
    """Puts a table between its markers in a page.

    Raises:
      ValueError: the page does not hold both markers, once each and in order.
    """
    content = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, _, rest = content.partition(begin)
    _, marker, tail = rest.partition(end)
    if not marker or begin in rest or end in head + tail:
        raise ValueError(f"{page} must hold {begin.strip()} and then {end}, once each.")
    page.write_text(f"{head}{begin}{text.rstrip()}\n{end}{tail}", encoding="utf-8")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, ["---"] * len(header), *rows))


def environment(*packages: str) -> dict[str, Any]:  # Any: JSON.
    """Returns what the figures depend on: the machine, the interpreter and the versions of `packages`."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "load_average": round(os.getloadavg()[0], 1),
    }
