"""A report that cannot be made is a warning and nothing more."""

import io
import sqlite3

import pytest

from pipeline.commands import report_after
from pipeline.commands.terminal import Terminal
from pipeline.state.root import Root


@pytest.fixture
def spoken():
    return io.StringIO()


@pytest.fixture
def terminal(spoken):
    return Terminal(io.StringIO(), spoken, quiet=True)


def test_without_metadata_there_is_a_warning_and_no_error(tmp_path, terminal, spoken):
    assert report_after.write_report(Root(tmp_path), run_id="2026", terminal=terminal) is None

    assert spoken.getvalue() == (
        f"warning: no report was written: {tmp_path}/metadata.sqlite does not exist, so nothing has run here.\n"
    )


def test_damaged_metadata_is_a_warning_too(tmp_path, terminal, spoken):
    with sqlite3.connect(tmp_path / "metadata.sqlite") as damaged:
        damaged.execute("create table Type (id int)")

    assert report_after.write_report(Root(tmp_path), run_id="2026", terminal=terminal) is None
    assert spoken.getvalue().startswith("warning: no report was written: ")


def test_a_damaged_replay_is_a_warning(tmp_path, terminal, spoken):
    (tmp_path / "replay.json").write_text("{")

    assert report_after.write_series_report(tmp_path, terminal) is None
    assert "Play the replay again" in spoken.getvalue()
