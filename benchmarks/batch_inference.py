"""How much faster does `predict --batch` predict a file than TFX's stock BulkInferrer, with the same pushed model?

    python -m benchmarks.batch_inference [--root runs/taxi] [--rows 60000]

The rows are those of the root's spans, repeated until there are enough. Each job runs in a process of its own, one
after the other, and reads and writes files: the stock executor and ours from the same gzipped tf.Examples to
PredictionLogs, and ours from CSV to Parquet. Wall and CPU time and peak memory are the process's, imports and loading
included; `work_s` is the job without the imports. Results: benchmarks/results/batch_inference.json and the table in
docs/predict.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.pages import REPOSITORY, write_table

RESULTS = pages.RESULTS / "batch_inference.json"
PAGE = pages.DOCS / "predict.md"
JOBS = {
    "stock": "TFX's BulkInferrer, tf.Examples to PredictionLogs",
    "logs": "`predict --batch`, tf.Examples to PredictionLogs",
    "parquet": "`predict --batch`, CSV to Parquet",
}


def prepare(root: Path, rows: int, folder: Path) -> None:
    """Writes the rows as CSV and as an Examples artifact of one split."""
    from pipeline.config.dataset import load_dataset
    from pipeline.config.schema import read_schema
    from pipeline.ingest.columns import columns_of
    from pipeline.ingest.csv_format import PLAIN
    from pipeline.ingest.span_to_examples import write_examples

    files = sorted(root.glob("data/span-*/data.csv"))
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]]
    header = files[0].read_text(encoding="utf-8").splitlines(keepends=True)[0]
    with (folder / "rows.csv").open("w", encoding="utf-8") as out:
        out.write(header)
        for number in range(rows):
            out.write(lines[number % len(lines)])
    dataset = load_dataset("taxi")
    assert dataset.schema_path is not None, "taxi ships one"
    columns = columns_of(read_schema(dataset.schema_path), dataset.features.target, dataset.features.names)
    write_examples([str(folder / "rows.csv")], PLAIN, columns, str(folder / "examples"), {"eval": 1})


def work(job: str, folder: Path, version: Path) -> None:
    """Does one job in this process; prints its rows and seconds as the last line."""
    if job == "stock":
        from tfx.components.bulk_inferrer import executor  # noqa: F401 - what it takes to import is not the job.
    else:
        import tensorflow  # noqa: F401
    started = time.perf_counter()
    rows = stock(folder, version) if job == "stock" else ours(job, folder, version)
    print(json.dumps({"rows": rows, "work_s": round(time.perf_counter() - started, 2)}))


def stock(folder: Path, version: Path) -> int:
    """Runs TFX's executor as its component would, on Beam's in-process runner."""
    from tfx.components.bulk_inferrer import executor
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.proto import bulk_inferrer_pb2
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    examples, model, result = (
        standard_artifacts.Examples(),
        standard_artifacts.Model(),
        standard_artifacts.InferenceResult(),
    )
    examples.uri, examples.split_names = str(folder / "examples"), '["eval"]'
    model.uri = str(folder / "model")
    (folder / "model").mkdir()
    (folder / "model" / "Format-Serving").symlink_to(version)
    result.uri = str(folder / "stock")
    context = BaseBeamExecutor.Context(beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(folder / "tmp"))
    spec = bulk_inferrer_pb2.ModelSpec(model_signature_name=["serve_examples"])
    executor.Executor(context).Do(
        {"examples": [examples], "model": [model]},
        {"inference_result": [result]},
        {
            "model_spec": proto_utils.proto_to_json(spec),
            "data_spec": proto_utils.proto_to_json(bulk_inferrer_pb2.DataSpec()),
        },
    )
    return count_records(folder / "stock")


def ours(job: str, folder: Path, version: Path) -> int:
    """Runs the command, as a user would."""
    import local_runner

    (shard,) = (folder / "examples" / "Split-eval").glob("*.gz")
    source, output = (shard, folder / "logs") if job == "logs" else (folder / "rows.csv", folder / "p.parquet")
    status = local_runner.main(
        [
            *("predict", "--batch", str(source), "--root", str(version.parents[2])),
            *("--version", version.name, "--output", str(output), "--json"),
        ]
    )
    if status:
        raise SystemExit(status)
    if job == "logs":
        return count_records(output)
    import pyarrow.parquet as pq

    return int(pq.read_metadata(output).num_rows)


def count_records(folder: Path) -> int:
    """Returns how many records the shards of a folder hold."""
    from columnar.tfrecords import iter_record_batches

    return sum(len(batch) for path in folder.glob("*.gz") for batch in iter_record_batches(str(path), 16_384))


def measure(job: str, folder: Path, version: Path) -> dict[str, Any]:  # Any: JSON.
    """Runs one job in a process of its own."""
    started = time.perf_counter()
    output = folder / f"{job}.out"
    with (folder / f"{job}.log").open("wb") as log, output.open("wb") as out:
        command = [sys.executable, "-m", "benchmarks.batch_inference", "--worker", job, "--folder", str(folder)]
        process = subprocess.Popen([*command, "--model", str(version)], stdout=out, stderr=log, cwd=REPOSITORY)
        # wait4 tells what this one process, and what it waited for, has used.
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"{job} failed:\n{(folder / f'{job}.log').read_text(errors='replace')[-2000:]}")
    result: dict[str, Any] = json.loads(output.read_text().strip().splitlines()[-1])
    cpu = used.ru_utime + used.ru_stime
    return {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_rss_mb": round(used.ru_maxrss / 1024), **result}


def table(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as a Markdown table."""
    lines = [
        f"{results['rows']:,} taxi rows, {results['cores']} cores, TFX {results['tfx']}:",
        "",
        "| job | wall s | CPU s | peak memory MB | without imports s | rows a second |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for job, text in JOBS.items():
        found = results["jobs"][job]
        rate = found["rows"] / found["work_s"]
        lines.append(
            f"| {text} | {found['wall_s']:.0f} | {found['cpu_s']:.0f} | {found['peak_rss_mb']:,} "
            f"| {found['work_s']:.1f} | {rate:,.0f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs every job once and writes the results. Exit status: 0, or 1 where a job fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("runs/taxi"), help="a root with a pushed taxi model")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--worker", choices=list(JOBS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        work(args.worker, args.folder, args.model)
        return 0
    from pipeline.state.root import Root
    from pipeline.state.version_folder import pushed_versions

    root = Root(args.root.absolute())
    versions = pushed_versions(root.serving("taxi"))
    if not versions:
        print(f"error: nothing has been pushed below {root.path}; run `make run` first", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(root.path, args.rows, folder)
        jobs = {job: measure(job, folder, root.serving("taxi") / str(versions[-1])) for job in JOBS}
    results = {
        "question": "How much faster is predict --batch than TFX's BulkInferrer, with the same model?",
        "rows": args.rows,
        "environment": pages.environment("tfx"),
        "repeats": 1,
        "jobs": jobs,
    }
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_table(PAGE, "batch_inference", table(results))
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
