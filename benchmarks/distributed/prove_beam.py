"""Does the pipeline's command run on real Flink and Spark clusters, as the local engine does, and past a lost machine?

    make prove-beam         # or: python -m benchmarks.distributed.prove_beam [local flink parity table ...]

The flights as one Parquet span of row groups, the same dataset file for every run, bootstraps off: all 327,346, the
first 32,768 of them (`small_`), or ten times all (`large_`, copies with jitter). `local`: the local engine. `beam`: the
Beam engine on Beam's runner in this process. `flink`, `spark`: the Beam engine on a cluster of two machines, each with
a Python worker (flink_cluster.py, spark_cluster.py). `loss_COMPONENT`: a cluster whose second machine is killed in the
middle of that component's job; from then on it has one. `parity`: the artifacts compared by the rules in parity.py.

Components' wall times are the runner's; the cluster's CPU time is that of its processes. Results are written to
benchmarks/results/distributed.json and the tables in docs/beam.md.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.distributed import cluster as loopback
from benchmarks.distributed import flink_cluster, flink_jobs, parity, spark_cluster, spark_jobs
from benchmarks.distributed.meter import Meter
from benchmarks.pages import REPOSITORY, environment, write_table

RESULTS = pages.RESULTS / "distributed.json"
PAGE = pages.DOCS / "beam.md"
PACKAGES = ("tfx", "apache-beam", "tensorflow", "tensorflow-data-validation", "tensorflow-model-analysis")
KINDS: dict[str, tuple[Any, Any]] = {"flink": (flink_cluster, flink_jobs), "spark": (spark_cluster, spark_jobs)}
# Any: modules of the same shape.
LOSSES = {f"loss_{component}": component for component in ("StatisticsGen", "Transform", "Evaluator")}
LOSSES["small_loss_spark"] = "Transform"
# The runner of each part on a cluster.
ON_CLUSTER = {
    "small_flink": "flink",
    "small_spark": "spark",
    "flink": "flink",
    "spark": "spark",
    **{part: "spark" if part.endswith("spark") else "flink" for part in LOSSES},
    "large_flink": "flink",
}
PARTS = ("small_local", "local", "large_local", "beam", *ON_CLUSTER, "parity", "table")
STEPS = 1_000
ROWS_PER_GROUP = 32_768
COPIES = 10
ON_BEAM = ("ExampleGen", "StatisticsGen", "TrainingWindow", "WindowStatistics", "Transform", "Evaluator")


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


def on_cluster(folder: Path, name: str, runner: str, kill_in: int | None) -> dict[str, Any]:  # Any: JSON.
    """Runs on a fresh cluster; `kill_in` is the number of the job in which one of its two machines is lost.

    Raises:
      SystemExit: the command failed, or the job had ended before anything could be killed.
    """
    logs = folder / f"cluster-{name}"
    shutil.rmtree(logs, ignore_errors=True)
    kind, jobs = KINDS[runner]
    with kind.running(logs) as cluster:
        loss = jobs.Loss(cluster, kill_in) if kill_in is not None else None
        with Meter(cluster.processes, loss.look if loss else None) as meter:
            options = ["--engine", "beam", "--runner", runner, *(f"--beam-arg={arg}" for arg in cluster.beam_args)]
            entry = run(folder, name, *options)
        components = [node for node in entry["components"] if node in ON_BEAM]
        entry |= {"cluster_cpu_s": meter.cpu_s, "cluster_peak_mb": meter.peak_mb, runner: cluster.version}
        entry["jobs"] = jobs.account(cluster, components, meter)
        if loss:
            if loss.killed is None:
                raise SystemExit("the job had ended before a machine could be killed")
            entry |= {"killed": loss.killed, "left": cluster.alive()}
    return entry


ENGINES = {"local": "local engine", "beam": "Beam, in process", "flink": "Flink", "spark": "Spark"}
FIGURES = {"wall_s": "whole command", "cpu_s": "its CPU s", "cluster_cpu_s": "the cluster's CPU s", "auc": "AUC"}


def table(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns each component's wall seconds by size and engine."""
    lines = [
        f"| rows | engine | {' | '.join(ON_BEAM)} | {' | '.join(FIGURES.values())} | blessed |",
        "|---" * (3 + len(ON_BEAM) + len(FIGURES)) + "|",
    ]
    parts = [part for part in PARTS if part in results and part not in (*LOSSES, "parity")]
    for part in sorted(parts, key=lambda part: int(results[part]["rows"])):
        entry = results[part]
        seconds = [f"{entry['components'][node]:.1f}" for node in ON_BEAM]
        figures = [f"{entry[key]:g}" if key in entry else "" for key in FIGURES]
        cells = [f"{entry['rows']:,}", ENGINES[part.rpartition("_")[2]], *seconds, *figures]
        lines.append(f"| {' | '.join(cells)} | {'yes' if entry['blessed'] else 'no'} |")
    return "\n".join(lines)


def losses(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns what each lost task manager cost, and what came of the run."""
    lines = [
        "| cluster | rows | lost in the middle of | when of its tasks had ended | that job's end | machines left | "
        "run | equal to the local engine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part, component in LOSSES.items():
        entry = results[part]
        (job,) = [job for job in entry["jobs"] if job["component"] == component]
        runner = ON_CLUSTER[part]
        compared = results["parity"][part].values()
        ended = f"{entry['killed']['finished_tasks']} of {entry['killed']['of_tasks']}"
        equal = f"in {sum(not found for found in compared)} of {len(compared)} comparisons"
        lines.append(
            f"| {runner.capitalize()} | {entry['rows']:,} | {component} | {ended} | {job['state'].lower()} | "
            f"{entry['left']} | {entry['result']} | {equal} |"
        )
    return "\n".join(lines)


def measured_on() -> dict[str, Any]:  # Any: JSON.
    """Returns what the figures depend on, the clusters' own jars included."""
    jars = {
        f"{group}:{artifact}": version
        for kind, _ in KINDS.values()
        for group, artifact, version in loopback.coordinates(kind.POM)
    }
    return environment(*PACKAGES) | {"jars": jars}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: all, in order: {', '.join(PARTS)}")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "runs" / "prove-beam", help="for data and roots")
    args = parser.parse_args(argv)
    for part in args.parts:
        if part not in PARTS:
            parser.error(f"expected {', '.join(PARTS)}. Received: {part}.")
    loopback.end_on_sigterm()
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
                kill_in = order.index(LOSSES[part]) if part in LOSSES else None
                results[part] = on_cluster(folder, part, ON_CLUSTER[part], kill_in)
            else:
                results[part] = run(folder, part, *(["--engine", "beam"] if part == "beam" else []))
            results[part] |= {"rows": rows, "environment": measured_on()}
            print(json.dumps(results[part]), file=sys.stderr, flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    unequal = [f"{name}, {what}" for name, found in results.get("parity", {}).items() for what in found if found[what]]
    if unequal:
        print(f"error: not equal: {'; '.join(unequal)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
