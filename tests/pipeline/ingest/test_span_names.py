"""Dated spans are dates to a person: typed, printed, and within sentences."""

import pytest

from pipeline.ingest import span_names

DATED, NUMBERED = "{YYYY}/{MM}/{DD}/data.csv", "span-{SPAN}/data.csv"


# 17501 days after 1970-01-01: 47 years with 12 leap days are 17167, 334 more are the first of December.
def test_a_span_is_its_day_where_the_pattern_has_dates():
    assert span_names.name(17501, DATED) == "2017-12-01"
    assert span_names.name(17501, NUMBERED) == "17501"
    assert span_names.number("2017-12-01") == 17501


@pytest.mark.parametrize("text", ["17501", "2017-12", "2017-02-30", "1.12.2017", ""])
def test_what_is_no_day_has_no_number(text):
    assert span_names.number(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RERUN span 17501 (1,380 rows)", "RERUN span 2017-12-01 (1,380 rows)"),
        ("trained on spans 17501 to 17503", "trained on spans 2017-12-01 to 2017-12-03"),
        ("spans 17501, 17502 and 17503 together", "spans 2017-12-01, 2017-12-02 and 2017-12-03 together"),
        ("Span 17501, 2,000 rows", "Span 2017-12-01, 2,000 rows"),
        ("Span 17501, 1 rows", "Span 2017-12-01, 1 rows"),
        ("of spans 17501 and 17502, 300 rows", "of spans 2017-12-01 and 2017-12-02, 300 rows"),
        ("over the last 6 spans", "over the last 6 spans"),
        ("version 17501, lifespan 17501", "version 17501, lifespan 17501"),
    ],
)
def test_sentences_name_days(text, expected):
    assert span_names.in_text(text, DATED) == expected
    assert span_names.in_text(text, NUMBERED) == text
