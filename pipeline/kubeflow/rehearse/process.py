"""One task, one process: the file's command and arguments, in an environment as bare as a container's."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from pipeline import REPOSITORY

# What the image has as its working directory.
WORKING_DIRECTORY = REPOSITORY
_GRACE_S = 10.0


class Processes:
    """The processes at work; leaving ends those that are left, so that an interrupted rehearsal leaves none behind."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            left = list(self._running)
        for process in left:
            process.terminate()
        for process in left:
            try:
                process.wait(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def run(self, command: Sequence[str], environment: dict[str, str], log: Path) -> int:
        """Runs one command to its end and returns its exit status; its output is appended to `log`.

        `python` is this interpreter: the environment stands for the image's.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([os.path.dirname(sys.executable), os.defpath])
        with log.open("ab") as output:
            with self._lock:
                if self._closed:
                    return -1
                process = subprocess.Popen(
                    command,
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                    cwd=WORKING_DIRECTORY,
                    env={"PATH": path, "LANG": "C.UTF-8", **environment},
                )
                self._running.add(process)
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)


def last_line(log: Path) -> str:
    """Returns the last line that a failed command has printed, which is where Python puts the error."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:400] if lines else "it printed nothing"
