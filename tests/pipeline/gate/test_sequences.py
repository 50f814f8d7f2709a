"""Sequences of real taxi spans in which a model goes bad with its labels at hand: the gate may not stay silent.

Models are trained by our own code, small ones on the columns that tell most, without the components around it.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest

from data.taxi import source as taxi
from models import signatures, training
from models.analysis import analyze
from models.fitting import fit
from models.packed import Layout
from models.training_spec import TrainingSpec
from models.transform_graph import TransformGraph, write_transform_graph
from pipeline.config.dataset import load_dataset
from pipeline.gate import assess, gains, labels, performance, scoring, yardstick
from pipeline.gate.decision import Row, Verdict
from pipeline.gate.measuring import build_baseline
from pipeline.gate.settings import Floors, Settings

DAY = 86_400
TAXI = load_dataset("taxi")
FEATURES = dataclasses.replace(
    load_dataset("taxi").features,
    numeric=("fare", "trip_miles"),
    categorical=("payment_type", "company"),
    bucketized={},
    cyclical={},
)
SPEC = TrainingSpec(batch_size=64, epochs=5, hidden_units=(16,), embedding_size=4, learning_rate=0.01)
SETTINGS = Settings(features=FEATURES, policy=TAXI.gate)
NO_FLOORS = Floors(limits={"auc": 0.0})


@pytest.fixture(scope="module")
def schema():
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    assert TAXI.schema_path is not None
    return text_format.Parse(TAXI.schema_path.read_text(encoding="utf-8"), schema_pb2.Schema())


@pytest.fixture(scope="module")
def spans(tmp_path_factory, schema):
    kinds = {1: pa.large_string(), 2: pa.int64(), 3: pa.float64()}
    options = pa_csv.ConvertOptions(
        column_types={feature.name: kinds[feature.type] for feature in schema.feature},
        strings_can_be_null=True,
        null_values=[""],
    )
    paths = taxi.write_spans(tmp_path_factory.mktemp("taxi"))
    return {number: pa_csv.read_csv(path, convert_options=options) for number, path in enumerate(paths, start=1)}


def turned(table):
    """Who tipped does not, and who did not does."""
    fare = table["fare"].to_numpy()
    tips = np.where(labels.evaluate(table, FEATURES.label) == 1, 0.0, fare)
    return table.set_column(table.column_names.index("tips"), "tips", pa.array(tips))


@pytest.fixture(scope="module")
def train(tmp_path_factory, schema):
    """Trains on spans as the pipeline does: two thirds of the rows, and held-out rows of the newest span."""

    def train(tables, previous=None):
        folder = tmp_path_factory.mktemp("model")
        rows = {span: table.filter(pa.array(np.arange(table.num_rows) % 3 != 0)) for span, table in tables.items()}
        newest = max(tables)
        held_out = tables[newest].filter(pa.array(np.arange(tables[newest].num_rows) % 3 == 0))
        batches = [(f"{span:05d}", batch) for span, table in rows.items() for batch in table.to_batches()]
        analysis = analyze((batch for _, batch in batches), FEATURES)
        write_transform_graph(analysis, FEATURES, schema, str(folder / "transform"))
        graph = TransformGraph(str(folder / "transform"), FEATURES)
        layout = Layout.of(FEATURES, {name: len(tokens) for name, tokens in analysis.vocabularies.items()})
        fitted = fit(training.pack_batches(batches, graph, layout), layout, SPEC)
        signatures.export(
            fitted.members, fitted.task, fitted.calibration, graph, FEATURES, str(folder / "model"), rows[newest]
        )
        out_of_time, results = None, ()
        if fitted.newest_predictions is not None:
            labelled, truth = labels.labelled(rows[newest], FEATURES.label)
            out_of_time = scoring.evaluate(labelled, truth, fitted.newest_predictions, ())
            # One fold a span where the window is no longer than the ensemble is large.
            evaluations = {}
            for item in fitted.earlier:
                table, truth = labels.labelled(rows[sorted(rows)[item.span]], FEATURES.label)
                evaluations[sorted(rows)[item.span]] = scoring.evaluate(table, truth[item.rows], item.predictions, ())
            evaluations[newest] = out_of_time
            results = [r for span, e in evaluations.items() for r in performance.results_of(span, e, TAXI.gate)]
        chosen = yardstick.choose_yardstick(
            out_of_time,
            lambda: scoring.evaluate_model(folder / "model", held_out, SETTINGS),
            previous.baseline.yardstick if previous else None,
            list(tables),
            TAXI.gate,
        )
        baseline = build_baseline(
            rows,
            schema,
            FEATURES,
            TAXI.gate,
            evaluation=chosen.evaluation,
            origin=chosen.origin,
            span_results=results,
            statistics=None,
        )
        return assess.Live(version=str(100 * DAY), model_dir=folder / "model", baseline=baseline)

    return train


def decide(live, number, table, schema, floors=NO_FLOORS, tables=None):
    """Decides on a span; where all `tables` are given, a training is asked to pay, over a window of two spans."""
    past = gains.Past(window=(number - 1, number), rows_of=tables.__getitem__) if tables else None
    span = assess.Span(number=number, version=0, table=table, schema=schema)
    assessed = assess.assess(span, live, (), SETTINGS, evaluated_at=101 * DAY, forced=False, floors=floors, past=past)
    return assessed.decision


def kinds(decision):
    return {reason.kind for reason in decision.reasons}


def auc(decision):
    return next(change.current.value for change in decision.evidence.performance if change.metric == "auc")


@pytest.mark.parametrize("window", [5, 1, "one large span"])
def test_a_model_that_answers_the_wrong_way_round_is_seen_whatever_the_window(spans, train, schema, window):
    if window == "one large span":
        tables = {5: pa.concat_tables([spans[number] for number in (3, 4, 5)]), 6: spans[6]}
    else:
        tables = {number: spans[number] for number in range(7 - window, 7)}
    live = train(tables)

    clean = decide(live, 7, spans[7], schema)
    wrong = decide(live, 7, turned(spans[7]), schema)

    assert not clean.not_scored
    assert "performance" not in kinds(clean)
    assert (wrong.verdict, wrong.row) == (Verdict.RERUN, Row.PERFORMANCE)
    assert "performance" in kinds(wrong)
    assert live.baseline.origin.source == ("held_out" if window == 1 else "out_of_time")
    assert ("yardstick" in {note.kind for note in clean.notes}) == (window == 1)

    # Where nothing was stored at push, the dataset's own floors hold.
    bare = dataclasses.replace(live, baseline=dataclasses.replace(live.baseline, evaluation=None))
    floors = Floors(limits={"auc": 0.85, "expected_calibration_error": 0.05})
    assert "floor" not in kinds(decide(bare, 7, spans[7], schema, floors))
    assert "floor" in kinds(decide(bare, 7, turned(spans[7]), schema, floors))


def test_after_a_change_the_gate_asks_until_what_is_possible_is_reached(spans, train, schema):
    # A window of two spans; from span 6 on, who tips is turned round.
    tables = {number: spans[number] if number <= 5 else turned(spans[number]) for number in spans}
    live = train({4: tables[4], 5: tables[5]})

    first = decide(live, 6, tables[6], schema, tables=tables)
    live = train({5: tables[5], 6: tables[6]}, previous=live)
    mixed = decide(live, 7, tables[7], schema, tables=tables)
    # Out of time this model is a collapse; what was measured on span 5 stays the yardstick.
    assert (live.baseline.origin.span, live.baseline.evaluation.overall.auc.value > 0.9) == (5, True)
    live = train({6: tables[6], 7: tables[7]}, previous=live)
    repaired = decide(live, 8, tables[8], schema, tables=tables)
    # The same model, where span 8 is of the time before again: the change was a step.
    back = decide(live, 8, spans[8], schema, tables={**tables, 8: spans[8]})

    assert "performance" in kinds(first)
    assert auc(first) < 0.2
    assert "performance" in kinds(mixed)
    # What a training brings is measured, and it pays each time.
    assert first.evidence.challenge.expected.low > 0.3
    assert back.evidence.challenge.expected.low > 0.3
    assert {first.verdict, mixed.verdict, back.verdict} == {Verdict.RERUN}
    assert (back.row, auc(back) < 0.2) == (Row.PERFORMANCE, True)
    assert "performance" not in kinds(repaired)
    assert auc(repaired) > 0.9

    # Without labels the span is judged on its inputs, and says what the answers promise, whichever way round they are.
    inputs = spans[8].drop_columns(["tips"])
    miles = pc.multiply(inputs["trip_miles"], 1.609344)
    unmoved = decide(live, 8, inputs, schema)
    kilometres = inputs.set_column(inputs.column_names.index("trip_miles"), "trip_miles", miles)
    moved = decide(live, 8, kilometres, schema)
    assert [promise.metric for promise in unmoved.evidence.promises] == ["auc", "loss"]
    assert unmoved.evidence.promises[0].current.value == pytest.approx(auc(repaired), abs=0.05)
    assert unmoved.evidence.promises[0].before is not None
    assert (moved.verdict, moved.row) == (Verdict.RERUN, Row.DRIFT)
    assert moved.reasons[-1].text.endswith("blind to a change of the concept")
    # A training would read spans 7 and 8, of which the model has learned the one, and the other has no labels.
    waits = decide(live, 8, kilometres, schema, tables={**tables, 8: kilometres})
    assert (waits.verdict, waits.row, waits.evidence.new_labels) == (Verdict.SKIP, Row.DRIFT, False)
