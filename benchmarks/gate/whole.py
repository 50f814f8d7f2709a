"""Does the whole gate ask for a rerun when nothing happened: all kinds of evidence together, as a run gathers them?

Spans go through `assess.assess`, quality, copies and the challenger included, one after the other on one baseline, so
that small moves could add up. Only the network is another: trees that were fitted on the baseline's rows stand for it,
because their answers are what the performance rows judge, and no TensorFlow is waited for.

A second of one core per span at 27,000 rows and a quarter at 1,000, of which TFDV's distances take 0.1 s and the trees
that look at relations as much; so every draw is written when it is made, and a later call adds draws to it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.ensemble import HistGradientBoostingClassifier
from tensorflow_metadata.proto.v0 import schema_pb2
from threadpoolctl import threadpool_limits

from benchmarks.gate.spans import settings, window
from benchmarks.pages import markdown
from models import predictor, recalibration
from models.calibration import Calibration
from models.thresholds import Thresholds
from pipeline.config.dataset import Dataset
from pipeline.config.schema import read_schema
from pipeline.evaluation import intervals
from pipeline.gate import assess, bins, challenger, gains, labels, scoring
from pipeline.gate.baseline import Baseline
from pipeline.gate.decision import Decision, Verdict
from pipeline.gate.measuring import build_baseline
from pipeline.gate.settings import Settings
from pipeline.state.since_push import SpanCounts

DAY = 86_400
REFERENCE_ROWS = {"taxi": 4_000, "flights": 48_000}
SIZES = {"taxi": (300, 1_000, 5_000, 9_000), "flights": (300, 1_000, 5_000, 27_000)}
SPANS = 5
"""Of a baseline, one after the other."""
MOST_PAST_ROWS = 8_000
"""That the challenger learns from, a fifth of what it takes in earnest, which only makes its promises wilder."""
NOISE = 60
GROUP = 4
KINDS = {
    "drift": "a feature",
    "lasting_drift": "spans together",
    "joint_drift": "relations",
    "performance": "performance",
    "label": "label",
    "gain": "a gain alone",
    "unusable_data": "blocked",
}
"""Kinds of evidence by their name in a decision, and as columns."""
CHANCE = "a feature, floors aside"
"""The spans in which a feature exceeds what chance alone does, whether or not that is large enough to matter."""
TRAINED = "trained"
"""The spans that were decided to be trained on: what moves and would not pay is none of them."""


@dataclass(frozen=True)
class Setting:
    """What is done to the resamples, none of which has moved.

    Attributes:
      sizes: the datasets and the sizes of their spans.
      change: of all rows before anything is drawn; given the dataset too.
      deliver: what becomes of rows that were drawn: a feed may bring some twice.
      model: what stands for the network.
      reference_rows: of the baseline, by dataset.
    """

    sizes: Mapping[str, tuple[int, ...]]
    change: Callable[[Dataset, schema_pb2.Schema, pa.Table, np.random.Generator], tuple[Dataset, pa.Table]]
    deliver: Callable[[pa.Table, np.random.Generator], pa.Table] = lambda table, _: table
    model: Callable[[Dataset, pa.Table], Model] = lambda dataset, table: Model(dataset, table)
    reference_rows: Mapping[str, int] = field(default_factory=lambda: REFERENCE_ROWS)


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
    name: str,
    spans: Mapping[int, pa.Table],
    repeats: int,
    only: str | None,
    recorded: Mapping[str, Any],
    settings_: Mapping[str, Setting] = SETTINGS,
) -> Iterator[dict[str, Any]]:
    """Draws baselines and spans from all rows, without replacement and disjoint: the same distribution, exactly.

    Yields what is known after each draw, `recorded` included.

    Args:
      repeats: spans of each size.
      only: what the titles of the settings must hold; None for all.
      recorded: of earlier draws, which are counted on from.
    """
    for title, setting in settings_.items():
        if name not in setting.sizes or (only is not None and only not in title):
            continue
        rng = np.random.default_rng(20_261_129)
        dataset = settings(name)
        assert dataset.schema_path is not None, "the shipped datasets have schemas"
        schema = read_schema(dataset.schema_path)
        dataset, pool = setting.change(dataset, schema, pa.concat_tables(list(spans.values())).combine_chunks(), rng)
        before = recorded.get(title, {"spans": 0, "alarms": {}})
        counts = {
            size: dict.fromkeys(("any", CHANCE, *KINDS.values(), TRAINED), 0) | before["alarms"].get(str(size), {})
            for size in setting.sizes[name]
        }
        for repeat in range(before["spans"] // SPANS, repeats // SPANS):
            for size, judged in _draw(name, title, setting, dataset, schema, pool, repeat):
                for found in judged:
                    counts[size]["any"] += bool(found & {*KINDS.values()})
                    for kind in found:
                        counts[size][kind] += 1
            print(f"{name}, {title}: {repeat + 1} of {repeats // SPANS}: {counts}", file=sys.stderr, flush=True)
            recorded = {
                **recorded,
                title: {
                    "target": dataset.gate.false_alarm_rate,
                    "spans": (repeat + 1) * SPANS,
                    "reference_rows": setting.reference_rows[name],
                    "alarms": {str(size): dict(alarms) for size, alarms in counts.items()},
                },
            }
            yield dict(recorded)


def _draw(
    name: str,
    title: str,
    setting: Setting,
    dataset: Dataset,
    schema: schema_pb2.Schema,
    pool: pa.Table,
    repeat: int,
) -> Iterator[tuple[int, list[set[str]]]]:
    """Draws one baseline, and yields what the gate says of spans of each size."""
    rng = np.random.default_rng([20_261_129, repeat])
    order = rng.permutation(pool.num_rows)
    group = GROUP if "groups" in title else 1
    taken = setting.reference_rows[name] // group
    reference, held_out, rest = np.split(order, [taken, taken + taken // 2])
    window_ = {number: setting.deliver(part, rng) for number, part in _parts(pool.take(reference), rng).items()}
    model = setting.model(dataset, pa.concat_tables(window_.values()))
    evaluation = model.evaluate(setting.deliver(pool.take(held_out), rng), dataset)
    baseline = build_baseline(window_, schema, dataset.features, dataset.gate, evaluation=evaluation, statistics=None)
    for size in setting.sizes[name]:
        tables = [setting.deliver(pool.take(rng.choice(rest, size // group, replace=False)), rng) for _ in range(SPANS)]
        yield size, _judge(dataset, schema, baseline, model, window_, tables)


class Model:
    """Trees over the frozen bins of the rows that it was fitted on."""

    thresholds = Thresholds()

    def __init__(self, dataset: Dataset, table: pa.Table) -> None:
        self.table, self._target, self.task = table, dataset.features.target, dataset.features.task
        kinds: dict[str, bins.Kind] = {
            name: "categorical" if name in (*dataset.features.categorical, *dataset.features.hashed) else "numeric"
            for name in dataset.features.names
        }
        self._bins = [one for one in bins.freeze(table, kinds) if one.kind != "presence"]
        self._fit(*labels.labelled(table, self._target))

    def evaluate(self, table: pa.Table, dataset: Dataset) -> scoring.Evaluation:
        """Measures it on labelled rows."""
        rows, truth = labels.labelled(table, self._target)
        slices, cluster = dataset.evaluation.slices, dataset.gate.cluster
        return scoring.evaluate(rows, truth, self.predict(rows), slices, cluster=cluster, target=self._target)

    def _fit(self, rows: pa.Table, truth: npt.NDArray[Any]) -> None:
        self._trees = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, early_stopping=False)
        with threadpool_limits(1, user_api="openmp"):
            self._trees.fit(self.encode(rows), truth)

    def encode(self, table: pa.Table) -> np.ndarray:
        """Returns the bin of each row and feature."""
        return bins.encode(table, self._bins)

    def predict(self, table: pa.Table) -> np.ndarray:
        """Returns the probability of the positive class, (rows,)."""
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(self._trees.predict_proba(self.encode(table))[:, 1])


def _parts(table: pa.Table, rng: np.random.Generator) -> dict[int, pa.Table]:
    """Cuts the window into four spans; a group is in one."""
    if "group" not in table.column_names:
        return window(table, rng)
    span = pc.bit_wise_and(table["group"], 3).to_numpy()
    return {number + 1: table.filter(pa.array(span == number)) for number in range(4)}


def _judge(
    dataset: Dataset,
    schema: schema_pb2.Schema,
    baseline: Baseline,
    model: Model,
    past: Mapping[int, pa.Table],
    tables: list[pa.Table],
) -> list[set[str]]:
    """Returns the columns of the table that count each span."""
    policy = dataclasses.replace(dataset.gate, min_rows=100)
    wanted = Settings(features=dataset.features, policy=policy, slices=dataset.evaluation.slices)
    live = assess.Live(version=str(100 * DAY), model_dir="the trees", baseline=baseline)
    earlier: list[SpanCounts] = []
    rows = {**past, **dict(enumerate(tables, start=max(past) + 1))}
    found = []
    for number in range(max(past) + 1, max(rows) + 1):
        span = assess.Span(number=number, version=0, table=rows[number], schema=schema)
        # Of the spans after the baseline some hold the same rows: what one learned of another would be no promise.
        would_read = gains.Past(window=(*sorted(past)[1:], number), rows_of=rows.__getitem__)
        with (
            mock.patch.object(predictor, "predictor_of", return_value=model),
            mock.patch.object(recalibration, "calibration_of", return_value=Calibration()),
            mock.patch.object(challenger, "MOST_PAST_ROWS", MOST_PAST_ROWS),
        ):
            assessed = assess.assess(
                span,
                live,
                (),
                wanted,
                evaluated_at=101 * DAY,
                forced=False,
                earlier=tuple(earlier),
                past=would_read,
            )
        decision = assessed.decision
        assert decision.evidence.performance or not decision.compared, "the trees were asked"
        found.append(_columns(decision))
        challenge = decision.evidence.challenge
        gain = challenge.expected.value if challenge else None
        earlier.append(SpanCounts(span=number, version=0, counts=assessed.counts, gain=gain))
    return found


def _columns(decision: Decision) -> set[str]:
    """Returns the kinds of evidence that ask for anything, and what else is counted; a gain only where it is alone."""
    said = {reason.kind for reason in (*decision.reasons, *decision.notes)}
    found = {KINDS[kind] for kind in said if kind in KINDS}
    if len(found) > 1:
        found -= {KINDS["gain"]}
    features = decision.evidence.drift.features if decision.evidence.drift else ()
    if any(one.noise is not None and one.distance > one.noise for one in features):
        found.add(CHANCE)
    return found | ({TRAINED} if decision.verdict is Verdict.RERUN else set())


def table(found: Mapping[str, Any], settings_: Mapping[str, Setting] = SETTINGS) -> str:
    """Returns the false alarms of every setting, by kind of evidence, and the interval of all of them."""
    columns = [CHANCE, *KINDS.values(), TRAINED]
    rows = []
    for title in settings_:
        for name, results in reversed(found.items()):
            if title in results:
                spans = results[title]["spans"]
                for size, alarms in sorted(results[title]["alarms"].items(), key=lambda item: int(item[0])):
                    any_ = intervals.wilson(alarms["any"], spans)
                    shares = [f"{alarms[kind] / spans:.1%}" for kind in columns]
                    both = f"{any_.value:.1%} ({any_.low:.1%} to {any_.high:.1%})"
                    rows.append([title, name, f"{int(size):,}", str(spans), both, *shares])
    return markdown(["resamples", "dataset", "rows of the span", "spans", "any (95 % interval)", *columns], rows)
