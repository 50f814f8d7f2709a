from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from columnar.numbers import as_float32, as_float64

# 2**53 + 1 lies between two neighbouring float64 numbers; the even one is 2**53. -2**63 is what a cast NaN becomes.
BEYOND = 2**53 + 1


def test_whole_numbers_beyond_2_to_53_become_the_nearest_float64():
    column = pa.chunked_array([pa.array([BEYOND, -(2**63)]), pa.array([None, 7], pa.int64())])

    result = as_float64(column)

    assert result.dtype == np.float64
    assert result[:2].tolist() == [9007199254740992.0, -9223372036854775808.0]
    assert np.isnan(result[2])
    assert result[3] == 7.0


def test_whole_numbers_are_rounded_to_float32_once():
    # Rounded to float64 first, the number would become a tie, and fall to the even neighbour below.
    number = 2**60 + 2**36 + 1

    assert as_float32(pa.array([number, None]))[0] == 2**60 + 2**37
    assert as_float32(pa.array([number]))[0] == 2**60 + 2**37


def test_floating_point_numbers_are_as_a_tf_example_stores_them():
    result = as_float64(pa.array([0.1, None, float("nan"), 1e300]))

    assert result[0] == float(np.float32(0.1))
    assert np.isnan(result[1:3]).all()
    assert result[3] == np.inf


def test_booleans_and_columns_without_a_value_are_numbers_too():
    assert as_float64(pa.array([True, False])).tolist() == [1.0, 0.0]
    assert np.isnan(as_float64(pa.array([True, None]))[1])
    assert np.isnan(as_float64(pa.nulls(2))).all()
    assert np.isnan(as_float64(pa.chunked_array([pa.nulls(1), pa.nulls(1)]))).all()
    assert len(as_float64(pa.chunked_array([], pa.int64()))) == 0


def test_text_is_not_read_as_numbers():
    with pytest.raises(TypeError, match="Received: large_string"):
        as_float64(pa.array(["1"], pa.large_string()))
