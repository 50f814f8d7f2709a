"""The state of spans survives crashes and says which matters are closed."""

import pytest

from pipeline import state
from pipeline.errors import PipelineError


def record(span, version=0, verdict="skip", **values):
    defaults = {"fingerprint": f"f{span}", "rows": 10, "accepted": True, "waiting": False, "examples_uri": ""}
    return state.SpanRecord(span=span, version=version, verdict=verdict, decided_at=0, **{**defaults, **values})


def test_records_are_read_back_in_order_and_the_newest_version_counts(tmp_path):
    for item in (record(10), record(2, 1), record(2, 0)):
        state.write_record(str(tmp_path), item)

    records = state.read_records(str(tmp_path))

    assert [(item.span, item.version) for item in records] == [(2, 0), (2, 1), (10, 0)]
    assert state.newest_records(records) == {2: record(2, 1), 10: record(10)}
    assert state.read_records(str(tmp_path / "absent")) == []


def test_what_is_half_written_is_not_a_record(tmp_path):
    (tmp_path / "span-1-version-0.json.123.tmp").write_text('{"span": ')

    assert state.read_records(str(tmp_path)) == []


def test_a_spoiled_record_is_named(tmp_path):
    (tmp_path / "span-1-version-0.json").write_text("{}")

    with pytest.raises(PipelineError, match=r"span-1-version-0.json is not a span's record"):
        state.read_records(str(tmp_path))


def test_a_rerun_is_settled_once_the_live_model_was_trained_on_its_span():
    records = [record(1, verdict="block"), record(2, verdict="rerun"), record(3, verdict="rerun"), record(4)]

    assert [item.span for item in state.settled(records, live_window=[1, 2])] == [1, 2, 4]


def test_the_token_changes_with_the_records():
    assert state.token([record(1)]) == state.token([record(1)])
    assert state.token([record(1)]) != state.token([record(1, verdict="block")])
