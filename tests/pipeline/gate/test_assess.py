"""Evidence is gathered in the order that decides soonest, and nothing is compared in silence."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from pipeline.gate import assess
from pipeline.gate.decision import Verdict, describe
from pipeline.gate.definition import define
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from pipeline.gate.settings import Settings
from pipeline.ingest.errors import ColumnsError
from pipeline.state import span_records
from pipeline.state.version_folder import Rollback

DAY = 86_400
SCHEMA = text_format.Parse(
    """
    feature { name: "price" type: FLOAT presence { min_fraction: 1 } float_domain { min: 0 } }
    feature { name: "city" type: BYTES presence { min_fraction: 1 } }
    feature { name: "bought" type: INT presence { min_fraction: 1 } int_domain { min: 0 max: 1 } }
    """,
    schema_pb2.Schema(),
)
SETTINGS = Settings(
    features=FeatureSpec(label="bought", numeric=("price",), categorical=("city",)),
    policy=GatePolicy(min_rows=100, max_model_age_days=30),
)


def rows(count=400, seed=1, *, price=1.0, labelled=True):
    random = np.random.default_rng(seed)
    columns = {
        "price": price * random.lognormal(size=count),
        "city": random.choice(["Bern", "Genf"], count).tolist(),
        "bought": (random.random(count) < 0.3).astype(np.int64),
    }
    table = pa.table(
        columns, schema=pa.schema({"price": pa.float64(), "city": pa.large_string(), "bought": pa.int64()})
    )
    if labelled:
        return table
    return table.set_column(2, "bought", pa.nulls(count, pa.int64()))


def span(number=5, table=None, **values):
    return assess.Span(number=number, version=0, table=rows() if table is None else table, schema=SCHEMA, **values)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A live model whose baseline is there and whose files are not: whoever scores with it fails."""
    baseline = build_baseline(
        {3: rows(seed=2), 4: rows(seed=3)}, SCHEMA, SETTINGS.features, SETTINGS.policy, evaluation=None, statistics=None
    )
    return assess.Live(version=str(100 * DAY), model_dir=tmp_path_factory.mktemp("none"), baseline=baseline)


def decide(span_, live_, records=(), *, at=101 * DAY, forced=False):
    return assess.assess(span_, live_, records, SETTINGS, evaluated_at=at, forced=forced).decision


def record(number, *, verdict="skip", accepted=True, fingerprint="other"):
    return span_records.SpanRecord(
        span=number,
        version=0,
        fingerprint=fingerprint,
        rows=1,
        verdict=verdict,
        accepted=accepted,
        waiting=False,
        examples_uri="",
        decided_at=0,
    )


def test_the_first_span_reruns(live):
    assert (decide(span(), None).verdict, decide(span(), None).row) == (Verdict.RERUN, 6)


def test_like_data_is_skipped_and_says_in_its_first_line_that_the_model_was_not_scored(live):
    decision = decide(span(), live)

    assert (decision.verdict, decision.row) == (Verdict.SKIP, 12)
    assert describe(decision).splitlines()[0] == "SKIP span 5 (400 rows), NOT SCORED"
    assert "the live model was not scored on this span: No SavedModel can be loaded from" in describe(decision)


def test_a_doubled_price_is_drift(live):
    decision = decide(span(table=rows(price=2.0)), live)

    assert (decision.verdict, decision.row) == (Verdict.RERUN, 10)
    assert decision.reasons[0].feature == "price"


def test_the_same_rows_in_another_order_are_a_repetition(live):
    first = decide(span(), live)
    shuffled = rows().take(np.random.default_rng(9).permutation(400))

    again = decide(span(number=6, table=shuffled), live, [record(5, fingerprint=first.evidence.fingerprint)])

    assert (again.verdict, again.row) == (Verdict.SKIP, 4)


def test_a_rerun_that_was_never_finished_is_no_repetition(live):
    first = decide(span(), live)
    unfinished = record(5, verdict="rerun", fingerprint=first.evidence.fingerprint)

    assert decide(span(), live, [unfinished]).row == 12


def rolled_back(live, origin=99 * DAY):
    """The live model, made live again instead of one that was trained on span 5 as well."""
    rollback = Rollback(
        origin=origin, instead_of=99 * DAY + 1, undoes=None, withdrawn_spans=(5,), made_at=int(live.version)
    )
    return dataclasses.replace(live, rollback=rollback)


