"""How much faster is the local engine than TFX's stock components, on the same rows, model and training steps?

    python -m benchmarks.end_to_end [--datasets taxi flights flights-x10]

Each engine runs the whole pipeline in a process of its own, one after the other, on one span that holds all of a
dataset's rows: ExampleGen, StatisticsGen, ExampleValidator, Transform, Trainer, Evaluator, Pusher. Wall and CPU time
and peak memory are the process's, from start to exit; components are timed by the runner. Confidence intervals are off
in both, because TFMA's replicates alone would take hours. Results: benchmarks/results/end_to_end.json and the table in
docs/pipeline.md.
"""

import argparse
import dataclasses
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
from benchmarks.pages import environment, write_table

RESULTS = pages.RESULTS / "end_to_end.json"
PAGE = pages.DOCS / "pipeline.md"
PACKAGES = ("tfx", "tensorflow", "apache-beam", "pyarrow")
# Dataset, how often its rows are repeated, and the training steps of both engines: a budget of steps does not grow with
# the data.
DATASETS = {"taxi": ("taxi", 1, 600), "flights": ("flights", 1, 3_300), "flights-x10": ("flights", 10, 3_300)}
# Of the local engine also with a training budget of our own choice in place of the fixed number of steps: what changes
# in the dataset's [training], as benchmarks/training_budget.py has found it. The stock engine would gain from it as
# well; what counts is the time to the AUC that it reaches with the fixed number.
OWN_BUDGET: dict[str, dict[str, Any]] = {"taxi": {}, "flights": {"dropout": 0.2}}
ENGINES = ("stock", "local", "local-own-budget")


def prepare(name: str, folder: Path) -> int:
    """Writes one span with all of a dataset's rows as CSV, and a dataset file for it; returns the number of rows."""
    from benchmarks import large_flights
    from data.flights import source as flights
    from data.taxi import source as taxi

    origin, copies, steps = DATASETS[name]
    written = (taxi if origin == "taxi" else flights).write_spans(folder / "spans")
    files = sorted((path for path in written if path.suffix == ".csv"), key=lambda path: int(path.parent.name[5:]))
    target = folder / "data" / "span-1" / "data.csv"
    target.parent.mkdir(parents=True)
    rows = 0
    with target.open("w", encoding="utf-8") as out:
        for number, path in enumerate(files):
            with path.open(encoding="utf-8") as lines:
                header = next(lines)
                if number == 0:
                    out.write(header)
                for line in lines:
                    out.write(line)
                    rows += 1
    if copies > 1:
        once = target.rename(folder / "once.csv")
        rows = large_flights.enlarge(once, target, copies)
    source = pages.REPOSITORY / "data" / origin
    text = (source / "dataset.toml").read_text(encoding="utf-8")
    text = text.replace('format = "parquet"', 'format = "csv"').replace("data.parquet", "data.csv")
    text = text.replace("window = 4", "window = 1")
    extra = f"max_steps = {steps}\n"
    text = (
        text.replace("[training]\n", "[training]\n" + extra) if "[training]" in text else f"{text}\n[training]\n{extra}"
    )
    text = text.replace("[evaluation]\n", "[evaluation]\nbootstraps = 0\n")
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    (folder / "schema.pbtxt").write_text((source / "schema.pbtxt").read_text(encoding="utf-8"), encoding="utf-8")
    return rows


def work(engine: str, folder: Path) -> None:
    """Runs one engine in this process; prints the components' seconds and the AUC as the last line."""
    from pipeline.runs.quick_imports import quick_imports

    if engine != "stock":
        with quick_imports():  # As `local_runner.py run` does.
            import pipeline.pipeline
    from pipeline.config.dataset import load_dataset
    from pipeline.runs import node_runner

    dataset = load_dataset(str(folder))
    root = folder / engine
    if engine == "local-own-budget":
        budget = dataclasses.replace(dataset.training, max_steps=0, **OWN_BUDGET[dataset.name])
        dataset = dataclasses.replace(dataset, training=budget)
    pipeline = stock_pipeline(dataset, folder, root) if engine == "stock" else local_pipeline(dataset, folder, root)
    results = node_runner.run(pipeline, on_start=lambda _: None, on_end=lambda _: None)
    seconds = {result.node: round(result.seconds, 2) for result in results if result.status == "ran"}
    (evaluation,) = (result.outputs["evaluation"][0].uri for result in results if "evaluation" in result.outputs)
    # The resident set's high-water mark as each node ended; where it rises, that node is why.
    memory = {result.node: result.peak_memory_bytes >> 20 for result in results if result.status == "ran"}
    print(json.dumps({"components": seconds, "peak_mb_after": memory, "auc": read_auc(evaluation)}))


