"""`:begin` and `:end` in a query."""

import pytest

from pipeline.sources.query import check_query, fill


def test_only_the_two_names_are_filled_in():
    query = """SELECT ':begin' AS text, "a:end", x::date, y -- since :begin
    /* :end */ FROM t WHERE at >= :begin AND at < :end;
    """

    assert (
        fill(query, "'2024-01-01'", "'2024-02-01'")
        == """SELECT ':begin' AS text, "a:end", x::date, y -- since :begin
    /* :end */ FROM t WHERE at >= '2024-01-01' AND at < '2024-02-01'"""
    )


def test_a_quote_inside_a_text_does_not_end_it():
    check_query("SELECT 'it''s :nothing' FROM t WHERE at >= :begin AND at < :end")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM t", ":begin is missing"),
        ("SELECT * FROM t WHERE at >= :begin -- AND at < :end", ":end is missing"),
        ("SELECT * FROM t WHERE at BETWEEN :begin AND :end AND x = :x", "expected no names but :begin and :end.*:x"),
    ],
)
def test_a_query_without_both_names_is_refused(query, message):
    with pytest.raises(ValueError, match=message):
        check_query(query)
