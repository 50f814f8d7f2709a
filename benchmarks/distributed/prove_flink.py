"""Does the pipeline's command run on a real Flink cluster, with the local engine's results, and past a lost machine?

    make prove-flink        # or: python -m benchmarks.distributed.prove_flink [local beam flink loss parity table]

All 327,346 flights as one Parquet span of ten row groups, the same dataset file for every run, bootstraps off. `local`:
the local engine. `beam`: the Beam engine on Beam's runner in this process. `flink`: the Beam engine on a cluster of one
job manager and two task managers with a Python worker each (flink_cluster.py). `..._small`: the first row group alone.
`loss`: `flink_small`, and the second task manager is killed in the middle of the first job. `parity`: the artifacts
compared by the rules in parity.py.

Components' wall times are the runner's; the cluster's CPU time is that of its processes. Results are written to
benchmarks/results/distributed.json and the table in docs/beam.md.
"""

import argparse
import contextlib
import json
import os
import platform
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
PARTS = ("local", "local_small", "beam", "flink", "flink_small", "loss", "parity", "table")
SMALL = {"local_small", "flink_small", "loss"}  # On the first row group alone.
STEPS = 1_000
ROWS_PER_GROUP = 32_768
ON_BEAM = ("ExampleGen", "StatisticsGen", "TrainingWindow", "WindowStatistics", "Transform", "Evaluator")
KILLED_IN = "ExampleGen"  # The first: every later job then has one task manager only.
KILL_AFTER_TASKS = 5


def prepare(folder: Path) -> int:
    """Writes one span with all flights, another with the first row group, and the dataset file; returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data.flights import source

    target = folder / "data" / "span-1" / "data.parquet"
    if target.exists():
        return int(pq.read_metadata(target).num_rows)
    source.write_spans(folder / "months")
    months = [folder / "months" / f"span-{month}" / target.name for month in range(1, 13)]
    whole = pa.concat_tables([pq.read_table(path) for path in months])
    for path, part in ((target, whole), (folder / "small" / "span-1" / target.name, whole.slice(0, ROWS_PER_GROUP))):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(part, path, row_group_size=ROWS_PER_GROUP)
    shipped = REPOSITORY / "data" / "flights"
    text = (shipped / "dataset.toml").read_text(encoding="utf-8")
    text = text.replace("window = 4", "window = 1").replace("[training]\n", f"[training]\nmax_steps = {STEPS}\n")
    text = text.replace("[evaluation]\n", "[evaluation]\nbootstraps = 0\n")
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    shutil.copy(shipped / "schema.pbtxt", folder)
    return int(whole.num_rows)


def run(folder: Path, name: str, *options: str, data: str = "data") -> dict[str, Any]:  # Any: JSON.
    """Runs the pipeline's command on a fresh root and returns its JSON with the process's wall and CPU seconds.

    Raises:
      SystemExit: the command failed.
    """
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)
    command = [sys.executable, "local_runner.py", "run", "--json", "--dataset", str(folder), "--root", str(root)]
    command += ["--data-root", str(folder / data), *options]
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


def on_flink(folder: Path, name: str, *, data: str, kill_in: int | None) -> dict[str, Any]:  # Any: JSON.
    """Runs on a fresh cluster; `kill_in` is the number of the job in which one task manager is killed."""
    logs = folder / f"cluster-{name}"
    shutil.rmtree(logs, ignore_errors=True)
    with flink_cluster.running(logs) as cluster:
        watch = _Watch(cluster, kill_in)
        with watch:
            options = ["--engine", "beam", "--runner", "flink", *(f"--beam-arg={arg}" for arg in cluster.beam_args)]
            entry = run(folder, name, *options, data=data)
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
            vertices = self._cluster.rest(f"/jobs/{job['jid']}")["vertices"]
            sent = sorted(((v["metrics"]["write-bytes"], v["name"]) for v in vertices), reverse=True)
            found.append(
                {
                    "component": name,
                    "state": job["state"],
                    "wall_s": round(job["duration"] / 1000, 1),
                    "cpu_s": round(end - begin, 1),
                    "tasks": job["tasks"]["total"],
                    "shuffled_bytes": sum(size for size, _ in sent),
                    "largest": [{"bytes": size, "vertex": text[:200]} for size, text in sent[:6] if size],
                }
            )
        return found

    def run(self) -> None:
        while not self._ended.wait(1.0):
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
        if job["state"] == "RUNNING" and tasks["finished"] >= KILL_AFTER_TASKS and tasks["running"]:
            self._cluster.kill_task_manager("task-manager-2")
            self.killed = {
                "finished_tasks": tasks["finished"],
                "running_tasks": tasks["running"],
                "of_tasks": tasks["total"],
            }


NAMES = {
    "local_small": "local engine",
    "flink_small": "Flink",
    "loss": "Flink, one task manager lost",
    "local": "local engine",
    "beam": "Beam in one process",
    "flink": "Flink",
}


def table(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as the docs show them."""
    columns = [name for name in ("local", "beam", "flink", "loss") if name in results]
    names = {"local": "local engine", "beam": "Beam, in process", "flink": "Beam on Flink", "loss": "one machine lost"}
    lines = [
        "| "
        + " | ".join([f"{results['local']['rows']:,} rows, wall s", *(names[column] for column in columns)])
        + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for node in ON_BEAM:
        cells = [f"{results[column]['components'][node]:g}" for column in columns]
        lines.append(f"| {node} | {' | '.join(cells)} |")
    for key, label in (
        ("wall_s", "**whole command**"),
        ("cpu_s", "CPU s of the command"),
        ("cluster_cpu_s", "CPU s of the cluster"),
        ("cluster_peak_mb", "peak memory of the cluster, MB"),
        ("auc", "AUC"),
    ):
        cells = [f"{results[column][key]:g}" if key in results[column] else "" for column in columns]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    loads = [f"{results[column]['environment']['load_average'][1]:g}" for column in columns]
    lines.append(f"| load average, five minutes | {' | '.join(loads)} |")
    blessed = ["yes" if results[column]["blessed"] else "no" for column in columns]
    return "\n".join([*lines, f"| blessed | {' | '.join(blessed)} |"])


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
            continue
        if part == "parity":
            results["parity"] = {}
            for name in ("flink", "flink_small", "loss"):
                local = folder / ("local_small" if name in SMALL else "local")
                if (folder / name).exists():
                    results["parity"][name] = parity.compare(local, folder / name, str(folder))
            for name, found in results["parity"].items():
                for what, differences in found.items():
                    print(f"  {name:6} {what}: {'; '.join(differences[:5]) or 'equal'}", file=sys.stderr)
        else:
            rows = prepare(folder)
            data = "small" if part in SMALL else "data"
            if part.startswith("local"):
                results[part] = run(folder, part, data=data)
            elif part == "beam":
                results[part] = run(folder, part, "--engine", "beam")
            else:
                order = [name for name in results["local"]["components"] if name in ON_BEAM]
                kill_in = order.index(KILLED_IN) if part == "loss" else None
                results[part] = on_flink(folder, part, data=data, kill_in=kill_in)
            results[part]["rows"] = ROWS_PER_GROUP if part in SMALL else rows
            results[part]["environment"] = environment()
            print(json.dumps(results[part]), file=sys.stderr, flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    unequal = [f"{name}, {what}" for name, found in results.get("parity", {}).items() for what in found if found[what]]
    if unequal:
        print(f"error: not equal: {'; '.join(unequal)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
