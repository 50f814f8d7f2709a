"""A journal's lines: what is appended is read, and what a crash or another program left is skipped."""

import pytest

from pipeline.state import journal


def span_of(line):
    return line["span"]


def test_what_is_appended_is_read_oldest_first(tmp_path):
    for span in (3, 1, 2):
        journal.append(tmp_path / "j", {"span": span})

    assert journal.read(tmp_path / "j", span_of) == [3, 1, 2]


def test_without_a_file_there_is_nothing(tmp_path):
    assert journal.read(tmp_path / "j", span_of) == []


@pytest.mark.parametrize("torn", [b'{"spa', b'{"span": "\xc3', b"\x00\x00"])
def test_a_torn_line_is_skipped_and_spoils_no_later_one(tmp_path, torn):
    (tmp_path / "j").write_bytes(b'{"span": 1}\n' + torn)
    journal.append(tmp_path / "j", {"span": 2})

    assert journal.read(tmp_path / "j", span_of) == [1, 2]


@pytest.mark.parametrize("foreign", ["[]", "7", "null", '"span"', "{}", '{"other": 1}', ""])
def test_a_line_of_another_layout_is_skipped(tmp_path, foreign):
    (tmp_path / "j").write_text(f'{foreign}\n{{"span": 2}}\n')

    assert journal.read(tmp_path / "j", span_of) == [2]