def test_a_span_of_a_model_that_was_rolled_back_is_not_trained_on_again_unless_forced(live):
    trained = record(5, verdict="rerun", fingerprint=decide(span(), live).evidence.fingerprint)

    skipped = decide(span(), rolled_back(live), [trained])
    assert skipped.row == 4
    assert "a model that was trained on span 5 has been rolled back; --force trains on it all the same" in describe(
        skipped
    )
    assert decide(span(), rolled_back(live), [trained], forced=True).row == 2


def defined(live, **features):
    """The live model, made from these features and today's training."""
    columns = {"label": "bought", "numeric": ("price",), "categorical": ("city",)}
    return dataclasses.replace(live, definition=define(FeatureSpec(**{**columns, **features}), "{}", "", SCHEMA))


def test_a_changed_feature_reruns_on_the_span_that_was_trained_on(live):
    trained = record(4, fingerprint=decide(span(number=4), live).evidence.fingerprint)

    same = decide(span(number=4), defined(live), [trained])
    changed = decide(span(number=4), defined(live, numeric=(), hashed={"price": 9}), [trained])

    assert (same.row, changed.row) == (4, 3)
    assert [reason.text for reason in changed.reasons] == [
        "not as in the live model: [features] hashed: - price",
        "not as in the live model: [features] numeric: + price",
    ]


@pytest.fixture
def without_city(live):
    """A live model that was trained before `city` was a feature."""
    features = dataclasses.replace(SETTINGS.features, categorical=())
    tables = {3: rows(seed=2), 4: rows(seed=3)}
    baseline = build_baseline(tables, SCHEMA, features, SETTINGS.policy, evaluation=None, statistics=None)
    return dataclasses.replace(defined(live, categorical=()), baseline=baseline)


def assess_added(live, read_spans, *, forced=False):
    bern = rows().set_column(1, "city", pa.array(["Bern"] * 400, pa.large_string()))
    return assess.assess(
        span(table=bern), live, [], SETTINGS, evaluated_at=101 * DAY, forced=forced, read_spans=read_spans
    )


@pytest.mark.parametrize(("forced", "row"), [(False, 3), (True, 2)])
def test_an_added_feature_is_compared_with_the_training_windows_rows(without_city, forced, row):
    window = {3: rows(seed=2), 4: rows(seed=3)}

    assessed = assess_added(without_city, lambda spans: {span: window[span] for span in spans}, forced=forced)

    decision = assessed.decision
    assert (decision.row, decision.verdict) == (row, Verdict.RERUN)
    (city,) = decision.evidence.drift.features
    share = sum(table.column("city").to_pylist().count("Bern") for table in window.values()) / 800
    assert (city.feature, city.moved, city.distance) == ("city", True, pytest.approx(1 - share, abs=1e-6))
    assert decision.evidence.drift.window == (3, 4)
    assert [item.bins.name for item in assessed.distributions] == ["city"]
    assert any("`city`" in note.text for note in decision.notes)
    assert assessed.counts == ()


def test_an_added_feature_whose_window_is_gone_or_cannot_be_read_says_so(without_city):
    def cannot_be_read(_):
        raise ColumnsError("the column is missing", path="span-3/data.csv", column="city")

    gone, unreadable = assess_added(without_city, lambda _: {}), assess_added(without_city, cannot_be_read)

    (gap,) = gone.decision.evidence.not_compared
    assert gap.text == "`city` is new, and the rows of spans 3 to 4 are not there any more to compare it with"
    (gap,) = unreadable.decision.evidence.not_compared
    expected = "`city` is new, and the training window's rows have nothing to compare it with: span-3/data.csv"
    assert gap.text.startswith(expected)
    assert gone.decision.evidence.drift is None


def test_only_an_added_feature_has_the_window_read(live):
    def never(_):
        raise AssertionError("the window was read")

    changed = assess_added(defined(live, numeric=(), hashed={"price": 9}), never)

    assert (changed.decision.row, changed.decision.evidence.drift) == (3, None)


def test_a_version_without_a_definition_cannot_have_another(live):
    assert live.definition is None
    assert decide(span(), live).row == 12


