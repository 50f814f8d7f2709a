"""What a killed run leaves behind: kept where the next run can tell that it is a dead run's, and removed there.

The run's temporary files, its own as well as TensorFlow's and Beam's, are in one folder that it holds by a lock, and
the lock dies with it. A process id would not do: containers that share a folder for temporary files have the same ones.
"""

import contextlib
import fcntl
import glob
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.state.metadata_store import open_store
from pipeline.state.root import Root

_LOCK = "lock"


@contextlib.contextmanager
def temporary_files() -> Iterator[Path]:
    """Gives this process's temporary files a folder of their own, and removes it at the end with all that is in it.

    The folders of dead runs are removed first.

    Raises:
      PipelineError: the folder for all of them belongs to someone else.
    """
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    shared = Path(tempfile.gettempdir()) / f"driftgate-{os.getuid()}"
    shared.mkdir(mode=0o700, exist_ok=True)
    if shared.lstat().st_uid != os.getuid():
        raise PipelineError(f"{shared} belongs to another user. Remove it, or name another folder in TMPDIR.")
    with contextlib.ExitStack() as held:
        # Else a folder could be taken for a dead run's between being made and being held.
        with _held(shared / _LOCK):
            _remove_dead(shared)
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=shared))
            held.enter_context(_held(folder / _LOCK))
        try:
            tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
            yield folder
        finally:
            tempfile.tempdir = before
            if variable is None:
                os.environ.pop("TMPDIR", None)
            else:
                os.environ["TMPDIR"] = variable
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a lock file. Raises BlockingIOError where another process holds it and `wait` is not wanted."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def _remove_dead(shared: Path) -> None:
    for folder in shared.iterdir():
        if folder.is_dir():
            with contextlib.suppress(BlockingIOError, FileNotFoundError), _held(folder / _LOCK, wait=False):
                shutil.rmtree(folder, ignore_errors=True)


def end_executions(root: Root) -> list[int]:
    """Ends what dead runs left running in ML Metadata, removes its temporary folders, and returns its numbers.

    The caller holds the root's lock, so nothing is running.
    """
    running = _running(root.metadata)
    if not running:
        return []
    for number in running:
        for folder in glob.glob(f"{glob.escape(str(root.artifacts))}/*/.system/executor_execution/{number}/.temp"):
            shutil.rmtree(folder, ignore_errors=True)
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    store = open_store(root.metadata)
    executions = store.get_executions_by_id(running)
    for execution in executions:
        execution.last_known_state = mlmd.Execution.CANCELED
    store.put_executions(executions)
    return running


def _running(metadata: Path) -> list[int]:
    """Returns the executions in state RUNNING; ML Metadata's own way would read every execution there ever was."""
    if not metadata.exists():
        return []
    running = 2  # mlmd.Execution.RUNNING
    with contextlib.closing(sqlite3.connect(metadata)) as store, contextlib.suppress(sqlite3.OperationalError):
        rows = store.execute("SELECT id FROM Execution WHERE last_known_state = ? ORDER BY id", (running,))
        return [int(number) for (number,) in rows]
    return []  # A store without its tables.
