"""Objects a line, and arrays of objects of any length and layout, without holding the file."""

import io
import json

import pytest

from pipeline.onboarding import json_objects

ROWS = [{"a": number, "b": "x] ,[{" * (number % 5)} for number in range(500)]


def read(text):
    return list(json_objects.read(io.StringIO(text)))


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    "written",
    [
        "\n".join(map(json.dumps, ROWS)),
        "\n\n".join(map(json.dumps, ROWS)) + "\r\n",
        json.dumps(ROWS),
        "\n" + json.dumps(ROWS, indent=2) + "\n",
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]",
    ],
    ids=["lines", "blank lines", "array", "indented", "an item a line"],
)
def test_wherever_the_file_is_cut_all_rows_come_in_order(monkeypatch, piece, written):
    monkeypatch.setattr(json_objects, "_PIECE", piece)

    assert read(written) == ROWS


def test_an_empty_array_has_no_rows():
    assert read("[ ]") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n[2]\n', r"line 2: expected an object. Received: \[2\]"),
        ('[{"a": 1}, 2]', "item 2 of the array: expected an object. Received: 2"),
        ('[{"a": 1}, {"a": ', "item 2 of the array: Expecting value"),
        ('[{"a": 1}', "item 2 of the array: Expecting value"),
        ('[{"a": 1}] tail', "there is more after the array's end"),
    ],
)
def test_what_is_no_row_is_said_with_its_place(text, said):
    with pytest.raises(ValueError, match=said):
        read(text)