def read_auc(folder: str) -> float:
    """Returns the candidate's AUC over the whole eval split, from TFMA's files."""
    from pipeline.evaluation.tfma_files import read_results

    results = read_results(folder)
    return next(iter(results.values()))[()]["auc"].value


def stock_pipeline(dataset: Any, folder: Path, root: Path) -> Any:  # Any: TFX is imported in the worker only.
    """The pipeline as TFX's own templates build it: stock components with their defaults, our model code."""
    from tfx.components.evaluator.component import Evaluator
    from tfx.components.example_gen.csv_example_gen.component import CsvExampleGen
    from tfx.components.example_validator.component import ExampleValidator
    from tfx.components.pusher.component import Pusher
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
    from tfx.components.statistics_gen.component import StatisticsGen
    from tfx.components.trainer.component import Trainer
    from tfx.components.transform.component import Transform
    from tfx.orchestration import metadata as mlmd
    from tfx.orchestration.pipeline import Pipeline
    from tfx.proto import pusher_pb2, trainer_pb2

    from pipeline.evaluation.tfma_config import eval_config

    examples = CsvExampleGen(input_base=str(folder / "data" / "span-1"))
    schema = ImportSchemaGen(schema_file=str(dataset.schema_path))
    statistics = StatisticsGen(examples=examples.outputs["examples"], schema=schema.outputs["schema"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    features = dataset.features.to_json()
    transform = Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="models.preprocessing.preprocessing_fn",
        custom_config={"features": features},
    )
    trainer = Trainer(
        run_fn="models.training.run_fn",
        examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={"features": features, "training": dataset.training.to_json()},
    )
    evaluator = Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        schema=schema.outputs["schema"],
        eval_config=eval_config(dataset.evaluation, dataset.features.target, has_baseline=False),
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    return Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root / "artifacts"),
        components=[examples, schema, statistics, validator, transform, trainer, evaluator, pusher],
        metadata_connection_config=mlmd.sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        beam_pipeline_args=["--runner=FnApiRunner"],
    )


def local_pipeline(dataset: Any, folder: Path, root: Path) -> Any:  # Any: as above.
    """Ours as it is, with the gate, the window's statistics, the baseline and the servability check on top."""
    from pipeline.config.pipeline_config import PipelineConfig
    from pipeline.pipeline import create_pipeline

    root.mkdir()
    return create_pipeline(
        PipelineConfig(
            dataset=dataset,
            data_root=str(folder / "data"),
            span=1,
            pipeline_root=str(root / "artifacts"),
            serving_dir=str(root / "serving"),
            state_dir=str(root / "state"),
            metadata_path=str(root / "metadata.sqlite"),
        )
    )


