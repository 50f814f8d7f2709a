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


def test_a_shortened_journal_holds_the_newest_lines_and_counts_the_others(tmp_path):
    path = tmp_path / "j"
    for span in range(1, 13):
        journal.append(path, {"span": span, "result": "pushed" if span % 3 else "failed"})
    before = path.read_bytes()

    journal.shorten(path, 10, lambda line: line["result"])
    # Not before there are a quarter more.
    assert path.read_bytes() == before
    journal.append(path, {"span": 13, "result": "pushed"})
    journal.shorten(path, 10, lambda line: line["result"])

    assert journal.read(path, span_of) == list(range(4, 14))
    # Spans 1 to 3.
    assert journal.forgotten(path) == {"pushed": 2, "failed": 1}


def test_a_journal_that_is_shortened_again_counts_on(tmp_path):
    path = tmp_path / "j"
    for span in range(1, 41):
        journal.append(path, {"span": span})
        journal.shorten(path, 4, lambda line: "even" if line["span"] % 2 == 0 else "odd")

    kept = journal.read(path, span_of)
    assert kept == list(range(41 - len(kept), 41))
    assert len(kept) < 6
    assert sum(journal.forgotten(path).values()) + len(kept) == 40
    assert journal.forgotten(path)["odd"] == 20 - sum(span % 2 for span in kept)


def test_what_was_torn_or_foreign_counts_nowhere(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b'{"spa\n[]\n{}\n{"span": 1}\n' + b'{"span": 2}\n' * 8)

    journal.shorten(path, 8, lambda line: str(line["span"]))

    assert journal.forgotten(path) == {"1": 1}
    assert journal.forgotten(tmp_path / "none") == {}
