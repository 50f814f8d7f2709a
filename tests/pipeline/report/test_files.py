"""Which page belongs to which run, whatever the clock says."""

import json
import os

import pytest

import local_runner
from pipeline.report import files
from pipeline.runs import records
from pipeline.runs.outcome import Result
from pipeline.state.root import Root


@pytest.fixture
def root(tmp_path):
    (tmp_path / "reports").mkdir()
    return Root(tmp_path)


def ended(root, run_id, *, page=True, span=6):
    """Records a run; returns its page."""
    run = records.EndedRun(span=span, started_at=1, ended_at=2, result=Result.SKIPPED, seconds={}, run_id=run_id)
    records.append_run(root, run)
    path = files.path_of(root, span, run_id)
    if page:
        path.write_text(run_id)
    return path


def shown(root, capsys):
    assert local_runner.main(["status", "--root", str(root.path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["last_report"]


def test_two_runs_in_one_second_have_pages_of_their_own(root):
    first, second = ended(root, "2026-01-01T00:00:00.000001"), ended(root, "2026-01-01T00:00:00.000002")

    assert (first.read_text(), second.read_text()) == ("2026-01-01T00:00:00.000001", "2026-01-01T00:00:00.000002")


def test_the_last_report_is_the_last_runs_though_its_clock_was_set_back(root, capsys):
    first = ended(root, "2026-01-02T00:00:00.5")
    second = ended(root, "2025-12-31T00:00:00.5")
    os.utime(first, (1_800_000_000, 1_800_000_000))
    os.utime(second, (1_700_000_000, 1_700_000_000))

    assert shown(root, capsys) == str(second)


def test_a_run_without_a_page_leaves_the_page_before_it(root, capsys):
    first = ended(root, "2026-01-02T00:00:00.5")
    ended(root, "2026-01-02T00:00:00.6", page=False)

    assert shown(root, capsys) == str(first)


def test_pages_of_older_releases_are_still_there(root, capsys):
    older, oldest = root.reports / "span-6-2026-01-01T00-00-00.html", root.reports / "span-5-2025-12-31T00-00-00.html"
    for age, path in enumerate((older, oldest)):
        path.write_text("")
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))

    assert files.existing(root, 6, "2026-01-01T00:00:00.123456") == older
    assert files.existing(root, 7, "2026-01-01T00:00:00.123456") is None
    assert shown(root, capsys) == str(older)
