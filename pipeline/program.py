"""What a person types to run this program: in a checkout a runner, where it is installed the command `driftgate`."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final, Literal

from pipeline import REPOSITORY

Runner = Literal["local_runner.py", "kubeflow_runner.py"]

INSTALLED: Final = "driftgate"
"""The command that the wheel brings."""

CHECKOUT: Final = (REPOSITORY / "setup.py").is_file()
"""Whether these packages lie in a checkout; an installation has no setup.py beside them."""


def name(runner: Runner = "local_runner.py") -> str:
    """Returns the program as help texts call it, the same wherever it is called from."""
    return INSTALLED if _is_installed_command() else f"python {runner}"


def words(runner: Runner = "local_runner.py") -> list[str]:
    """Returns what to type here and now, from this folder and with this PATH, to run this very program again."""
    if _is_installed_command():
        command = (
            Path(sys.argv[0]) if Path(sys.argv[0]).name == INSTALLED else Path(sys.executable).with_name(INSTALLED)
        )
        return [_typed(command, INSTALLED)]
    script = REPOSITORY / runner
    return [_typed(Path(sys.executable), "python"), runner if Path.cwd() == REPOSITORY else str(script)]


def line(command: str, *options: str, runner: Runner = "local_runner.py") -> str:
    """Returns a whole command, quoted for a shell."""
    return shlex.join([*words(runner), command, *options])


def install(extra: str) -> str:
    """Returns the command that adds an extra of setup.py."""
    distribution = "." if CHECKOUT else INSTALLED
    return f"pip install '{distribution}[{extra}]'"


def _is_installed_command() -> bool:
    """Returns whether the command `driftgate` was called, which an editable installation has too."""
    return not CHECKOUT or Path(sys.argv[0]).name == INSTALLED


def _typed(executable: Path, short: str) -> str:
    """Returns the executable's plain name where the PATH leads to it, else its path, from this folder if below it."""
    found = shutil.which(short)
    if found is not None and os.path.abspath(found) == os.path.abspath(executable):
        return short
    path = Path(os.path.abspath(executable))
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
