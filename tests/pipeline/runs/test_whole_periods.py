"""A dated span is over when its period is, in UTC."""

import dataclasses
import datetime

import pytest

from pipeline.config.dataset import load_dataset
from pipeline.ingest import span_names
from pipeline.runs import whole_periods


def dataset(pattern="{YYYY}/{MM}/{DD}/data.csv", **settings):
    taxi = load_dataset("taxi")
    return dataclasses.replace(taxi, spans=dataclasses.replace(taxi.spans, pattern=pattern, **settings))


def at(text):
    return datetime.datetime.fromisoformat(f"{text}+00:00").timestamp()


@pytest.mark.parametrize(
    ("every", "end"),
    [("day", "2024-02-02"), ("week", "2024-02-05"), ("month", "2024-03-01"), ("quarter", "2024-04-01")],
)
def test_the_span_of_a_first_day_is_over_with_its_period(every, end):
    span = span_names.number("2024-02-01")  # A Thursday.
    files = {span - 31: "before", span: "newest"}

    before = whole_periods.whole(files, dataset(every=every), at(f"{end}T00:00:00") - 1)
    after = whole_periods.whole(files, dataset(every=every), at(f"{end}T00:00:00"))

    assert span not in before
    assert after == files


def test_nobody_waits_where_spans_are_numbers_or_the_setting_says_so():
    span, now = span_names.number("2024-02-01"), at("2024-02-01T12:00:00")

    assert whole_periods.open_spans([span], dataset("span-{SPAN}/data.csv"), now) == {}
    assert whole_periods.open_spans([span], dataset(whole_periods=False), now) == {}
    assert list(whole_periods.open_spans([span], dataset(), now)) == [span]
