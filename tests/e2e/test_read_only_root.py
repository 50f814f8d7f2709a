"""A root that may not be written, such as a snapshot's, is read by every command that only reads."""

import csv
import subprocess

import pytest

from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e


@pytest.fixture
def read_only(pushed, tmp_path):
    """The pushed root once more, where the kernel lets nobody write, not even the superuser."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    try:
        subprocess.run(["mount", "--bind", pushed[0], folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting needs the superuser's rights: {error}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True, capture_output=True)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_what_only_reads_needs_no_right_to_write(read_only, pushed, tmp_path):
    version = pushed[1].json["pushed_version"]
    with (read_only / "data" / "span-5" / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:50]
    for index, row in enumerate(rows):
        row["tips"] = "" if index % 2 else "nan"  # Rows to be predicted have no labels yet.
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)

    status = run("status", "--root", read_only, "--json")
    spans = run("spans", "--root", read_only, "--json")
    report = run("report", "--root", read_only)
    drift = run("drift", "--root", read_only, "--span", 6, "--json")
    predict = run(
        "predict", "--batch", tmp_path / "rows.csv", "--root", read_only, "--output", tmp_path / "p.csv", "--json"
    )

    for done in (status, spans, report, drift, predict):
        assert done.status == 0, done.err
    assert status.json["live_version"] == version
    assert report.out.startswith(str(read_only / "reports"))
    assert drift.json["span"] == 6
    assert predict.json["rows"] == 50


@pytest.mark.parametrize("words", [("rollback",), ("run",), ("clean",)])
def test_what_writes_says_in_a_line_that_it_cannot(read_only, words):
    done = run(*words, "--root", read_only)

    assert (done.status, done.out) == (1, "")
    assert str(read_only) in done.err
    assert "ead-only" in done.err
    assert done.err.count("\n") == 1
