import csv
import hashlib
import importlib.util
from pathlib import Path

import pytest

from data.taxi import source


@pytest.fixture(scope="module")
def spans(tmp_path_factory):
    return source.write_spans(tmp_path_factory.mktemp("taxi"))


def test_spans_are_quarters_and_2016(spans):
    # Counted independently with pandas over the two files of the package, by UTC quarter of trip_start_timestamp.
    assert [sum(1 for _ in span.open()) - 1 for span in spans] == [
        883, 1078, 1126, 1299, 1231, 1380, 1303, 1231, 1164, 1241, 1148, 1083, 833,
    ]  # fmt: skip
    assert [span.parent.name for span in spans] == [f"span-{number}" for number in range(1, 14)]


def test_spans_are_the_same_to_the_byte(spans):
    digests = [hashlib.sha256(spans[index].read_bytes()).hexdigest()[:16] for index in (0, 12)]

    assert digests == ["5747c87bc066ee0c", "9316b968731fde50"]


def test_every_trip_is_in_the_span_of_its_quarter(spans):
    # 2013-03-31 23:45 and 2013-04-01 00:00, UTC.
    assert source.span_of(1364773500) == 1
    assert source.span_of(1364774400) == 2
    assert source.span_of(1483228799) == 13
    with spans[4].open() as file:
        months = {row["trip_start_month"] for row in csv.DictReader(file)}
    assert months == {"1", "2", "3"}


def test_whole_numbers_are_written_as_such_and_a_column_without_values_is_left_out(spans):
    with spans[0].open() as file:
        trips = list(csv.DictReader(file))

    assert "pickup_census_tract" not in trips[0]
    assert trips[1]["trip_seconds"] == "120"
    assert trips[1]["fare"] == "3.05"


def test_a_second_call_leaves_files_alone_and_replaces_missing_ones(tmp_path):
    first = source.write_spans(tmp_path)
    written = first[3].read_bytes()
    kept = first[2].stat().st_mtime_ns
    first[3].unlink()

    assert source.write_spans(tmp_path) == first

    assert first[3].read_bytes() == written
    assert first[2].stat().st_mtime_ns == kept


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)

    with pytest.raises(OSError, match="disk full"):
        source.write_spans(tmp_path)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_tfx_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(FileNotFoundError, match=r"part of tfx 1\.21.*Install tfx"):
        source.write_spans(tmp_path)
