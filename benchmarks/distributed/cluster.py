"""What clusters of Java processes on loopback have in common: fetching their jars, starting them, ending them.

Jars come from Maven Central by the coordinates of a pom.xml; Java 11 or 17 and Maven must be installed. Everything
listens on 127.0.0.1 and ends with this process; logs are in the cluster's folder.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# Beam's job servers send each jar of their class path along with each job: of Flink's, 163 jars, eleven seconds. They
# leave out what has "gradle/wrapper" in its path (PipelineResources), and every process here has the jars already.
CACHE = Path.home() / ".cache" / "driftgate" / "gradle" / "wrapper"
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
# Flink and Spark take their serializers apart by reflection, which Java 17 forbids unless told.
OPENED = ("java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect", "java.base/java.io",
          "java.base/java.math", "java.base/java.net", "java.base/java.nio", "java.base/java.text",
          "java.base/java.time", "java.base/java.util", "java.base/java.util.concurrent",
          "java.base/java.util.concurrent.atomic", "java.base/sun.nio.ch", "java.base/sun.nio.cs",
          "java.base/sun.security.action", "java.base/sun.util.calendar")  # fmt: skip
JAVA_OPTIONS = tuple(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED)
_SPACE = {"m": "http://maven.apache.org/POM/4.0.0"}


class ClusterError(Exception):
    """The cluster cannot be fetched or started; the message says what to do."""


def coordinates(pom: Path) -> list[tuple[str, str, str]]:
    """Returns group, artifact and version of what a pom asks for."""
    return [
        tuple(dependency.findtext(f"m:{part}", "", _SPACE) for part in ("groupId", "artifactId", "version"))
        for dependency in ElementTree.parse(pom).iterfind("m:dependencies/m:dependency", _SPACE)
    ]  # type: ignore[misc]


def fetch(pom: Path, folder: Path) -> Path:
    """Returns the folder of the jars, fetched with Maven where it does not hold them for this pom yet.

    Raises:
      ClusterError: no Maven, or it could not resolve the coordinates.
    """
    done = folder / "pom.xml"
    if done.exists() and done.read_bytes() == pom.read_bytes():
        return folder
    if shutil.which("mvn") is None:
        raise ClusterError("Maven is needed to fetch the jars. Install it (Debian: apt-get install maven).")
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "-q", "-B", f"{MAVEN_PLUGIN}:copy-dependencies", f"-DoutputDirectory={folder}"]
    result = subprocess.run(
        [*command, "-DincludeScope=runtime", "-f", str(pom)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ClusterError(f"Maven could not fetch the jars:\n{(result.stdout + result.stderr)[-1500:]}")
    shutil.copy(pom, done)
    return folder


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Returns whether something listens on the port; raises OSError where nothing does."""
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


def write_worker(folder: Path) -> Path:
    """Writes the command of a PROCESS environment: Beam's Python worker in this environment."""
    worker = folder / "worker"
    worker.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m pipeline.environment.beam_worker "$@"\n', encoding="utf-8"
    )
    worker.chmod(0o755)
    return worker


def beam_args(job_port: int, worker: Path) -> tuple[str, ...]:
    """Returns what the pipeline must be told to run on a job server whose workers are that command."""
    return (
        f"--job_endpoint=127.0.0.1:{job_port}",
        "--environment_type=PROCESS",
        f"--environment_option=process_command={worker}",
        # Without it a worker ends with each stage, and the next one imports TensorFlow anew.
        "--environment_cache_millis=60000",
    )


def job_server_arguments(job_port: int, folder: Path) -> tuple[str, ...]:
    """Returns what every one of Beam's job servers is told."""
    ports = (f"--job-port={job_port}", "--artifact-port=0", "--expansion-port=0", "--job-host=127.0.0.1")
    return (*ports, f"--artifacts-dir={folder / 'staged'}")


class Processes:
    """The cluster's processes by name; each leads a group of its own, so that its children end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name: dict[str, subprocess.Popen[bytes]] = {}

    def java(
        self, name: str, options: Sequence[str], classpath: str, main: str, *arguments: str, **variables: str
    ) -> None:
        """Starts a Java process; its log is NAME.log."""
        # Out of memory, Flink's tasks would wait for ever; a process that is gone is a loss that it deals with.
        always = ("-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", *JAVA_OPTIONS)
        command = ["java", *always, *options, "-cp", classpath, main, *arguments]
        # Workers inherit it and import our packages from the repository.
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "2", **variables}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.by_name[name] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=REPOSITORY, env=environment, start_new_session=True
            )

    def wait_for(self, what: str, condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
        """Returns when the condition holds; one that raises OSError does not hold yet.

        Raises:
          ClusterError: a process ended, or time was up; names the log.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for name, process in self.by_name.items():
                if process.poll() is not None:
                    log = self.folder / f"{name}.log"
                    said = log.read_text(errors="replace")[-1500:]
                    raise ClusterError(f"The {name} ended at once:\n{said}\nThe log: {log}")
            with contextlib.suppress(urllib.error.URLError, OSError):
                if condition():
                    return
            time.sleep(0.2)
        raise ClusterError(f"The cluster did not get {what} within {timeout_s:.0f} s. Its logs: {self.folder}")

    def kill(self, name: str) -> None:
        """Kills a process and its children without a word (SIGKILL)."""
        os.killpg(self.by_name[name].pid, signal.SIGKILL)
        self.by_name[name].wait()

    def end(self) -> None:
        """Ends all of them, the last one first."""
        for process in reversed(self.by_name.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.by_name.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def end_on_sigterm() -> None:
    """Lets SIGTERM end this process as Ctrl-C does, so that no process of the cluster outlives it."""

    def ended(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is Python's.
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)


class Running(Protocol):
    """A cluster, as its command shows it."""

    @property
    def beam_args(self) -> tuple[str, ...]:
        """What the pipeline must be told to run here."""

    @property
    def address(self) -> str:
        """Where its web page is."""


def serve(
    argv: Sequence[str] | None,
    runner: str,
    running: Callable[[Path], contextlib.AbstractContextManager[Running]],
    description: str,
) -> int:
    """Starts a cluster, prints the pipeline's options, and waits for Ctrl-C."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, help="for logs and temporary files (default: a new one below /tmp)")
    args = parser.parse_args(argv)
    folder = (args.folder or Path(tempfile.mkdtemp(prefix=f"{runner}-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    end_on_sigterm()
    try:
        with running(folder) as cluster:
            given = " ".join(f"--beam-arg={arg}" for arg in cluster.beam_args)
            print(f"{runner} answers at {cluster.address}; logs in {folder}\nAdd to the pipeline's command:\n"
                  f"  --engine beam --runner {runner} {given}", flush=True)  # fmt: skip
            signal.pause()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


@contextlib.contextmanager
def ended(processes: Processes) -> Iterator[None]:
    """Ends the processes with the block."""
    try:
        yield
    finally:
        processes.end()
