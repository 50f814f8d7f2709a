"""Which period is which span, by the calendar."""

import datetime

import pytest

from pipeline.sources.periods import Calendar, begin_of, index_of, moment_text, parse_moment


def utc(*parts):
    return datetime.datetime(*parts, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("every", "moment", "begin", "end"),
    [
        ("hour", utc(2024, 2, 29, 23, 59, 59), utc(2024, 2, 29, 23), utc(2024, 3, 1)),
        ("day", utc(2024, 2, 29, 23, 59, 59), utc(2024, 2, 29), utc(2024, 3, 1)),
        # 2024-02-29 was a Thursday; the Monday before is the 26th.
        ("week", utc(2024, 2, 29), utc(2024, 2, 26), utc(2024, 3, 4)),
        ("week", utc(2024, 2, 26), utc(2024, 2, 26), utc(2024, 3, 4)),
        ("month", utc(2024, 12, 31, 12), utc(2024, 12, 1), utc(2025, 1, 1)),
        ("quarter", utc(2024, 6, 30), utc(2024, 4, 1), utc(2024, 7, 1)),
        ("year", utc(1969, 12, 31), utc(1969, 1, 1), utc(1970, 1, 1)),
        ("day", utc(1969, 12, 31, 23), utc(1969, 12, 31), utc(1970, 1, 1)),
    ],
)
def test_a_period_holds_its_begin_and_not_its_end(every, moment, begin, end):
    index = index_of(moment, every)

    assert (begin_of(index, every), begin_of(index + 1, every)) == (begin, end)
    assert index_of(begin, every) == index
    assert index_of(end, every) == index + 1


def test_spans_count_from_the_period_that_holds_the_first_moment():
    months = Calendar("month", utc(2024, 1, 15), by_date=False)

    assert months.holding(utc(2024, 1, 2)).span == 1
    assert months.of_span(14).begin == utc(2025, 2, 1)
    assert months.of_span(0) is None


def test_a_date_in_the_pattern_counts_days_since_1970():
    weeks = Calendar("week", utc(2024, 2, 26), by_date=True)

    # 2024-02-26 is 54 years and 56 days after 1970-01-01: 54 * 365 + 13 leap days + 56.
    assert weeks.holding(utc(2024, 2, 29)).span == 54 * 365 + 13 + 56
    assert weeks.of_span(19_779).begin == utc(2024, 2, 26)
    assert weeks.of_span(19_780) is None  # A Tuesday.


def test_periods_between_two_moments_are_over_at_the_second():
    days = Calendar("day", utc(2024, 1, 1), by_date=False)

    assert [one.span for one in days.between(utc(2023, 6, 1), utc(2024, 1, 4, 12))] == [1, 2, 3]
    assert list(days.between(utc(2024, 1, 1, 6), utc(2024, 1, 1, 23))) == []


def test_moments_are_utc_unless_they_say_otherwise():
    assert parse_moment("2024-03-31") == utc(2024, 3, 31)
    assert parse_moment("2024-03-31T01:00:00+02:00") == utc(2024, 3, 30, 23)
    assert moment_text(utc(2024, 3, 31)) == "2024-03-31"
    assert moment_text(utc(2024, 3, 31, 5)) == "2024-03-31 05:00:00"
