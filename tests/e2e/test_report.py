"""The report of a real run: made by the run, made again from its artifacts, and looked at in a real browser."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import run
from tests.helpers import browser

pytestmark = pytest.mark.e2e

SECTIONS = [
    "Decision",
    "Data quality",
    "Statistics",
    "Training",
    "Evaluation",
    "Lineage",
    "Time and memory",
    "Configuration",
]


@pytest.fixture(scope="module")
def report(pushed) -> Path:
    """The page that the run has left, as `run --json` names it."""
    return Path(pushed[1].json["report"])


def test_a_run_leaves_its_report_and_says_where(pushed, report):
    root, done = pushed
    page = report.read_text(encoding="utf-8")

    assert report.parent == root / "reports"
    assert f"Version {done.json['pushed_version']} is live" in page
    assert f"{done.json['evaluation']['slices'][0]['value']:.3f}" in page
    assert done.json["evaluation"]["reasons"][0] in page
    assert str(root / "data" / "span-5" / "data.csv") in page
    assert json.loads(run("status", "--root", root, "--json").out)["last_report"] == str(report)


def test_it_is_found_and_made_again_from_the_artifacts_alone(pushed, report, tmp_path):
    root, _ = pushed

    found = run("report", "--span", 5, "--root", root)
    again = run("report", "--root", root, "--output", tmp_path / "again.html")

    assert (found.status, found.out) == (0, f"{report}\n")
    assert (again.status, again.out) == (0, f"{tmp_path / 'again.html'}\n")
    assert (tmp_path / "again.html").read_text() == report.read_text()


def test_a_span_that_was_never_run_has_none(pushed):
    missing = run("report", "--span", 9, "--root", pushed[0])

    assert missing.status == 1
    first, hint = missing.err.splitlines()
    assert first == f"error: Span 9 has not been run in {pushed[0]}. Spans that have: 5."
    assert hint.startswith("To run it: ")
    assert hint.endswith("--span 9")


def test_it_can_be_looked_at_by_everyone(report):
    with browser.started() as chromium:
        for width, scheme in ((1400, "light"), (380, "light"), (1400, "dark"), (380, "dark")):
            with browser.opened(chromium, report, width, scheme) as seen:
                assert seen.overflow == 0, (width, scheme)
                assert seen.violations() == [], (width, scheme)
            assert (seen.messages, seen.requests) == ([], [report.as_uri()])
        with browser.opened(chromium, report, 1400, "light", scripts=False) as seen:
            assert seen.page.locator("main h2").all_inner_texts() == SECTIONS
            assert seen.page.locator("svg.chart").count() > 20
