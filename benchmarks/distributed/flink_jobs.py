"""Flink's own account of its jobs: their states and times, what was shuffled, and losing a machine in one's middle."""

import re
from collections.abc import Sequence
from typing import Any

from benchmarks.distributed.flink_cluster import Cluster
from benchmarks.distributed.meter import Meter

KILL_AFTER = 0.1  # Of the job's tasks.


def account(cluster: Cluster, components: Sequence[str], meter: Meter) -> list[dict[str, Any]]:  # Any: JSON.
    """Returns, job by job, what it was for, its state, wall and CPU seconds of the cluster, and what it shuffled.

    Args:
      components: what ran a job each, in this order.
    """
    found = []
    for component, job in zip(components, cluster.jobs(), strict=True):
        shuffles = shuffled(cluster.rest(f"/jobs/{job['jid']}"))
        found.append(
            {
                "component": component,
                "state": job["state"],
                "wall_s": round(job["duration"] / 1000, 1),
                "cpu_s": meter.cpu_between(job["start-time"] / 1000, job["end-time"] / 1000),
                "tasks": job["tasks"]["total"],
                "shuffled_bytes": sum(shuffles.values()),
                "shuffles": shuffles,
            }
        )
    return found


def shuffled(job: dict[str, Any]) -> dict[str, int]:  # Any: Flink's JSON.
    """Returns the bytes that each step of a job sent by key, from worker to worker; without steps of no byte.

    A step is named after the transform that groups: splits are taken together, and what only repeats is left out.
    """
    names = {vertex["id"]: vertex["name"] for vertex in job["vertices"]}
    sent = {vertex["id"]: vertex["metrics"]["write-bytes"] for vertex in job["vertices"]}
    found: dict[str, int] = {}
    for node in job["plan"]["nodes"]:
        for source in node.get("inputs", []):
            if source["ship_strategy"].startswith("Hash"):
                _, _, text = names[node["id"]].partition("GroupReduce at ")
                head, chained, _ = text.partition(") -> ")
                step = re.sub(r"\[(train|eval|\d+)\]", "", head if chained else head.removesuffix(")"))
                found[step] = found.get(step, 0) + sent[source["id"]]
    return {step: size for step, size in sorted(found.items(), key=lambda item: -item[1]) if size}


class Loss:
    """Kills the second task manager in the middle of a job.

    Attributes:
      killed: what Flink said of the job's tasks then; None before.
    """

    def __init__(self, cluster: Cluster, job: int) -> None:
        """Takes the number of the job, from 0."""
        self._cluster, self._job = cluster, job
        self.killed: dict[str, int] | None = None

    def look(self) -> bool:
        """Kills if the time has come; returns whether it has."""
        jobs = self._cluster.jobs()
        if len(jobs) <= self._job or jobs[self._job]["state"] != "RUNNING":
            return False
        tasks = jobs[self._job]["tasks"]
        if tasks["finished"] < KILL_AFTER * tasks["total"] or not tasks["running"]:
            return False
        self._cluster.processes.kill("task-manager-2")
        self.killed = {"finished_tasks": tasks["finished"], "of_tasks": tasks["total"]}
        return True
