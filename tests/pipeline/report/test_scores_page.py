"""The pages of `evaluate` and `compare`, of spans that are days and of spans that are numbers."""

import re

import pytest

from pipeline.evaluation.intervals import Estimate
from pipeline.report.scores_page import scores_page
from pipeline.selection import scores
from pipeline.selection.scores import FoldScore, Scores

DAYS = "{YYYY}/{MM}/{DD}/data.csv"


def page(pattern, spans):
    """The page of one configuration that has no AUC on its second span."""
    folds = [
        FoldScore(
            span=span,
            trained_on=(span - 1,),
            train_rows=10,
            rows=10,
            metrics={"auc": Estimate(value=0.7, low=0.6, high=0.8, rows=10)} if span != spans[1] else {},
            fit_seconds=1.0,
        )
        for span in spans
    ]
    total = scores.total("this configuration", folds)
    return scores_page(
        Scores(dataset="d", task="binary", metric="auc", window=1, contenders=(total,)),
        pattern,
    )


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        # 17500 days after 1970-01-01, and the two after.
        (DAYS, ["2017-11-30", "2017-12-01", "2017-12-02"]),
        ("span-{SPAN}/data.csv", ["17500", "17501", "17502"]),
    ],
)
def test_spans_have_their_names_below_the_chart_and_in_the_table(pattern, names):
    html = page(pattern, [17500, 17501, 17502])

    below = re.findall(r'<text[^>]*class="tick"[^>]*>([^<]+)</text>', html)
    assert [text for text in below if not text.startswith("0.")] == names
    assert re.findall(r"<tr><td>([^<]+)</td>", html) == names
    assert f"AUC: span {names[0]} 0.7, span {names[2]} 0.7" in html.replace("this configuration", "AUC")


def test_of_many_days_some_are_named():
    html = page(DAYS, list(range(17500, 17520)))

    below = re.findall(r'<text[^>]*class="tick"[^>]*>(20[^<]+)</text>', html)
    assert below == ["2017-11-30", "2017-12-04", "2017-12-08", "2017-12-12", "2017-12-16"]


def test_a_span_without_the_metric_is_named_with_the_reason():
    assert "AUC is not defined on span 8, where all labels are equal; the mean is over the others." in page(
        "{SPAN}", [7, 8, 9]
    )
