"""A Flink cluster on loopback: a job manager, two task managers and Beam's job server, each a process of its own.

    python -m benchmarks.distributed.flink_cluster          # fetch, start, print the options, wait for Ctrl-C

Flink and Beam's Flink runner come from Maven Central by the coordinates in flink.xml. Each task manager starts its own
Python worker (pipeline/environment/beam_worker.py) in this environment: nothing is to be installed there.
"""

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.distributed import cluster as loopback
from benchmarks.distributed.cluster import Processes

POM = Path(__file__).with_name("flink.xml")
JARS = loopback.CACHE / "flink"
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
TASK_MANAGERS = 2
# What Python workers send is held in the heap until it is written: 768 MB ran out at 3.3 million rows.
HEAP_MB = {JOB_MANAGER: 512, TASK_MANAGER: 3072, JOB_SERVER: 512}
NETWORK_MB = 512
# Network buffers, Flink's own 64 MB, and what Beam's gRPC to its worker takes; Java's default is the heap's size.
DIRECT_MB = NETWORK_MB + 256


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
        # A slot's part is shared out among a job's grouping tasks, and no record may be larger than one's buffer: with
        # 256 MB, the accumulators of Transform's quantiles did not fit at 3.3 million rows.
        "taskmanager.memory.managed.size": "2048m",
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


@dataclass
class Cluster:
    """A running cluster; its processes are called job-manager, task-manager-1 and -2, and job-server."""

    rest_port: int
    job_port: int
    worker: Path
    processes: Processes

    @property
    def address(self) -> str:
        """The job manager's page."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def beam_args(self) -> tuple[str, ...]:
        """What the pipeline must be told to run here."""
        return (*loopback.beam_args(self.job_port, self.worker), f"--parallelism={TASK_MANAGERS}")

    @property
    def version(self) -> str:
        """Flink's, as the job manager answers it."""
        return str(self.rest("/config")["flink-version"])

    def rest(self, path: str) -> Any:  # Any: JSON.
        """Returns what Flink's REST interface answers to a GET."""
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return json.load(answer)

    def jobs(self) -> list[dict[str, Any]]:  # Any: JSON.
        """Returns Flink's overview of all jobs, oldest first."""
        jobs: list[dict[str, Any]] = self.rest("/jobs/overview")["jobs"]
        return sorted(jobs, key=lambda job: int(job["start-time"]))

    def alive(self) -> int:
        """Returns how many task managers the job manager knows."""
        return int(self.rest("/overview")["taskmanagers"])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Starts a cluster, yields it when both task managers have registered, and ends every process.

    Raises:
      ClusterError: a process ended or did not answer; names its log.
    """
    classpath = f"{loopback.fetch(POM, JARS)}/*"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    processes = Processes(folder)
    cluster = Cluster(loopback.free_port(), loopback.free_port(), loopback.write_worker(folder), processes)
    settings = configuration(cluster.rest_port, loopback.free_port(), folder)
    lines = [f"{key}: {value}" for key, value in settings.items()]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(name: str, main: str, *arguments: str) -> None:
        memory = (f"-Xmx{HEAP_MB[main]}m", f"-XX:MaxDirectMemorySize={DIRECT_MB}m")
        processes.java(name, memory, classpath, main, *arguments)

    with loopback.ended(processes):
        start("job-manager", JOB_MANAGER, "--configDir", str(folder))
        for number in range(1, TASK_MANAGERS + 1):
            start(f"task-manager-{number}", TASK_MANAGER, "--configDir", str(folder))
        processes.wait_for("its task managers", lambda: cluster.alive() == TASK_MANAGERS)
        master = f"--flink-master=127.0.0.1:{cluster.rest_port}"
        start("job-server", JOB_SERVER, master, *loopback.job_server_arguments(cluster.job_port, folder))
        processes.wait_for("its job server", lambda: loopback.listens(cluster.job_port))
        yield cluster


if __name__ == "__main__":
    sys.exit(loopback.serve(None, "flink", running, __doc__.split("\n")[0]))
