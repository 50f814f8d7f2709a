"""Which training budget reaches a given AUC soonest, and how should its steps be run?

    python -m benchmarks.training_budget

Trains on the flights of eight months, scores those of the two after them: random rows of the same days would favour
budgets that learn the days by heart. A budget is a complete training, because the learning rate falls to zero over its
steps: one cannot be read off another's curve. How the steps are run (a TensorFlow call per epoch as in
models/training_loop.py, a call per step, XLA) changes no result, so that is measured in milliseconds per step.
Results: benchmarks/results/training_budget.json and the tables in docs/model.md.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.end_to_end import PACKAGES
from benchmarks.pages import environment, write_table

RESULTS = pages.RESULTS / "training_budget.json"
PAGE = pages.DOCS / "model.md"
# What differs from the dataset's own [training]; the first is what benchmarks/end_to_end.py gives both engines.
BUDGETS: tuple[dict[str, Any], ...] = (
    {"max_steps": 3_300},
    {},
    {"dropout": 0.2},
    {"epochs": 3},
    {"epochs": 2},
    {"dropout": 0.2, "epochs": 3},
    {"batch_size": 256},
    {"batch_size": 1_024, "learning_rate": 0.004},
    {"batch_size": 2_048, "learning_rate": 0.006},
    {"learning_rate": 0.006},
    {"epochs": 8},
)
_TIMED_STEPS = 120
_TRAIN_MONTHS, _SCORED_MONTHS = 8, 2


def read(folder: Path) -> tuple[Any, Any, Any, Any]:  # Any: TensorFlow is imported below only.
    """Returns the train rows, rows of later months and the network's layout, as the Trainer packs them, its spec."""
    from benchmarks.quality import read_spans
    from models import training
    from models.analysis import analyze
    from models.packed import Layout
    from models.transform_graph import TransformGraph, write_transform_graph
    from pipeline.config.dataset import load_dataset
    from pipeline.config.schema import read_schema

    dataset = load_dataset("flights")
    assert dataset.schema_path is not None
    schema, features = read_schema(dataset.schema_path), dataset.features
    tables = read_spans(dataset, schema, folder)
    batches = [(str(month), batch) for month, table in enumerate(tables, start=1) for batch in table.to_batches(16_384)]
    train = [(month, batch) for month, batch in batches if int(month) <= _TRAIN_MONTHS]
    after = [(month, batch) for month, batch in batches if 0 < int(month) - _TRAIN_MONTHS <= _SCORED_MONTHS]
    analysis = analyze((batch for _, batch in train), features)
    write_transform_graph(analysis, features, schema, str(folder / "graph"))
    graph = TransformGraph(str(folder / "graph"), features)
    layout = Layout.of(features, {name: len(tokens) for name, tokens in analysis.vocabularies.items()})
    return (
        training.pack_batches(train, graph, layout),
        training.pack_batches(after, graph, layout),
        layout,
        dataset.training,
    )


def try_budget(rows: Any, held_out: Any, layout: Any, spec: Any) -> dict[str, Any]:  # Any: as above.
    """Trains once; returns steps, seconds and AUC."""

    from models import scores
    from models.fitting import fit

    wall, cpu = time.perf_counter(), time.process_time()
    fitted = fit(rows, layout, spec)
    seconds = {"wall_s": round(time.perf_counter() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
    outputs = fitted.members.predict(held_out.floats, held_out.ids).mean(axis=1)
    auc = float(scores.auc(outputs[:, 0], held_out.labels))
    return {"steps": fitted.curve[-1].steps, "auc": round(auc, 4), **seconds}


def time_steps(rows: Any, layout: Any, spec: Any) -> dict[str, float]:  # Any: as above.
    """Returns the CPU milliseconds of a step, by how the steps are run; tracing and compiling are left out."""
    import numpy as np
    import tensorflow as tf

    from models.network import Ensemble
    from models.tasks import Binary
    from models.training_loop import Loop

    def per_step(loop: Any, chunk: Any) -> None:
        for start in range(0, len(chunk), spec.batch_size):
            loop.run(chunk[start : start + spec.batch_size])

    def compiled(loop: Any) -> Any:
        def run_steps(floats: Any, ids: Any, labels: Any, weights: Any) -> Any:
            total = tf.constant(0.0)
            for step in tf.range(floats.shape[0] // spec.batch_size):
                # XLA needs shapes that do not depend on the step.
                first = step * spec.batch_size
                batch = [
                    tf.slice(x, [first, *[0] * (len(x.shape) - 1)], [spec.batch_size, *x.shape[1:]])
                    for x in (floats, ids, labels, weights)
                ]
                total += loop._step(*batch)
            return total

        return tf.function(run_steps, jit_compile=True)

    found = {}
    for name in ("a call per epoch", "a call per step", "a call per epoch, XLA"):
        loop = Loop(
            Ensemble(layout, spec), Binary(), rows, spec, np.arange(len(rows)) % 8, np.arange(spec.ensemble_size) % 8
        )
        if name.endswith("XLA"):
            loop._run = compiled(loop)
        run = per_step if name == "a call per step" else lambda loop, chunk: loop.run(chunk)
        chunk = np.random.default_rng(0).permutation(len(rows))[: _TIMED_STEPS * spec.batch_size]
        run(loop, chunk)  # Traces, compiles.
        started = time.process_time()
        run(loop, chunk)
        found[name] = round((time.process_time() - started) / _TIMED_STEPS * 1000, 1)
    return found


def tables(results: dict[str, Any]) -> str:  # Any: JSON.
    """Returns the results as the docs show them."""
    target = results["budgets"][0]["auc"]
    lines = ["| budget | steps | AUC | CPU s | wall s | |", "|---|---|---|---|---|---|"]
    for entry in results["budgets"]:
        name = ", ".join(f"{key} {value:g}" for key, value in entry["changes"].items()) or "the dataset's own"
        reached = "" if entry["auc"] >= target else "AUC not reached"
        lines.append(
            f"| {name} | {entry['steps']:,} | {entry['auc']:.4f} | {entry['cpu_s']} | {entry['wall_s']} | {reached} |"
        )
    lines += ["", "| how the steps are run | CPU ms per step |", "|---|---|"]
    lines += [f"| {name} | {value:g} |" for name, value in results["ms_per_step"].items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="training-budget-") as scratch:
        rows, held_out, layout, spec = read(Path(scratch))
    results: dict[str, Any] = {"environment": environment(*PACKAGES), "budgets": []}
    results["ms_per_step"] = time_steps(rows, layout, spec)
    for changes in BUDGETS:
        entry = {"changes": changes, **try_budget(rows, held_out, layout, dataclasses.replace(spec, **changes))}
        print(json.dumps(entry), file=sys.stderr, flush=True)
        results["budgets"].append(entry)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    write_table(PAGE, "training_budget", tables(results))
    print(tables(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
