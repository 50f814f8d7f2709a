import datetime
import decimal
import math
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.ingest import parquet_reader
from pipeline.ingest.errors import ColumnsError, UnreadableError, ValueTypeError
from pipeline.ingest.reader import open_span

GOOD = {"id": [1, 2], "fare": [2.5, 3.0], "company": ["a", "ü"], "note": [None, ""], "tips": [0.5, 0.0]}


@pytest.fixture
def write(tmp_path):
    def write(columns, **options):
        path = tmp_path / "data.parquet"
        pq.write_table(pa.table(columns), path, **options)
        return os.fspath(path)

    return write


def read(path, columns):
    span = open_span([path], "parquet", columns)
    return pa.Table.from_batches(span.batches, span.schema).to_pydict()


def test_null_is_missing_and_the_empty_string_is_a_value(write, columns):
    assert read(write(GOOD), columns) == GOOD


def test_narrow_and_dictionary_types_are_widened(write, columns):
    path = write(
        {
            "id": pa.array([1, 2], pa.uint8()),
            "fare": pa.array([2, 3], pa.int32()),
            "company": pa.array(["a", "b"]).dictionary_encode(),
            "note": pa.nulls(2),
            "tips": pa.array([True, False]),
        }
    )

    assert read(path, columns) == {
        "id": [1, 2], "fare": [2.0, 3.0], "company": ["a", "b"], "note": [None, None], "tips": [1.0, 0.0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values", "text", "seconds"),
    [
        (pa.date32(), [0, -1], ["1970-01-01", "1969-12-31"], [0, -86_400]),
        (pa.date64(), [0, 86_400_000], ["1970-01-01", "1970-01-02"], [0, 86_400]),
        (pa.timestamp("s"), [61, None], ["1970-01-01T00:01:01", None], [61, None]),
        (pa.timestamp("ns"), [-1, 10**9], ["1969-12-31T23:59:59", "1970-01-01T00:00:01"], [-1, 1]),
        (pa.timestamp("ms", "Europe/Berlin"), [1, None], ["1970-01-01T00:00:00Z", None], [0, None]),
    ],
)
def test_dates_are_iso_8601_in_a_column_of_text_and_seconds_in_one_of_integers(
    write, columns, kind, values, text, seconds
):
    dates = pa.array(values, pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)

    assert read(write({**GOOD, "company": dates, "id": dates}), columns) == {**GOOD, "company": text, "id": seconds}


@pytest.mark.parametrize(
    ("lists", "text"),
    [
        (pa.array([["a", "", None, "ü b"], []]), ["a|ü b", None]),
        (pa.array([[1, -2], None]), ["1|-2", None]),
        (pa.array([[0.5], [None]], pa.large_list(pa.float32())), ["0.5", None]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), ["1|2", "3|4"]),
    ],
)
def test_lists_have_bars_between_their_items(write, columns, lists, text):
    assert read(write({**GOOD, "company": lists}), columns)["company"] == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (pa.array([2**64 - 1, None], pa.uint64()), ["18446744073709551615", None]),
        (pa.array([decimal.Decimal(2**70), None], pa.decimal128(38, 0)), ["1180591620717411303424", None]),
        (pa.array([-7, 2**53 + 1]).dictionary_encode(), ["-7", "9007199254740993"]),
        (pa.array([b"ab", None], pa.binary(2)), ["ab", None]),
    ],
)
def test_whole_numbers_are_identifiers_in_a_column_of_text(write, columns, numbers, text):
    assert read(write({**GOOD, "company": numbers}), columns)["company"] == text


def test_decimals_are_numbers(write, columns):
    cents = pa.array([decimal.Decimal("1.25"), None], pa.decimal128(9, 2))
    whole = pa.array([decimal.Decimal(2**62), None], pa.decimal128(38, 0))

    table = read(write({**GOOD, "fare": cents, "id": whole}), columns)

    assert (table["fare"], table["id"]) == ([1.25, None], [2**62, None])


def test_whole_floats_fit_an_integer_column(write, columns):
    # What pandas writes for integers with missing values.
    assert read(write({**GOOD, "id": [1.0, None]}), columns)["id"] == [1, None]


def test_nan_outside_the_label_stays_a_value(write, schema):
    from pipeline.ingest.columns import columns_of

    fares = read(write({**GOOD, "fare": [math.nan, None]}), columns_of(schema))["fare"]

    assert math.isnan(fares[0])
    assert fares[1] is None


def test_a_span_without_the_labels_own_column_is_unlabelled(write, columns):
    path = write({name: values for name, values in GOOD.items() if name != "tips"})

    assert open_span([path], "parquet", columns).labelled is False


def test_faults_name_record_and_column(write, columns):
    for change, error, message in [
        ({"id": [1.0, 1.5]}, ValueTypeError, "record 2, column 'id': expected INT. Received: 1.5"),
        ({"id": pa.array([1, 2**63], pa.uint64())}, ValueTypeError, "record 2, column 'id': expected INT"),
        ({"company": [{"a": 1}, {"a": 2}]}, ColumnsError, "column 'company': expected BYTES (UTF-8 text)"),
        ({"company": [["a"], ["b|c"]]}, ValueTypeError, "record 2, column 'company': expected BYTES (UTF-8 text)"),
        (
            {"id": [datetime.time(1), None]},
            ColumnsError,
            "column 'id': expected INT, as the schema says. Received: time",
        ),
        ({"fare": [datetime.date(2024, 1, 1), None]}, ColumnsError, "column 'fare': expected FLOAT"),
        ({"company": [b"\xff", b"b"]}, ValueTypeError, "record 1, column 'company': expected BYTES (UTF-8 text)"),
        ({"fare": ["a", "b"]}, ColumnsError, "column 'fare': expected FLOAT, as the schema says. Received: string"),
    ]:
        with pytest.raises(error) as caught:
            read(write({**GOOD, **change}), columns)
        assert f"data.parquet, {message}" in str(caught.value)


def test_labels_may_come_in_parts(write, columns):
    assert read(write({**GOOD, "tips": [0.5, None]}), columns)["tips"] == [0.5, None]


def test_records_are_counted_across_row_groups(write, columns):
    path = write({**GOOD, "company": [b"a", b"\xff"]}, row_group_size=1)

    with pytest.raises(ValueTypeError, match="record 2"):
        read(path, columns)
    with pytest.raises(ValueTypeError, match="record 2"):
        list(parquet_reader.read_row_group(path, columns, 1))
    assert parquet_reader.num_row_groups(path) == 2


def test_a_truncated_file_is_one_error(write, columns):
    path = write(GOOD)
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) // 2)

    with pytest.raises(UnreadableError, match=r"data\.parquet: not a whole Parquet file"):
        read(path, columns)


def test_a_file_without_rows_is_refused(write, columns):
    path = write(pa.table(GOOD).slice(0, 0).to_pydict() | {"tips": pa.array([], pa.float64())})

    with pytest.raises(UnreadableError, match="no rows"):
        read(path, columns)
