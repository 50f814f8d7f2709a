"""The commands, called from Python: each in a process of its own, what it prints as JSON as values."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).resolve().parent.parent / "local_runner.py"
_OUTCOMES = (0, 3, 4)
"""Exit statuses of a run that came to its end: done, refused, not blessed. They are results, and no errors."""


class CommandError(Exception):
    """A command failed; the message is its own.

    Attributes:
      status: its exit status, docs/cli.md.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def option(name: str, value: object) -> list[str]:
    return [] if value is None else [f"{name}={value}"]


def call(words: Sequence[str], *, quiet: bool) -> Any:
    """Runs a command and returns the JSON that it prints; its progress goes to standard error.

    Raises:
      CommandError: it failed.
    """
    printed, said, status = _run(words, quiet=quiet)
    value = json.loads(printed) if printed.strip() else None
    if value is None or "error" in value or status not in _OUTCOMES:
        raise CommandError(value.get("error", said) if isinstance(value, dict) else said, status)
    return value


def call_lines(words: Sequence[str]) -> list[Any]:
    """Runs a command and returns the JSON of each line that it prints; those before a failure are no result.

    Raises:
      CommandError: it failed.
    """
    printed, said, status = _run(words, quiet=True)
    if status not in _OUTCOMES:
        raise CommandError(said, status)
    return [json.loads(line) for line in printed.splitlines()]


def _run(words: Sequence[str], *, quiet: bool) -> tuple[str, str, int]:
    """Returns what a command printed, its error in words, and its exit status."""
    said: list[str] = []
    with start(words) as process:
        assert process.stdout is not None, "it was asked for"
        reader = listen(process, said, quiet=quiet)
        try:
            printed = process.stdout.read()
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()  # The command ends between two steps; nothing is lost.
            process.wait()
            raise
        reader.join()
    return printed, error_in(said, status), status


def start(words: Sequence[str]) -> subprocess.Popen[str]:
    """Starts a command."""
    command = [sys.executable, str(RUNNER), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def error_in(said: Sequence[str], status: int) -> str:
    """Returns the error that a command said on standard error."""
    return "".join(said).strip().rpartition("error: ")[2] or f"it ended with status {status}"


def listen(process: subprocess.Popen[str], said: list[str], *, quiet: bool) -> threading.Thread:
    """Collects what a command says on standard error, and shows it unless `quiet`."""
    reader = threading.Thread(target=_listen, args=(process, said, quiet), daemon=True)
    reader.start()
    return reader


def _listen(process: subprocess.Popen[str], said: list[str], quiet: bool) -> None:
    assert process.stderr is not None, "it was asked for"
    for line in process.stderr:
        said.append(line)
        if not quiet:
            print(line, end="", file=sys.stderr, flush=True)
