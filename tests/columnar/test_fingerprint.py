import time

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from columnar.fingerprint import fingerprint


def batch(**columns):
    return pa.RecordBatch.from_pydict(columns)


ROWS = {"fare": [3.25, 7.5, None, 12.0], "company": ["a", None, "b", "a"], "area": [8, 8, 32, None]}


def test_the_order_of_rows_does_not_matter():
    turned = {name: values[::-1] for name, values in ROWS.items()}

    assert fingerprint([batch(**ROWS)]) == fingerprint([batch(**turned)])


def test_batches_and_the_order_of_columns_do_not_matter():
    whole = batch(**dict(reversed(ROWS.items())))

    assert fingerprint([whole.slice(0, 1), whole.slice(1)]) == fingerprint([batch(**ROWS)])


def test_a_changed_cell_changes_it():
    assert fingerprint([batch(**{**ROWS, "area": [8, 8, 33, None]})]) != fingerprint([batch(**ROWS)])


def test_exchanging_cells_between_rows_changes_it():
    assert fingerprint([batch(**{**ROWS, "company": [None, "a", "b", "a"]})]) != fingerprint([batch(**ROWS)])


def test_exchanging_columns_changes_it():
    assert fingerprint([batch(x=[1, 2], y=[2, 1])]) != fingerprint([batch(x=[1, 2], y=[1, 2])])


def test_repeating_every_row_changes_it():
    assert fingerprint([batch(**ROWS)] * 2) != fingerprint([batch(**ROWS)])


def test_missing_differs_from_zero_and_from_the_empty_string():
    assert fingerprint([batch(x=[0.0, 1.0])]) != fingerprint([batch(x=[None, 1.0])])
    assert fingerprint([batch(x=["", "a"])]) != fingerprint([batch(x=[None, "a"])])


def test_an_absent_column_equals_one_without_values():
    empty = pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.nulls(2, pa.float64())], names=["x", "y"])

    assert fingerprint([empty]) == fingerprint([batch(x=[1, 2])])


def test_reading_through_a_tf_example_does_not_matter():
    stored = np.array([0.1, 0.2], np.float32).astype(np.float64)

    assert fingerprint([batch(x=[0.1, 0.2])]) == fingerprint([batch(x=stored)])


def test_nothing_has_a_fingerprint_too():
    assert len(fingerprint([])) == 32


@given(st.permutations(range(6)))
def test_any_order_is_equal(order):
    values = [0, 1, 2, None, 4, 4]

    assert fingerprint([batch(x=[values[i] for i in order])]) == fingerprint([batch(x=values)])


def test_a_hundred_thousand_rows_take_less_than_a_second():
    rng = np.random.default_rng(0)
    large = batch(**{f"x{i}": rng.random(100_000) for i in range(10)}, s=[str(i % 4000) for i in range(100_000)])

    start = time.process_time()
    fingerprint([large])

    assert time.process_time() - start < 1.0
