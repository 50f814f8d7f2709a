"""The state of spans survives crashes and says which matters are closed."""

import pytest

from pipeline.errors import PipelineError
from pipeline.state import span_records
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


def test_a_rerun_is_settled_once_the_live_model_was_trained_on_its_span():
    records = [record(1, verdict="block"), record(2, verdict="rerun"), record(3, verdict="rerun"), record(4)]

    assert [item.span for item in span_records.settled(records, live_window=[1, 2])] == [1, 2, 4]


def test_the_token_changes_with_the_records():
    assert span_records.token([record(1)]) == span_records.token([record(1)])
    assert span_records.token([record(1)]) != span_records.token([record(1, verdict="block")])
