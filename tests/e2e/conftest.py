"""Runs of the real command line, on roots that tests share where they only read."""

import dataclasses
import fcntl
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TIMEOUT_S = 420


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def command(*args: object) -> list[str]:
    return [sys.executable, str(REPOSITORY / "local_runner.py"), *map(str, args)]


def run(*args: object) -> Done:
    """Runs `local_runner.py` as a user would."""
    done = subprocess.run(
        command(*args), capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=REPOSITORY
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def pushed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, Done]:
    """A root on which the fifth taxi span has been pushed, and what that run printed as JSON. Read only.

    The first worker that needs it makes it for all: a training costs more than anything else in the tests.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "pushed"
    folder.mkdir(exist_ok=True)
    root, printed = folder / "root", folder / "done.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            done = run("run", "--span", 5, "--root", root, "--json")
            assert done.status == 0, done.err
            printed.write_text(json.dumps(dataclasses.asdict(done)), encoding="utf-8")
    return root, Done(**json.loads(printed.read_text(encoding="utf-8")))


@pytest.fixture
def root(pushed: tuple[Path, Done], tmp_path: Path) -> Path:
    """A copy of the pushed root for a test of its own.

    ML Metadata holds absolute paths; so the copy's records are remade by the runs on it, and nothing of the original
    is written to.
    """
    copy = tmp_path / "root"
    shutil.copytree(pushed[0], copy, ignore=shutil.ignore_patterns("metadata.sqlite*", "artifacts"))
    return copy
