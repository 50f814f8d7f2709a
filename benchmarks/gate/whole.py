"""Does the whole gate ask for a rerun when nothing happened: all kinds of evidence together, as a run gathers them?

Spans go through `assess.assess`, quality and copies included, one after the other on one baseline, so that small moves
could add up. Only the network is another: trees that were fitted on the baseline's rows stand for it, because their
answers are what the performance rows judge, and no TensorFlow is waited for.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.ensemble import HistGradientBoostingClassifier
from tensorflow_metadata.proto.v0 import schema_pb2
from threadpoolctl import threadpool_limits

from benchmarks.gate.spans import settings, window
from benchmarks.pages import markdown
from pipeline.config.dataset import Dataset
from pipeline.config.schema import read_schema
from pipeline.gate import assess, bins, labels, scoring
from pipeline.gate.baseline import Baseline, build_baseline
from pipeline.gate.settings import Settings
from pipeline.state.since_push import SpanCounts

DAY = 86_400
REFERENCE_ROWS = {"taxi": 4_000, "flights": 48_000}
SIZES = {"taxi": (300, 1_000, 5_000, 9_000), "flights": (300, 1_000, 5_000, 27_000)}
SPANS = 5
"""Of a baseline, one after the other."""
NOISE = 60
GROUP = 4
KINDS = {
    "drift": "a feature",
    "lasting_drift": "spans together",
    "joint_drift": "relations",
    "performance": "performance",
    "label": "label",
    "unusable_data": "blocked",
}


@dataclass(frozen=True)
class Setting:
    """What is done to the resamples, none of which has moved.

    Attributes:
      sizes: the datasets and the sizes of their spans.
      change: of all rows before anything is drawn; given the dataset too.
      deliver: what becomes of rows that were drawn: a feed may bring some twice.
    """

    sizes: Mapping[str, tuple[int, ...]]
    change: Callable[[Dataset, schema_pb2.Schema, pa.Table, np.random.Generator], tuple[Dataset, pa.Table]]
    deliver: Callable[[pa.Table, np.random.Generator], pa.Table] = lambda table, _: table


def _as_they_are(
    dataset: Dataset, _schema: schema_pb2.Schema, pool: pa.Table, _rng: np.random.Generator
) -> tuple[Dataset, pa.Table]:
    return dataset, pool


def _with_noise(
    dataset: Dataset, schema: schema_pb2.Schema, pool: pa.Table, rng: np.random.Generator
) -> tuple[Dataset, pa.Table]:
    """Adds features that mean nothing: half of them numbers, half of them ten categories."""
    names = [f"noise_{number}" for number in range(NOISE)]
    for number, name in enumerate(names):
        if number % 2:
            values: Any = pa.array(rng.choice(list("abcdefghij"), pool.num_rows))
        else:
            values = pa.array(rng.standard_normal(pool.num_rows))
        schema.feature.add(name=name, type=schema_pb2.BYTES if number % 2 else schema_pb2.FLOAT)
        pool = pool.append_column(name, values)
    features = dataclasses.replace(
        dataset.features,
        numeric=(*dataset.features.numeric, *names[::2]),
        categorical=(*dataset.features.categorical, *names[1::2]),
    )
    return dataclasses.replace(dataset, features=features), pool


def _in_groups(name: str | None) -> Any:
    """Every row is told by four, who differ in a number that means nothing; `name` tells the gate or does not."""

    def change(
        dataset: Dataset, schema: schema_pb2.Schema, pool: pa.Table, _rng: np.random.Generator
    ) -> tuple[Dataset, pa.Table]:
        group = pa.array(np.arange(pool.num_rows))
        for column in ("group", "teller"):
            schema.feature.add(name=column, type=schema_pb2.INT)
        pool = pool.append_column("group", group).append_column("teller", pa.array(np.zeros(pool.num_rows, np.int64)))
        features = dataclasses.replace(dataset.features, numeric=(*dataset.features.numeric, "teller"))
        policy = dataclasses.replace(dataset.gate, cluster=name)
        return dataclasses.replace(dataset, features=features, gate=policy), pool

    return change


def _tell(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    rows = np.repeat(np.arange(table.num_rows), GROUP)
    told = table.take(pa.array(rows))
    tellers = pa.array(rng.integers(0, 10**9, len(rows)))
    return told.set_column(told.column_names.index("teller"), "teller", tellers)


def _twice(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """A sixth of the rows comes twice."""
    again = rng.choice(table.num_rows, table.num_rows // 6, replace=False)
    return pa.concat_tables([table, table.take(pa.array(again))])


FEW = {"taxi": (1_000, 5_000), "flights": (1_000, 5_000)}
SETTINGS = {
    "as they are": Setting(SIZES, _as_they_are),
    f"with {NOISE} noise features": Setting(FEW, _with_noise),
    "a sixth of the rows twice": Setting(FEW, _as_they_are, _twice),
    "in groups of 4, `cluster` given": Setting(
        {"taxi": (1_000,), "flights": (1_000, 5_000)}, _in_groups("group"), _tell
    ),
    "in groups of 4, `cluster` not given": Setting(
        {"taxi": (1_000,), "flights": (1_000, 5_000)}, _in_groups(None), _tell
    ),
}


def measure(
    name: str, spans: Mapping[int, pa.Table], repeats: int, only: str | None = None, first: int = 0
) -> dict[str, Any]:
    """Draws baselines and spans from all rows, without replacement and disjoint: the same distribution, exactly.

    Args:
      first: number of the first draw, so that several processes can share the work.
    """
    results: dict[str, Any] = {}
    for title, setting in SETTINGS.items():
        if only is not None and only not in title:
            continue
        rng = np.random.default_rng(20_261_129)
        dataset = settings(name)
        assert dataset.schema_path is not None, "the shipped datasets have schemas"
        schema = read_schema(dataset.schema_path)
        dataset, pool = setting.change(dataset, schema, pa.concat_tables(list(spans.values())).combine_chunks(), rng)
        counts = {size: dict.fromkeys(("any", *KINDS.values()), 0) for size in setting.sizes[name]}
        for repeat in range(first, first + repeats // SPANS):
            rng = np.random.default_rng([20_261_129, repeat])
            order = rng.permutation(pool.num_rows)
            taken = REFERENCE_ROWS[name] // (GROUP if "groups" in title else 1)
            reference, held_out, rest = np.split(order, [taken, taken + taken // 2])
            model = Model(dataset, setting.deliver(pool.take(reference), rng))
            baseline = _baseline(dataset, schema, model, setting.deliver(pool.take(held_out), rng), rng)
            for size in setting.sizes[name]:
                drawn = size // (GROUP if "groups" in title else 1)
                tables = [setting.deliver(pool.take(rng.choice(rest, drawn, replace=False)), rng) for _ in range(SPANS)]
                for found in _judge(dataset, schema, baseline, model, tables):
                    counts[size]["any"] += bool(found)
                    for kind in found:
                        counts[size][kind] += 1
            print(f"{name}, {title}: {repeat + 1 - first} of {repeats // SPANS}: {counts}", file=sys.stderr, flush=True)
        results[title] = {
            "target": dataset.gate.false_alarm_rate,
            "spans": repeats // SPANS * SPANS,
            "reference_rows": REFERENCE_ROWS[name],
            "alarms": {str(size): alarms for size, alarms in counts.items()},
        }
    return results


def together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Returns two measurements of other draws as one."""
    both = {**one, **other}
    for title in set(one) & set(other):
        a, b = one[title], other[title]
        alarms = {
            size: {kind: a["alarms"][size][kind] + count for kind, count in counts.items()}
            for size, counts in b["alarms"].items()
        }
        both[title] = {**b, "spans": a["spans"] + b["spans"], "alarms": alarms}
    return both


