"""The folder that a local pipeline lives in, and the lock that keeps two runs apart."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError, PipelineError, RootBusyError

# TensorFlow's own list, in GetMatchingPaths of core/platform/file_system_helper.cc.
_WILDCARDS = re.compile(r"[*?\[\\]")


@dataclass(frozen=True)
class Root:
    """Where everything of one dataset's local pipeline is, below `path`.

    metadata.sqlite   ML Metadata: executions, artifacts, lineage
    artifacts/        what components write
    serving/NAME/N/   pushed versions, whole ones only
    state/            one record per span, as the gate left it
    decisions.jsonl   every decision, one line each
    runs.jsonl        every run, one line each: how it ended, and how long each component took
    running.json      the run at work; left by one that was killed, for the next to record
    monitoring/       served requests, what was found in them, and how far the request log has been read
    rollbacks.jsonl   every rollback, one line each
    data/             spans of a dataset's own source: written by its module, or pulled
    pulls.jsonl       every span that was pulled, one line each
    logs/             one file per run: all that TensorFlow, Beam and TFX say
    reports/          one page per run
    trash/            what retention is just removing
    """

    path: Path

    @property
    def metadata(self) -> Path:
        return self.path / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.jsonl"

    @property
    def monitoring(self) -> Path:
        return self.path / "monitoring"

    @property
    def rollbacks(self) -> Path:
        return self.path / "rollbacks.jsonl"

    @property
    def pulls(self) -> Path:
        return self.path / "pulls.jsonl"

    @property
    def runs(self) -> Path:
        return self.path / "runs.jsonl"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def trash(self) -> Path:
        return self.path / "trash"

    def serving(self, model_name: str) -> Path:
        return self.path / "serving" / model_name

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
          ConfigError: TensorFlow could not read a model from a folder of such a name.
          PipelineError: the root cannot be written.
        """
        if _WILDCARDS.search(str(self.path)):
            raise ConfigError(
                "--root: the path may not hold any of * ? [ and backslash: TensorFlow reads them as wildcards. "
                f"Received: {self.path}. Name another folder; the data may stay in one of such a name."
            )
        try:
            for folder in (self.path, self.artifacts, self.state, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".write-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise PipelineError(
                f"The root {self.path} cannot be written: {error.strerror}. "
                "Make room there, make it writable, or name another with --root."
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the root for this process; the lock dies with it, so a killed run leaves none behind.

        Raises:
          RootBusyError: another process holds it; names its process id.
        """
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                raise RootBusyError(
                    f"Another run (process {holder}) is at work on {self.path}. Wait for it, or name another --root."
                ) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield
