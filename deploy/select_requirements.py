"""Prints the lock's pins of what setup.py asks for: the core, and the extras named on the command line.

    python3 deploy/select_requirements.py vertex flights > selected.txt

The hashes, and the pins of what these need in turn, stay in requirements.lock, which the installer takes as
constraints. setup.py is read, not run, and the standard library is enough.
"""

import ast
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[A-Za-z0-9._-]+")


def select(setup: str, lock: str, extras: list[str]) -> list[str]:
    """Returns the lock's lines `name==version ; marker`, without hashes, in setup.py's order.

    Raises:
      SystemExit: an extra that setup.py does not have, or a requirement that the lock does not have.
    """
    constants = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(setup).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("CORE", "SERVING", "EXTRAS")
    }
    known = constants["EXTRAS"]
    if unknown := sorted(set(extras) - known.keys()):
        raise SystemExit(f"error: setup.py has no extra {', '.join(unknown)}. It has: {', '.join(sorted(known))}.")
    wanted = [*constants["CORE"], *constants["SERVING"], *(one for extra in extras for one in known[extra])]
    pins: dict[str, list[str]] = {}
    for line in lock.splitlines():
        if found := re.match(r"([a-z0-9._-]+)==[^\\]*", line):
            pins.setdefault(found[1], []).append(found[0].strip())
    names = [re.sub(r"[-_.]+", "-", NAME.match(one)[0]).lower() for one in wanted]  # type: ignore[index]
    if missing := [name for name in names if name not in pins]:
        raise SystemExit(f"error: requirements.lock has no {', '.join(missing)}. Remake it with `make lock`.")
    return [pin for name in dict.fromkeys(names) for pin in pins[name]]


if __name__ == "__main__":
    texts = [(REPOSITORY / name).read_text(encoding="utf-8") for name in ("setup.py", "requirements.lock")]
    print("\n".join(select(*texts, sys.argv[1:])))
