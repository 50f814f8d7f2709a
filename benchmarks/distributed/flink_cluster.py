"""A Flink cluster on loopback: a job manager, two task managers and Beam's job server, each a process of its own.

    python -m benchmarks.distributed.flink_cluster          # fetch, start, print the options, wait for Ctrl-C

Flink and Beam's Flink runner come from Maven Central by the coordinates in pom.xml; Java 11 or 17 and Maven must be
installed. Each task manager starts its own Python worker (pipeline/beam_worker.py) in this environment: nothing is to
be installed there. Everything listens on 127.0.0.1 and ends with this process; logs are in the given folder.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parent.parent.parent
POM = Path(__file__).with_name("pom.xml")
# Beam's job server sends each jar of its class path along with each job: 163 jars, eleven seconds. It leaves out what
# has "gradle/wrapper" in its path (PipelineResources), and every process here has the jars already.
CACHE = Path.home() / ".cache" / "driftgate" / "flink" / "gradle" / "wrapper"
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
TASK_MANAGERS = 2
WORKER = "worker"
HEAP_MB = {JOB_MANAGER: 512, TASK_MANAGER: 768, JOB_SERVER: 512}
NETWORK_MB = 512
# Network buffers, Flink's own 64 MB, and what Beam's gRPC to its worker takes; Java's default is the heap's size.
DIRECT_MB = NETWORK_MB + 256
# Flink takes its serializers apart by reflection, which Java 17 forbids unless told.
OPENED = ("java.base/java.lang", "java.base/java.util", "java.base/java.util.concurrent", "java.base/java.net",
          "java.base/java.io", "java.base/java.nio", "java.base/java.time", "java.base/sun.nio.ch",
          "java.base/java.lang.reflect", "java.base/java.text", "java.base/java.math")  # fmt: skip


class ClusterError(Exception):
    """The cluster cannot be fetched or started; the message says what to do."""


def coordinates() -> list[tuple[str, str, str]]:
    """Returns group, artifact and version of what pom.xml asks for."""
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    return [
        tuple(dependency.findtext(f"m:{part}", "", space) for part in ("groupId", "artifactId", "version"))
        for dependency in ElementTree.parse(POM).iterfind("m:dependencies/m:dependency", space)
    ]  # type: ignore[misc]


def fetch(folder: Path = CACHE) -> Path:
    """Returns the folder of the jars, fetched with Maven where `folder` does not hold them for this pom.xml yet.

    Raises:
      ClusterError: no Maven, or it could not resolve the coordinates.
    """
    done = folder / "pom.xml"
    if done.exists() and done.read_bytes() == POM.read_bytes():
        return folder
    if shutil.which("mvn") is None:
        raise ClusterError("Maven is needed to fetch Flink. Install it (Debian: apt-get install maven).")
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "-q", "-B", f"{MAVEN_PLUGIN}:copy-dependencies", f"-DoutputDirectory={folder}"]
    result = subprocess.run(
        [*command, "-DincludeScope=runtime", "-f", str(POM)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ClusterError(f"Maven could not fetch the jars:\n{(result.stdout + result.stderr)[-1500:]}")
    shutil.copy(POM, done)
    return folder


def configuration(rest_port: int, rpc_port: int, folder: Path) -> dict[str, str]:
    """Returns Flink's settings; memory is given part by part, because no start script works it out here."""
    return {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": str(rpc_port),
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": str(rest_port),
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        # One slot each is used; the other is for the work of a lost task manager.
        "taskmanager.numberOfTaskSlots": "2",
        "taskmanager.load-balance.mode": "SLOTS",
        "taskmanager.cpu.cores": "1",
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.task.heap.size": f"{HEAP_MB[TASK_MANAGER] - 128}m",
        "taskmanager.memory.framework.off-heap.size": "64m",
        "taskmanager.memory.task.off-heap.size": "192m",
        "taskmanager.memory.managed.size": "256m",
        # Enough for all tasks of a job on one task manager: with 192 MB and 64 buffers, Transform's did not fit there.
        "taskmanager.memory.network.min": f"{NETWORK_MB}m",
        "taskmanager.memory.network.max": f"{NETWORK_MB}m",
        # 512 buffers per result by default; Transform's and TFMA's graphs have dozens of results in one slot.
        "taskmanager.network.sort-shuffle.min-buffers": "32",
        "taskmanager.memory.jvm-metaspace.size": "192m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        # A lost task manager is noticed after 12 s; until then its tasks are tried there again and again. Attempts must
        # outlast that: three, one second apart, were used up before.
        "heartbeat.interval": "2000",
        "heartbeat.timeout": "12000",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": "30",
        "jobmanager.execution.failover-strategy": "region",
        # Beam is on every process's class path; a second copy from the job would be another class of the same name.
        "classloader.resolve-order": "parent-first",
        "classloader.check-leaked-classloader": "false",
        "io.tmp.dirs": str(folder / "tmp"),
        "parallelism.default": str(TASK_MANAGERS),
    }


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
      flink_version: such as 1.19.0, as the job manager answers it.
      task_managers: their processes; one may be killed.
    """

    folder: Path
    rest_port: int
    job_port: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def beam_args(self) -> tuple[str, ...]:
        """What the pipeline must be told to run here."""
        return (
            f"--job_endpoint=127.0.0.1:{self.job_port}",
            "--environment_type=PROCESS",
            f"--environment_option=process_command={self.folder / WORKER}",
            # Without it a worker ends with each stage, and the next one imports TensorFlow anew.
            "--environment_cache_millis=60000",
            f"--parallelism={TASK_MANAGERS}",
        )

    def rest(self, path: str) -> Any:  # Any: JSON.
        """Returns what Flink's REST interface answers to a GET."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}{path}", timeout=10) as answer:
            return json.load(answer)

    def jobs(self) -> list[dict[str, Any]]:  # Any: JSON.
        """Returns Flink's overview of all jobs, oldest first."""
        jobs: list[dict[str, Any]] = self.rest("/jobs/overview")["jobs"]
        return sorted(jobs, key=lambda job: int(job["start-time"]))

    def kill_task_manager(self, name: str) -> None:
        """Kills a task manager's process without a word (SIGKILL)."""
        self.processes[name].kill()
        self.processes[name].wait()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Starts a cluster, yields it when both task managers have registered, and ends every process.

    Raises:
      ClusterError: a process ended or did not answer; names its log.
    """
    classpath = f"{fetch()}/*"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    worker = folder / WORKER
    worker.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline.beam_worker "$@"\n', encoding="utf-8")
    worker.chmod(0o755)
    cluster = Cluster(folder, free_port(), free_port())
    settings = configuration(cluster.rest_port, free_port(), folder)
    lines = [f"{key}: {value}" for key, value in settings.items()]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        _start_java(cluster, "job-manager", classpath, JOB_MANAGER, "--configDir", str(folder))
        for number in range(1, TASK_MANAGERS + 1):
            _start_java(cluster, f"task-manager-{number}", classpath, TASK_MANAGER, "--configDir", str(folder))
        _await(cluster, "its task managers", lambda: cluster.rest("/overview")["taskmanagers"] == TASK_MANAGERS)
        master = f"--flink-master=127.0.0.1:{cluster.rest_port}"
        ports = (f"--job-port={cluster.job_port}", "--artifact-port=0", "--expansion-port=0", "--job-host=127.0.0.1")
        _start_java(
            cluster, "job-server", classpath, JOB_SERVER, master, *ports, f"--artifacts-dir={folder / 'staged'}"
        )
        _await(cluster, "its job server", lambda: _listens(cluster.job_port))
        yield cluster
    finally:
        for process in reversed(cluster.processes.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in cluster.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start_java(cluster: Cluster, name: str, classpath: str, main: str, *arguments: str) -> None:
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED]
    memory = [f"-Xmx{HEAP_MB[main]}m", f"-XX:MaxDirectMemorySize={DIRECT_MB}m", "-XX:+UseSerialGC"]
    _start(cluster, name, ["java", *memory, *opened, "-cp", classpath, main, *arguments])


def _start(cluster: Cluster, name: str, command: Sequence[str]) -> None:
    # Workers inherit it and import our packages from the repository.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with (cluster.folder / f"{name}.log").open("wb") as log:
        # A group of its own: Ctrl-C must reach us first, and workers must end with their task manager.
        cluster.processes[name] = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=REPOSITORY, env=environment, start_new_session=True
        )


def _await(cluster: Cluster, what: str, condition: Any, timeout_s: float = 90.0) -> None:  # Any: a function of nothing.
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for name, process in cluster.processes.items():
            if process.poll() is not None:
                log = cluster.folder / f"{name}.log"
                raise ClusterError(
                    f"The {name} ended at once:\n{log.read_text(errors='replace')[-1500:]}\nThe log: {log}"
                )
        with contextlib.suppress(urllib.error.URLError, OSError):
            if condition():
                return
        time.sleep(0.2)
    raise ClusterError(f"The cluster did not get {what} within {timeout_s:.0f} s. Its logs: {cluster.folder}")


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


def end_on_sigterm() -> None:
    """Lets SIGTERM end this process as Ctrl-C does, so that no process of the cluster outlives it."""

    def ended(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is Python's.
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="for logs and temporary files (default: a new one below /tmp)")
    args = parser.parse_args(argv)
    folder = (args.folder or Path(tempfile.mkdtemp(prefix="flink-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)

    end_on_sigterm()
    try:
        with running(folder) as cluster:
            print(f"Flink {cluster.rest('/config')['flink-version']} answers at http://127.0.0.1:{cluster.rest_port}; "
                  f"logs in {folder}\nAdd to the pipeline's command:\n  --engine beam --runner flink "
                  + " ".join(f"--beam-arg={arg}" for arg in cluster.beam_args), flush=True)  # fmt: skip
            signal.pause()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