def measure(engine: str, folder: Path) -> dict[str, Any]:  # Any: JSON.
    """Runs one engine in a process of its own; its output goes to a log beside its root."""
    started, load_before = time.perf_counter(), os.getloadavg()[0]
    output = folder / f"{engine}.out"
    with (folder / f"{engine}.log").open("wb") as log, output.open("wb") as out:
        command = [sys.executable, "-m", "benchmarks.end_to_end", "--worker", engine, "--folder", str(folder)]
        process = subprocess.Popen(command, stdout=out, stderr=log, cwd=pages.REPOSITORY)
        # wait4 tells what this one process, and what it waited for, has used.
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        tail = (folder / f"{engine}.log").read_text(errors="replace")[-2000:]
        raise SystemExit(f"the {engine} engine failed:\n{tail}")
    result: dict[str, Any] = json.loads(output.read_text().strip().splitlines()[-1])
    cpu = used.ru_utime + used.ru_stime
    # Above the engine's own: somebody else was using the machine, and the wall times say less than the CPU's.
    load = {"load_before": round(load_before, 1), "load_at_end": round(os.getloadavg()[1], 1)}
    memory = round(used.ru_maxrss / 1024)
    return {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_rss_mb": memory, **load, **result}


def table(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as the docs show them, the smallest dataset first."""
    lines = ["| rows | | stock | local | ratio | target |", "|---|---|---|---|---|---|"]
    for name, entry in sorted(results["datasets"].items(), key=lambda item: item[1]["rows"]):
        stock, local, rows = entry["stock"], entry["local"], f"{entry['rows']:,}"
        targets = TARGETS.get(name, {})

        def row(label: str, a: float, b: float, target: float | None = None, *, rows: str = rows) -> str:
            wanted = "" if target is None else f"{target:g}" + ("" if a / b >= target else ", missed")
            return f"| {rows} | {label} | {a:,.4g} | {b:,.3g} | {a / b:.1f} | {wanted} |"

        steps = f"{entry['steps']:,} steps each"
        lines.append(row(f"whole process, {steps}, wall s", stock["wall_s"], local["wall_s"], targets.get("whole")))
        lines.append(row(f"whole process, {steps}, CPU s", stock["cpu_s"], local["cpu_s"]))
        lines.append(f"| {rows} | peak memory, MB | {stock['peak_rss_mb']:,} | {local['peak_rss_mb']:,} | | |")
        lines.append(f"| {rows} | AUC | {stock['auc']:.4f} | {local['auc']:.4f} | | |")
        own = entry.get("local-own-budget")
        if own:
            what = "whole process, own training budget, wall s"
            lines.append(row(what, stock["wall_s"], own["wall_s"], targets.get("own budget")))
            lines.append(f"| {rows} | AUC, own training budget | {stock['auc']:.4f} | {own['auc']:.4f} | | |")
        for theirs, ours in COMPONENTS.items():
            a, b = stock["components"][theirs], sum(local["components"][name] for name in ours)
            lines.append(row(f"{', '.join(ours)}, wall s", a, b, targets.get(theirs)))
        others = sum(local["components"][name] for name in OURS_ALONE)
        lines.append(f"| {rows} | {', '.join(OURS_ALONE)}, wall s | | {others:.3g} | | |")
    return "\n".join(lines)


# Stock component to ours; the local pipeline reads and measures the training window once more, behind the gate.
COMPONENTS = {
    "CsvExampleGen": ("ExampleGen",),
    "StatisticsGen": ("StatisticsGen",),
    "Transform": ("Transform",),
    "Trainer": ("Trainer",),
    "Evaluator": ("Evaluator",),
}
# Floors of the ratio of stock to ours.
_COMPONENT_TARGETS = {"CsvExampleGen": 15, "StatisticsGen": 5, "Transform": 4, "Evaluator": 4}
TARGETS: dict[str, dict[str, float]] = {
    "flights": {"whole": 4, "own budget": 10, **_COMPONENT_TARGETS},
    "flights-x10": {"whole": 10, **_COMPONENT_TARGETS},
}
OURS_ALONE = ("RerunGate", "TrainingWindow", "WindowStatistics", "BaselineGen", "InfraValidator")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--datasets", nargs="+", choices=tuple(DATASETS), default=tuple(DATASETS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES, help="the other's results are kept")
    parser.add_argument("--worker", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        work(args.worker, args.folder)
        return 0
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"datasets": {}}
    results["environment"] = environment(*PACKAGES)
    for name in args.datasets:
        with tempfile.TemporaryDirectory(prefix="end-to-end-") as scratch:
            rows = prepare(name, Path(scratch))
            _, copies, steps = DATASETS[name]
            entry = results["datasets"].setdefault(name, {})
            entry |= {"rows": rows, "steps": steps}
            for engine in args.engines:
                if engine == "local-own-budget" and copies > 1:
                    continue  # A target of the smaller sizes.
                print(f"{name}, {rows:,} rows, {engine} ...", file=sys.stderr, flush=True)
                entry[engine] = measure(engine, Path(scratch))
                print(json.dumps(entry[engine]), file=sys.stderr, flush=True)
                # At once: the stock engine takes the better part of an hour for the largest.
                RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    text = table(results)
    write_table(PAGE, "end_to_end", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
