"""The state of spans survives crashes and says which matters are closed."""

import pytest

from pipeline.errors import PipelineError
from pipeline.state import span_records
from pipeline.state.version_folder import LiveTraining
from tests.helpers.records import record


def test_records_are_read_back_in_order_and_the_newest_version_counts(tmp_path):
    for item in (record(10), record(2, 1), record(2, 0)):
        span_records.write_record(str(tmp_path), item)

    records = span_records.read_records(str(tmp_path))

    assert [(item.span, item.version) for item in records] == [(2, 0), (2, 1), (10, 0)]
    assert span_records.newest_records(records) == {2: record(2, 1), 10: record(10)}
    assert span_records.read_records(str(tmp_path / "absent")) == []


def test_what_is_half_written_is_not_a_record(tmp_path):
    (tmp_path / "span-1-version-0.json.123.tmp").write_text('{"span": ')

    assert span_records.read_records(str(tmp_path)) == []


def test_a_spoiled_record_is_named(tmp_path):
    (tmp_path / "span-1-version-0.json").write_text("{}")

    with pytest.raises(PipelineError, match=r"span-1-version-0.json is not a span's record"):
        span_records.read_records(str(tmp_path))


LIVE = LiveTraining(window=(3, 4), withdrawn=(6,), origin=100)


@pytest.mark.parametrize(
    ("values", "done"),
    [
        ({"span": 5, "verdict": "block"}, True),
        ({"span": 5, "verdict": "skip"}, True),
        ({"span": 5, "verdict": "rerun"}, False),
        ({"span": 5, "verdict": "rerun", "outcome": "not_blessed"}, True),
        # A recalibration that was refused leaves the span to be trained on.
        ({"span": 5, "verdict": "recalibrate"}, False),
        ({"span": 5, "verdict": "recalibrate", "outcome": "not_blessed"}, False),
        ({"span": 5, "verdict": "recalibrate", "outcome": "pushed"}, True),
        # The window has moved on, or the span had no labels: a later model is live all the same.
        ({"span": 5, "verdict": "rerun", "outcome": "pushed"}, True),
        ({"span": 4, "verdict": "rerun"}, True),
        ({"span": 2, "verdict": "rerun"}, True),
        ({"span": 6, "verdict": "rerun"}, True),
        # Decided while this model, which was trained on an earlier version of the span, was live already.
        ({"span": 4, "verdict": "rerun", "live_version": "100"}, False),
        # Version 120 is the same model again, after a rollback.
        ({"span": 4, "verdict": "rerun", "live_version": "120"}, False),
        ({"span": 4, "verdict": "rerun", "live_version": "90"}, True),
    ],
)
def test_a_rerun_is_done_once_it_came_to_its_end_or_a_later_model_was_trained_on_it(values, done):
    assert span_records.is_done(record(**values), LIVE) is done


def test_nothing_was_trained_on_where_no_version_is_live():
    assert not span_records.is_done(record(4, verdict="rerun"), LiveTraining())


def test_a_record_of_an_older_release_is_read_and_its_rerun_is_done_where_the_live_model_was_trained_on_it(tmp_path):
    (tmp_path / "span-4-version-0.json").write_text(
        '{"accepted": true, "decided_at": 0, "examples_uri": "", "fingerprint": "f", "rows": 9, "span": 4, '
        '"verdict": "rerun", "version": 0, "waiting": false}'
    )

    (read,) = span_records.read_records(str(tmp_path))

    assert (read.outcome, read.live_version) == ("", "")
    assert span_records.is_done(read, LIVE)
    assert not span_records.is_done(read, LiveTraining(window=(3,), origin=100))


def test_the_token_changes_with_the_records_and_with_nothing_else(tmp_path):
    span_records.write_record(str(tmp_path), record(1))
    read_back = span_records.read_records(str(tmp_path))

    assert span_records.token(read_back) == span_records.token([record(1)])
    assert span_records.token([record(1)]) != span_records.token([record(1, verdict="block")])


def test_what_a_run_adds_after_its_gate_has_decided_leaves_the_token_as_it_was():
    before = record(1, waiting=True, examples_uri="artifacts/1")
    after = record(1, waiting=False, files="f", thresholds="t")

    assert span_records.token([before]) == span_records.token([after])


def test_a_refusal_counts_under_the_thresholds_that_refused_and_before_the_span_at_hand():
    refused = {"verdict": "rerun", "outcome": "not_blessed", "thresholds": "strict"}
    records = [record(3, **refused), record(4, verdict="rerun", outcome="pushed"), record(5, 1, **refused)]

    assert span_records.refused(span_records.reopened(records, "strict")) == "3/0 5/1"
    assert span_records.refused(span_records.reopened(records, "lenient")) == ""
    assert span_records.refused(span_records.reopened(records, "lenient", since=5)) == "3/0"


def test_the_gate_takes_over_which_refusals_count():
    records = [record(3, verdict="rerun", outcome="not_blessed"), record(4, verdict="rerun", outcome="pushed")]

    assert [item.outcome for item in span_records.with_refusals(records, "3/0")] == ["not_blessed", "pushed"]
    assert [item.outcome for item in span_records.with_refusals(records, "3/1 13/0")] == ["", "pushed"]
