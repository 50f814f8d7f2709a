"""Rows by the values of one or more columns."""

import pyarrow as pa

from pipeline.evaluation.slicing import groups


def grouped(*columns):
    return {key: rows.tolist() for key, rows in groups(columns)}


def test_each_value_has_its_rows_ascending():
    assert grouped(pa.array(["b", "a", "b", "a"])) == {("a",): [1, 3], ("b",): [0, 2]}


def test_columns_are_crossed_and_only_what_occurs_is_a_group():
    assert grouped(pa.array([1, 1, 2]), pa.array(["x", "y", "x"])) == {(1, "x"): [0], (1, "y"): [1], (2, "x"): [2]}


def test_a_row_with_null_or_nan_in_any_column_is_in_no_group():
    floats, texts = pa.array([0.5, float("nan"), None, 0.5]), pa.array(["x", "x", "x", None])

    assert grouped(floats, texts) == {(0.5, "x"): [0]}


def test_chunks_are_one_column():
    assert grouped(pa.chunked_array([["a", "b"], ["b"]])) == {("a",): [0], ("b",): [1, 2]}


def test_columns_without_rows_or_values_have_no_group():
    assert grouped(pa.array([], pa.int64())) == {}
    assert grouped(pa.nulls(2, pa.large_string()), pa.array([1, 2])) == {}
