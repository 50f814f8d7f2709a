"""Does the pipeline's command run on a real Flink cluster, with the local engine's results, and past a lost machine?

    make prove-flink        # or: python -m benchmarks.distributed.prove_flink [local flink parity table ...]

The flights as one Parquet span of row groups, the same dataset file for every run, bootstraps off: all 327,346, the
first 32,768 of them (`small_`), or ten times all (`large_`, copies with jitter). `local`: the local engine. `beam`: the
Beam engine on Beam's runner in this process. `flink`: the Beam engine on a cluster of one job manager and two task
managers with a Python worker each (flink_cluster.py). `loss_COMPONENT`: all flights on a cluster that loses its second
task manager in the middle of that component's job, and has one from then on. `parity`: the artifacts compared by the
rules in parity.py.

Components' wall times are the runner's; the cluster's CPU time is that of its processes. Results are written to
benchmarks/results/distributed.json and the tables in docs/beam.md.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.distributed import flink_cluster, parity
from benchmarks.distributed.flink_cluster import Cluster
from benchmarks.scale import write_table

REPOSITORY = flink_cluster.REPOSITORY
RESULTS = REPOSITORY / "benchmarks" / "results" / "distributed.json"
PAGE = REPOSITORY / "docs" / "beam.md"
LOSSES = {f"loss_{component}": component for component in ("StatisticsGen", "Transform", "Evaluator")}
ON_CLUSTER = ("small_flink", "flink", *LOSSES, "large_flink")
PARTS = ("small_local", "local", "large_local", "beam", *ON_CLUSTER, "parity", "table")
STEPS = 1_000
ROWS_PER_GROUP = 32_768
COPIES = 10
ON_BEAM = ("ExampleGen", "StatisticsGen", "TrainingWindow", "WindowStatistics", "Transform", "Evaluator")
KILL_AFTER = 0.1  # Of the job's tasks.


def size_of(part: str) -> str:
    """Returns the folder of the span that a part is about: small, large or all."""
    size, _, _ = part.partition("_")
    return size if size in ("small", "large") else "all"


def prepare(folder: Path, size: str) -> int:
    """Writes a span of that size, and the dataset file; returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from benchmarks import large_flights
    from data.flights import source

    target = folder / size / "span-1" / "data.parquet"
    if target.exists():
        return int(pq.read_metadata(target).num_rows)
    source.write_spans(folder / "months")
    months = [folder / "months" / f"span-{month}" / target.name for month in range(1, 13)]
    table = pa.concat_tables([pq.read_table(path) for path in months])
    if size == "small":
        table = table.slice(0, ROWS_PER_GROUP)
    target.parent.mkdir(parents=True)
    with pq.ParquetWriter(target, table.schema) as writer:
        for copy in large_flights.copies_of(table, COPIES if size == "large" else 1):
            writer.write_table(copy, row_group_size=ROWS_PER_GROUP)
    shipped = REPOSITORY / "data" / "flights"
    text = (shipped / "dataset.toml").read_text(encoding="utf-8")
    text = text.replace("window = 4", "window = 1").replace("[training]\n", f"[training]\nmax_steps = {STEPS}\n")
    text = text.replace("[evaluation]\n", "[evaluation]\nbootstraps = 0\n")
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    shutil.copy(shipped / "schema.pbtxt", folder)
    return int(pq.read_metadata(target).num_rows)


