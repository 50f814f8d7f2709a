"""A Spark cluster on loopback: a master, two workers with an executor each, and Beam's job server.

    python -m benchmarks.distributed.spark_cluster          # fetch, start, print the options, wait for Ctrl-C

Spark and Beam's Spark runner come from Maven Central by the coordinates in spark.xml. Each executor starts its own
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

POM = Path(__file__).with_name("spark.xml")
JARS = loopback.CACHE / "spark"
MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"
JOB_SERVER = "org.apache.beam.runners.spark.SparkJobServerDriver"
WORKERS = 2
EXECUTOR_MEMORY = "1g"


@dataclass
class Cluster:
    """A running cluster; its processes are called master, worker-1 and -2, and job-server."""

    web_port: int
    driver_port: int
    job_port: int
    worker: Path
    processes: Processes

    @property
    def address(self) -> str:
        """The master's page."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def driver_address(self) -> str:
        """The page of the job that runs; nobody answers while none does."""
        return f"http://127.0.0.1:{self.driver_port}"

    @property
    def beam_args(self) -> tuple[str, ...]:
        """What the pipeline must be told to run here."""
        return loopback.beam_args(self.job_port, self.worker)

    @property
    def version(self) -> str:
        """Spark's, by the coordinates."""
        return next(version for _, artifact, version in loopback.coordinates(POM) if artifact == "spark-core_2.12")

    def state(self) -> dict[str, Any]:  # Any: JSON.
        """Returns the master's account of its workers and of the jobs, which Spark calls applications."""
        with urllib.request.urlopen(f"{self.address}/json/", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def alive(self) -> int:
        """Returns how many workers the master knows."""
        return int(self.state()["aliveworkers"])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Starts a cluster, yields it when both workers have registered, and ends every process.

    Raises:
      ClusterError: a process ended or did not answer; names its log.
    """
    jars = loopback.fetch(POM, JARS)
    classpath = f"{jars}/*"
    # Workers start their executors with what lies in SPARK_HOME/jars.
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "jars").unlink(missing_ok=True)
    (home / "jars").symlink_to(jars)
    processes = Processes(folder)
    ports = [loopback.free_port() for _ in range(3)]
    cluster = Cluster(*ports, worker=loopback.write_worker(folder), processes=processes)
    port = loopback.free_port()
    master = f"spark://127.0.0.1:{port}"
    variables = {"SPARK_HOME": str(home), "SPARK_SCALA_VERSION": "2.12", "SPARK_LOCAL_IP": "127.0.0.1"}
    variables["SPARK_LOCAL_DIRS"] = str(folder / "tmp")
    here = ("--host", "127.0.0.1")
    with loopback.ended(processes):
        at = ("--port", str(port), "--webui-port", str(cluster.web_port))
        processes.java("master", ("-Xmx256m",), classpath, MASTER, *here, *at, **variables)
        for number in range(1, WORKERS + 1):
            size = ("--port", "0", "--webui-port", "0", "--cores", "1", "--memory", EXECUTOR_MEMORY)
            work = ("--work-dir", str(folder / f"work-{number}"))
            name = f"worker-{number}"
            processes.java(name, ("-Xmx256m",), classpath, WORKER, *here, *size, *work, master, **variables)
        processes.wait_for("its workers", lambda: cluster.alive() == WORKERS)
        # The job server is the driver of every job.
        settings = {
            "spark.executor.memory": EXECUTOR_MEMORY,
            "spark.driver.host": "127.0.0.1",
            "spark.ui.port": str(cluster.driver_port),
        }
        options = ("-Xmx1g", *(f"-D{name}={value}" for name, value in settings.items()))
        arguments = (f"--spark-master-url={master}", *loopback.job_server_arguments(cluster.job_port, folder))
        processes.java("job-server", options, classpath, JOB_SERVER, *arguments, **variables)
        processes.wait_for("its job server", lambda: loopback.listens(cluster.job_port))
        yield cluster


if __name__ == "__main__":
    sys.exit(loopback.serve(None, "spark", running, __doc__.split("\n")[0]))
