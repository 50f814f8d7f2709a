import gzip

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.sources import open_source, sniff


def _file(tmp_path, content, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def _rows(source):
    return [row for _, batch in source.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("text", "encoding", "separator", "expected_encoding"),
    [
        ("a,b\n1,2\n3,4\n", "utf-8", ",", "utf-8"),
        # DuckDB 2.0 takes the comma for the separator here: three fields in every row but the first.
        ("a;b\n1,5;2,5\n3,5;4,5\n", "utf-8", ";", "utf-8"),
        ("größe\tb\n1\tä\n3\tö\n", "cp1252", "\t", "cp1252"),
        ("größe|b\n1|ä\n3|ö\n", "utf-16", "|", "utf-16"),
        ("größe|b\n1|ä\n3|ö\n", "utf-16-le", "|", "utf-16-le"),
        ("größe,b\n1,ä\n3,ö\n", "utf-8-sig", ",", "utf-8"),
    ],
)
def test_separator_and_encoding_are_told_from_the_file(tmp_path, text, encoding, separator, expected_encoding):
    dialect = sniff(_file(tmp_path, text, encoding=encoding))

    assert (dialect.separator, dialect.encoding) == (separator, expected_encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_text_is_the_same_in_every_encoding(tmp_path, encoding):
    source = open_source(_file(tmp_path, "Größe;preis\nklein;1,5 €\ngroß;2,5 €\n", encoding=encoding))

    assert _rows(source) == [{"Größe": "klein", "preis": "1,5 €"}, {"Größe": "groß", "preis": "2,5 €"}]


@pytest.mark.parametrize(
    "above",
    ["sep=,\r\n", "Report of March\r\n", "Report of March,\r\n,\r\n", "# exported by x\r\n# on a day\r\n", "\r\n"],
)
def test_lines_above_the_header_are_skipped(tmp_path, above):
    source = open_source(_file(tmp_path, above + "a,b\r\n1,2\r\n3,4\r\n"))

    assert _rows(source) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_quoted_separators_quotes_and_newlines_belong_to_values(tmp_path):
    source = open_source(_file(tmp_path, 'a,b\n"x, ""y""\nz",2\n"q",3\n'))

    assert _rows(source) == [{"a": 'x, "y"\nz', "b": "2"}, {"a": "q", "b": "3"}]


def test_unnamed_columns_are_left_out_and_named(tmp_path):
    row_names = open_source(_file(tmp_path, 'a,b\n"1",x,2\n"2",y,3\n', "r.csv"))
    pandas = open_source(_file(tmp_path, "Unnamed: 0,a,b\n0,x,2\n1,y,3\n", "pandas.csv"))
    trailing = open_source(_file(tmp_path, "a,b,\nx,2,\ny,3,\n", "trailing.csv"))

    expected = [{"a": "x", "b": "2"}, {"a": "y", "b": "3"}]
    assert [_rows(source) for source in (row_names, pandas, trailing)] == [expected] * 3
    assert row_names.left_out == {"column 1": "it has no name: a row number, or a trailing separator"}
    assert pandas.left_out == {"Unnamed: 0": "pandas' index: the number of the row"}


@pytest.mark.parametrize("text", ["1,2.5,x\n2,3.5,y\n3,4.5,x\n", "red,Yes\nred,No\nblue,Yes\nred,No\nblue,No\n"])
def test_file_without_header_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"it has no header: its first row, .* holds values like the rows below"):
        open_source(_file(tmp_path, text))


def test_header_of_years_is_a_header(tmp_path):
    source = open_source(_file(tmp_path, "country,label,2019\nCH,yes,5\nDE,no,6\nFR,yes,7\n"))

    assert source.columns == ("country", "label", "2019")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04rest", "an Excel workbook or a zip archive. Save the sheet as CSV"),
        (b"only one column\n1\n2\n", "not a table: its rows do not have one number of fields"),
        (b"a,b\n", "expected a header and rows below it"),
        (b"a,a,b\n1,2,3\n", "the column 'a' is there 2 times"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        open_source(_file(tmp_path, content))


def test_gzip_and_json_lines_are_told_by_content_not_by_name(tmp_path):
    packed = open_source(_file(tmp_path, gzip.compress(b"a,b\n1,2\n3,4\n"), "packed.csv"))
    lines = open_source(_file(tmp_path, '{"a": 1, "b": ["x", "y"]}\n{"a": null, "c": true}\n', "lines.txt"))

    assert _rows(packed) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert _rows(lines) == [{"a": "1", "b": "x|y", "c": None}, {"a": None, "b": None, "c": "true"}]


def test_ragged_row_is_an_error_that_names_the_file(tmp_path):
    source = open_source(_file(tmp_path, "a,b\n" + "1,2\n" * 50 + "3\n"))

    with pytest.raises(DataError, match=r"table.csv: not a whole CSV file: .*Expected 2 columns, got 1"):
        _rows(source)


def test_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    _file(tmp_path, "a,b\n3,4\n5,6\n", "2024-02.csv")
    _file(tmp_path, "b,a\n2,1\n0,9\n", "2024-01.csv")
    _file(tmp_path, "not data", ".hidden.csv")

    source = open_source(tmp_path)

    assert [(number, batch.to_pylist()) for number, batch in source.batches()] == [
        (0, [{"b": "2", "a": "1"}, {"b": "0", "a": "9"}]),
        (1, [{"b": "4", "a": "3"}, {"b": "6", "a": "5"}]),
    ]


def test_files_of_other_columns_or_kinds_are_refused(tmp_path):
    _file(tmp_path, "a,b\n3,4\n5,6\n", "1.csv")
    _file(tmp_path, "a,c\n3,4\n5,6\n", "2.csv")
    with pytest.raises(ConfigError, match=r"2.csv: its columns differ from those of .*1.csv: 'b' is only in one"):
        open_source(tmp_path)

    _file(tmp_path, '{"a": 1, "b": 2}\n', "2.csv")
    with pytest.raises(ConfigError, match=r"expected files of one kind. Received: 1.csv \(csv\), 2.csv \(json\)"):
        open_source(tmp_path)