def run(folder: Path, name: str, *options: str) -> dict[str, Any]:  # Any: JSON.
    """Runs the pipeline's command on a fresh root and returns its JSON with the process's wall and CPU seconds.

    Raises:
      SystemExit: the command failed.
    """
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)
    command = [sys.executable, "local_runner.py", "run", "--json", "--dataset", str(folder), "--root", str(root)]
    command += ["--data-root", str(folder / size_of(name)), *options]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 4):
        raise SystemExit(f"the run {name} failed:\n{done.stderr[-2000:]}\n{done.stdout[-1000:]}")
    answer = json.loads(done.stdout)
    ran = [node for node in answer["components"] if node["status"] == "ran"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "components": {node["node"]: round(node["seconds"], 2) for node in ran},
        "peak_mb": {node["node"]: node["peak_memory_bytes"] // 2**20 for node in answer["components"]},
        "result": answer["result"],
        "blessed": answer["evaluation"]["blessed"],
        "auc": round(answer["evaluation"]["slices"][0]["auc"], 4),
    }


def on_flink(folder: Path, name: str, kill_in: int | None) -> dict[str, Any]:  # Any: JSON.
    """Runs on a fresh cluster; `kill_in` is the number of the job in which one task manager is killed."""
    logs = folder / f"cluster-{name}"
    shutil.rmtree(logs, ignore_errors=True)
    with flink_cluster.running(logs) as cluster:
        watch = _Watch(cluster, kill_in)
        with watch:
            options = ["--engine", "beam", "--runner", "flink", *(f"--beam-arg={arg}" for arg in cluster.beam_args)]
            entry = run(folder, name, *options)
        entry |= {"cluster_cpu_s": watch.cpu_s, "cluster_peak_mb": watch.peak_mb, "jobs": watch.jobs(entry)}
        entry["flink"] = cluster.rest("/config")["flink-version"]
        if kill_in is not None:
            entry |= {
                "killed": {"in": entry["jobs"][kill_in]["component"], **(watch.killed or {})},
                "task_managers_left": cluster.rest("/overview")["taskmanagers"],
            }
            if not watch.killed:
                raise SystemExit("the job had ended before a task manager could be killed")
    return entry


class _Watch(threading.Thread):
    """Samples the cluster's memory and CPU time each second, and kills a task manager where that is asked for."""

    def __init__(self, cluster: Cluster, kill_in: int | None) -> None:
        super().__init__(daemon=True)
        self._cluster, self._kill_in, self._ended = cluster, kill_in, threading.Event()
        self._cpu: dict[tuple[int, float], float] = {}
        self._samples: list[tuple[float, float]] = []
        self.peak_mb = 0
        self.killed: dict[str, Any] | None = None

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of every process that was seen, up to when it was seen last."""
        return round(sum(self._cpu.values()), 1)

    def jobs(self, entry: dict[str, Any]) -> list[dict[str, Any]]:  # Any: JSON.
        """Returns Flink's own account of its jobs, the cluster's CPU seconds while each ran, and what it shuffled."""
        names = [name for name in entry["components"] if name in ON_BEAM]
        found = []
        for name, job in zip(names, self._cluster.jobs(), strict=True):
            times, used = zip(*self._samples, strict=True)
            begin, end = np.interp([job["start-time"] / 1000, job["end-time"] / 1000], times, used)
            shuffles = shuffled(self._cluster.rest(f"/jobs/{job['jid']}"))
            found.append(
                {
                    "component": name,
                    "state": job["state"],
                    "wall_s": round(job["duration"] / 1000, 1),
                    "cpu_s": round(end - begin, 1),
                    "tasks": job["tasks"]["total"],
                    "shuffled_bytes": sum(shuffles.values()),
                    "shuffles": shuffles,
                }
            )
        return found

    def run(self) -> None:
        # A job of seconds must be met in its middle; each look costs the cluster's processes next to nothing.
        while not self._ended.wait(1.0 if self._kill_in is None or self.killed else 0.2):
            with contextlib.suppress(OSError):  # Flink may be slow to answer while it restarts a region.
                self._measure()
                if self._kill_in is not None and self.killed is None:
                    self._kill_in_time(self._kill_in)

    def _measure(self) -> None:
        import psutil

        total = 0
        for process in self._cluster.processes.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                for one in (parent, *parent.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        used = one.cpu_times()
                        self._cpu[one.pid, one.create_time()] = used.user + used.system
                        total += one.memory_info().rss
        self.peak_mb = max(self.peak_mb, total // 2**20)
        self._samples.append((time.time(), sum(self._cpu.values())))

    def _kill_in_time(self, number: int) -> None:
        jobs = self._cluster.jobs()
        if len(jobs) <= number:
            return
        job = jobs[number]
        tasks = job["tasks"]
        if job["state"] == "RUNNING" and tasks["finished"] >= KILL_AFTER * tasks["total"] and tasks["running"]:
            self._cluster.kill_task_manager("task-manager-2")
            self.killed = {
                "finished_tasks": tasks["finished"],
                "running_tasks": tasks["running"],
                "of_tasks": tasks["total"],
            }


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


COLUMNS = {"local": "local engine", "beam": "Beam, in process", "flink": "Beam on Flink"}
FIGURES = {
    "wall_s": "**whole command**",
    "cpu_s": "CPU s of the command",
    "cluster_cpu_s": "CPU s of the cluster",
    "cluster_peak_mb": "peak memory of the cluster, MB",
    "auc": "AUC",
}


def table(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns each component's wall seconds by size and engine."""
    parts = [part for part in PARTS if part in results and part not in LOSSES]
    names = [COLUMNS[part.rpartition("_")[2]] for part in parts]
    head = [f"{results[part]['rows']:,} rows: {name}" for part, name in zip(parts, names, strict=True)]
    lines = [f"| wall s | {' | '.join(head)} |", "|---" * (len(parts) + 1) + "|"]
    for node in ON_BEAM:
        cells = [f"{results[part]['components'][node]:g}" for part in parts]
        lines.append(f"| {node} | {' | '.join(cells)} |")
    for key, label in FIGURES.items():
        cells = [f"{results[part][key]:g}" if key in results[part] else "" for part in parts]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    blessed = ["yes" if results[part]["blessed"] else "no" for part in parts]
    return "\n".join([*lines, f"| blessed | {' | '.join(blessed)} |"])


def losses(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns what each lost task manager cost, and what came of the run."""
    lines = [
        "| lost in the middle of | with of its tasks ended | that job, wall s (without loss) | its state | "
        "task managers left | run | equal to the local engine |",
        "|---|---|---|---|---|---|---|",
    ]
    whole = {job["component"]: job["wall_s"] for job in results["flink"]["jobs"]}
    for part, component in LOSSES.items():
        entry = results[part]
        (job,) = [job for job in entry["jobs"] if job["component"] == component]
        compared = results["parity"][part].values()
        lines.append(
            f"| {component} | {entry['killed']['finished_tasks']} of {entry['killed']['of_tasks']} | "
            f"{job['wall_s']:g} ({whole[component]:g}) | {job['state'].lower()} | {entry['task_managers_left']} | "
            f"{entry['result']} | in {sum(not found for found in compared)} of {len(compared)} comparisons |"
        )
    return "\n".join(lines)


def environment() -> dict[str, Any]:  # Any: JSON.
    """Returns what the figures depend on."""
    packages = ("tfx", "apache-beam", "tensorflow", "tensorflow-data-validation", "tensorflow-model-analysis")
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "jars": {f"{group}:{artifact}": version for group, artifact, version in flink_cluster.coordinates()},
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=PARTS, default=PARTS, help="which parts (default: all, in order)")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "runs" / "prove-flink", help="for data and roots")
    args = parser.parse_args(argv)
    flink_cluster.end_on_sigterm()
    folder = args.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in args.parts or PARTS:
        print(f"{part} ...", file=sys.stderr, flush=True)
        if part == "table":
            write_table(PAGE, "distributed", table(results))
            write_table(PAGE, "losses", losses(results))
            continue
        if part == "parity":
            results["parity"] = {}
            for name in ON_CLUSTER:
                size = size_of(name)
                local = folder / ("local" if size == "all" else f"{size}_local")
                if (folder / name).exists():
                    results["parity"][name] = parity.compare(local, folder / name, str(folder))
            for name, found in results["parity"].items():
                for what, differences in found.items():
                    print(f"  {name} {what}: {'; '.join(differences[:5]) or 'equal'}", file=sys.stderr)
        else:
            rows = prepare(folder, size_of(part))
            if part in ON_CLUSTER:
                order = [name for name in results["local"]["components"] if name in ON_BEAM]
                results[part] = on_flink(folder, part, order.index(LOSSES[part]) if part in LOSSES else None)
            else:
                results[part] = run(folder, part, *(["--engine", "beam"] if part == "beam" else []))
            results[part] |= {"rows": rows, "environment": environment()}
            print(json.dumps(results[part]), file=sys.stderr, flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    unequal = [f"{name}, {what}" for name, found in results.get("parity", {}).items() for what in found if found[what]]
    if unequal:
        print(f"error: not equal: {'; '.join(unequal)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