class Model:
    """Trees over the frozen bins of the rows that it was fitted on."""

    def __init__(self, dataset: Dataset, table: pa.Table) -> None:
        self.table, self._label = table, dataset.label.text
        kinds: dict[str, bins.Kind] = {
            name: "categorical" if name in (*dataset.features.categorical, *dataset.features.hashed) else "numeric"
            for name in dataset.features.names
        }
        self._bins = [one for one in bins.freeze(table, kinds) if one.kind != "presence"]
        rows, truth = labels.labelled(table, self._label)
        self._trees = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, early_stopping=False)
        with threadpool_limits(1, user_api="openmp"):
            self._trees.fit(bins.encode(rows, self._bins), truth)

    def evaluate(self, table: pa.Table, dataset: Dataset) -> scoring.Evaluation:
        """Measures it on labelled rows."""
        rows, truth = labels.labelled(table, self._label)
        with threadpool_limits(1, user_api="openmp"):
            probabilities = self._trees.predict_proba(bins.encode(rows, self._bins))[:, 1]
        return scoring.evaluate(rows, truth, probabilities, dataset.evaluation.slices, cluster=dataset.gate.cluster)


def _baseline(
    dataset: Dataset, schema: schema_pb2.Schema, model: Model, held_out: pa.Table, rng: np.random.Generator
) -> Baseline:
    tables = _parts(model.table, rng)
    evaluation = model.evaluate(held_out, dataset)
    return build_baseline(tables, schema, dataset.features, dataset.gate, evaluation=evaluation, statistics=None)


def _parts(table: pa.Table, rng: np.random.Generator) -> dict[int, pa.Table]:
    """Cuts the window into four spans; a group is in one."""
    if "group" not in table.column_names:
        return window(table, rng)
    span = pc.bit_wise_and(table["group"], 3).to_numpy()
    return {number + 1: table.filter(pa.array(span == number)) for number in range(4)}


def _judge(
    dataset: Dataset, schema: schema_pb2.Schema, baseline: Baseline, model: Model, tables: list[pa.Table]
) -> list[set[str]]:
    """Returns the kinds of evidence that ask for anything, span by span."""
    policy = dataclasses.replace(dataset.gate, min_rows=100)
    wanted = Settings(features=dataset.features, policy=policy, slices=dataset.evaluation.slices)
    live = assess.Live(version=str(100 * DAY), model_dir="the trees", baseline=baseline)
    earlier: list[SpanCounts] = []
    found = []
    for number, table in enumerate(tables, start=5):
        span = assess.Span(number=number, version=0, table=table, schema=schema)
        with mock.patch.object(assess, "evaluate_model", lambda *given: model.evaluate(given[1], dataset)):
            assessed = assess.assess(
                span, live, (), wanted, evaluated_at=101 * DAY, forced=False, earlier=tuple(earlier)
            )
        decision = assessed.decision
        said = {reason.kind for reason in (*decision.reasons, *decision.notes)}
        found.append({KINDS[kind] for kind in said if kind in KINDS})
        earlier.append(SpanCounts(span=number, version=0, counts=assessed.counts))
    return found


def table(found: Mapping[str, Any]) -> str:
    """Returns the false alarms of every setting, by kind of evidence."""
    columns = ["any", *KINDS.values()]
    rows = []
    for title in SETTINGS:
        for name, results in reversed(found.items()):
            if title in results:
                result = results[title]
                for size, alarms in sorted(result["alarms"].items(), key=lambda item: int(item[0])):
                    shares = [f"{alarms[kind] / result['spans']:.1%}" for kind in columns]
                    rows.append([title, name, f"{int(size):,}", str(result["spans"]), *shares])
    return markdown(["resamples", "dataset", "rows of the span", "spans", *columns], rows)