def test_another_label_is_not_compared_with_the_live_models(live):
    decision = decide(span(), defined(live, label="price > 1"), forced=True)

    assert decision.row == 2
    assert [note.text for note in decision.notes] == ["not as in the live model: [label] price > 1 → bought"]


def test_a_definition_that_was_refused_on_this_content_is_not_tried_again(live):
    live = defined(live, numeric=(), hashed={"price": 9})
    first = decide(span(), live)
    refused = dataclasses.replace(assess.record_of(first, "", 101 * DAY), outcome="not_blessed")

    assert (first.row, decide(span(), live, [refused]).row) == (3, 4)
    assert decide(span(), live, [dataclasses.replace(refused, definition="another")]).row == 3
    assert decide(span(number=6, table=rows(seed=8)), live, [refused]).row == 3


def test_a_definition_that_was_never_refused_is_tried_where_no_model_is_live_too():
    refused = dataclasses.replace(assess.record_of(decide(span(), None), "", 101 * DAY), outcome="not_blessed")

    assert decide(span(), None, [refused]).row == 4
    assert decide(span(), None, [dataclasses.replace(refused, definition="another")]).row == 6


def test_a_changed_definition_does_not_bring_back_a_model_that_was_rolled_back(live):
    trained = record(5, verdict="rerun", fingerprint=decide(span(), live).evidence.fingerprint)
    live = rolled_back(defined(live, hashed={"city": 9}, categorical=()))

    assert decide(span(), live, [trained]).row == 4
    assert decide(span(number=6, table=rows(seed=8)), live, [trained]).row == 3


def test_a_rollback_makes_a_model_no_younger(live):
    assert decide(span(), rolled_back(live, origin=70 * DAY), at=101 * DAY).row == 7


def test_a_span_older_than_the_newest_accepted_one_is_late(live):
    assert decide(span(number=5), live, [record(7)]).row == 5
    assert decide(span(number=5), live, [record(7, verdict="block", accepted=False)]).row == 12


def test_impossible_prices_block_even_when_forced(live):
    table = rows().set_column(0, "price", pa.array([-99_999.0] * 4 + rows()["price"].to_pylist()[4:]))

    decision = decide(span(table=table), live, forced=True)

    assert (decision.verdict, decision.row) == (Verdict.BLOCK, 1)
    assert decision.reasons[0].feature == "price"


def test_an_old_model_and_a_forced_run_rerun(live):
    assert decide(span(), live, at=131 * DAY).row == 7
    assert decide(span(), live, at=129 * DAY).row == 12
    assert decide(span(), live, forced=True).row == 2


def test_few_rows_wait_and_count_with_the_next_span(live):
    alone = decide(span(table=rows(60)), live)
    together = decide(span(number=6, table=rows(60, seed=8), waiting={5: rows(60)}), live)

    assert (alone.verdict, alone.row) == (Verdict.SKIP, 8)
    assert assess.record_of(alone, "examples", 0).waiting
    assert (together.row, together.evidence.rows, together.evidence.waiting) == (12, 120, (5,))


def test_a_span_without_labels_is_judged_on_its_inputs(live):
    same = decide(span(table=rows(labelled=False)), live)
    moved = decide(span(table=rows(price=2.0, labelled=False)), live)

    assert (same.row, moved.row) == (12, 10)
    assert describe(same).splitlines()[0] == "SKIP span 5 (400 rows)"
    assert "the span has no labels" in describe(same)


def test_labels_may_come_in_parts(live):
    bought = rows()["bought"].to_pylist()
    table = rows().set_column(2, "bought", pa.array([*bought[:100], *[None] * 300], pa.int64()))

    decision = decide(span(table=table), live)

    assert decision.evidence.labelled_rows == decision.evidence.label.current.rows == 100
    assert describe(decision).startswith("SKIP span 5 (400 rows, 100 of them labelled (25%))")
    # When more have come, the content is another, and the span is judged again.
    assert decide(span(), live, [assess.record_of(decision, "", 0)]).row == 12


def test_a_live_model_without_a_baseline_says_that_nothing_was_compared(live, tmp_path):
    bare = assess.Live(version=str(100 * DAY), model_dir=tmp_path, baseline=None)

    decision = decide(span(), bare)

    assert decision.verdict is Verdict.SKIP
    assert "it carries no baseline" in describe(decision)
