"""The page of a run whose data attacks it: escaped, small enough, and laid out in a real browser."""

import dataclasses
import html

import pytest

from pipeline.report.render import run_page
from tests.helpers import browser, reports_of

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def page() -> str:
    return run_page(reports_of.hostile())


@pytest.fixture(scope="module")
def path(page, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "hostile.html"
    file.write_text(page, encoding="utf-8")
    return file


def test_what_the_data_says_is_never_markup(page):
    assert "<script" not in page
    assert "<img" not in page
    assert html.escape(reports_of.SCRIPT).replace("&#x27;", "&#39;") in page
    assert "49" not in page.split("{{ 7 * 7 }}")[1][:5]
    assert page.count("</html>") == 1


def test_a_report_of_500_columns_stays_small(page):
    assert len(page.encode()) < MOST_BYTES


def test_a_model_that_was_not_scored_stands_in_the_headline():
    report = reports_of.hostile()
    evidence = dataclasses.replace(report.decision.evidence, performance=(), floors=(), labelled=True, changes=())
    not_scored = dataclasses.replace(report, decision=dataclasses.replace(report.decision, evidence=evidence))

    assert not_scored.decision.not_scored
    assert "NOT SCORED" in run_page(not_scored).split("</h1>")[0]
    assert "NOT SCORED" not in run_page(report).split("</h1>")[0]


def test_it_is_laid_out_on_a_phone_and_on_a_wide_screen(path):
    with browser.started() as chromium:
        for width in (380, 1400):
            with browser.opened(chromium, path, width, "light") as seen:
                title = seen.page.title()
                assert seen.overflow == 0
                seen.page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
                assert seen.overflow == 0
            assert (seen.messages, seen.requests) == ([], [path.as_uri()])
            assert "owned" not in title.partition("document.title")[0]
