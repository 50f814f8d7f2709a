"""Spark's account of its jobs, which it calls applications: one per component, each with a driver in the job server."""

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from benchmarks.distributed.meter import Meter
from benchmarks.distributed.spark_cluster import Cluster


def account(cluster: Cluster, components: Sequence[str], meter: Meter) -> list[dict[str, Any]]:  # Any: JSON.
    """Returns, job by job, what it was for, its state, and wall and CPU seconds of the cluster."""
    jobs = sorted(cluster.state()["completedapps"], key=lambda job: int(job["starttime"]))
    return [
        {
            "component": component,
            "state": job["state"],
            "wall_s": round(job["duration"] / 1000, 1),
            "cpu_s": meter.cpu_between(job["starttime"] / 1000, (job["starttime"] + job["duration"]) / 1000),
        }
        for component, job in zip(components, jobs, strict=True)
    ]


class Loss:
    """Kills the second worker and its executor in the middle of a job.

    Attributes:
      killed: what the driver said of the job's tasks then; None before.
    """

    def __init__(self, cluster: Cluster, job: int) -> None:
        """Takes the number of the job, from 0."""
        self._cluster, self._job = cluster, job
        self.killed: dict[str, int] | None = None

    def look(self) -> bool:
        """Kills if the time has come: tasks of the job have ended, and others are at work."""
        state = self._cluster.state()
        if len(state["completedapps"]) != self._job or not state["activeapps"]:
            return False
        url = f"{self._cluster.driver_address}/api/v1/applications/{state['activeapps'][0]['id']}/stages"
        with urllib.request.urlopen(url, timeout=10) as answer:
            stages = json.load(answer)
        finished = sum(stage["numCompleteTasks"] for stage in stages)
        if not finished or not any(stage["numActiveTasks"] for stage in stages):
            return False
        self._cluster.processes.kill("worker-2")
        self.killed = {"finished_tasks": finished, "of_tasks": sum(stage["numTasks"] for stage in stages)}
        return True
