import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate import bins


def frozen(kind, values):
    return bins.freeze(pa.table({"x": values}), {"x": kind})[0]


def counted(feature, values):
    return counted_in("x", feature, values)


def counted_in(column, feature, values):
    codes = bins.encode(pa.table({column: values}), [feature])
    return dict(zip(feature.labels(), bins.count(codes, [feature]).tolist(), strict=True))


def test_quantiles_divide_the_reference_evenly():
    feature = frozen("numeric", pa.array(np.arange(1000.0)))

    inner = [count for name, count in counted(feature, pa.array(np.arange(1000.0))).items() if " to " in name]

    # Twenty quantiles, the outer ones without the tails of 0.5 % each.
    assert len(inner) == 20
    assert set(inner[1:-1]) <= {49, 50, 51}
    assert set(inner[:1] + inner[-1:]) <= {44, 45, 46}


def test_a_point_mass_has_a_bin_of_its_own():
    values = pa.array(np.concatenate([np.zeros(100), np.linspace(1, 50, 900)]))

    assert counted(frozen("numeric", values), values)["= 0"] == 100


def test_few_values_have_one_bin_each():
    feature = frozen("numeric", pa.array([1, 2, 2, 3] * 10))

    assert feature.points == (1.0, 2.0, 3.0)


def test_missing_and_nan_share_the_bin_of_missing_values():
    feature = frozen("numeric", pa.array([1.0, 2.0, 3.0]))

    assert counted(feature, pa.array([None, float("nan"), 2.0]))["missing"] == 2


def test_the_tails_have_bins_that_are_not_empty_in_the_reference():
    values = pa.array(np.arange(1000.0))
    feature = frozen("numeric", values)

    assert (counted(feature, values)["below 4"], counted(feature, values)["above 994"]) == (4, 6)
    assert counted(feature, pa.array([-99_999.0, 500.0, float("inf")]))["above 994"] == 1


def test_rare_categories_share_the_bin_of_unseen_ones():
    feature = frozen("categorical", pa.array(["a"] * 998 + ["b", "c"]))

    assert counted(feature, pa.array(["a", "b", "new"])) == {"missing": 0, "= a": 1, "other values": 2}


def test_categories_are_counted_with_unseen_ones_as_other():
    feature = frozen("categorical", pa.array(["a", "a", "b"]))

    assert counted(feature, pa.array(["a", "c", None])) == {"missing": 1, "= a": 1, "= b": 0, "other values": 1}


def test_integers_are_categories_too():
    feature = frozen("categorical", pa.array([8, 8, 32]))

    assert counted(feature, pa.array([8, 33]))["= 8"] == 1


def test_rare_categories_beyond_the_limit_share_a_bin(monkeypatch):
    monkeypatch.setattr(bins, "TOP_VALUES", 2)

    assert frozen("categorical", pa.array(["a"] * 3 + ["b"] * 2 + ["c"])).values == ("a", "b")


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_feature_missing_throughout_is_all_missing(kind):
    feature = frozen(kind, pa.nulls(10, pa.float64()))

    assert feature.size == 2
    assert counted(feature, pa.array([None, 1.0]))["missing"] == 1


def test_a_numeric_feature_has_its_presence_counted_too():
    _, presence = bins.freeze(pa.table({"x": [1.0, None]}), {"x": "numeric"})

    assert (presence.name, presence.column) == ("x (missing)", "x")
    assert counted_in("x", presence, pa.array([None, float("nan"), 0.0])) == {"missing": 2, "present": 1}


def test_a_column_that_the_table_lacks_is_missing_throughout():
    feature = frozen("numeric", pa.array([1.0, 2.0]))

    assert bins.encode(pa.table({"y": [1, 2, 3]}), [feature]).tolist() == [[0], [0], [0]]


def test_floats_meet_their_bins_as_tf_example_stores_them():
    feature = frozen("numeric", pa.array([0.1] * 50 + [0.2] * 50))
    stored = pa.array(np.array([0.1], np.float32).astype(np.float64))

    assert counted(feature, stored)["= 0.1"] == 1


@given(st.lists(st.none() | st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200))
def test_every_value_falls_into_exactly_one_bin(values):
    column = pa.array(values, pa.float64())
    feature = frozen("numeric", column)

    found = counted(feature, column)

    assert sum(found.values()) == len(values)
    assert len(set(feature.labels())) == feature.size


def test_a_whole_number_beyond_2_to_53_is_an_extreme_and_no_crash():
    # What a NaN becomes when other software casts it to int64, and a time in nanoseconds.
    column = pa.table({"n": pa.array([*range(100), -(2**63), 1_764_374_400_000_000_001], pa.int64())})

    (numeric, _) = bins.freeze(column.slice(0, 100), {"n": "numeric"})

    codes = numeric.codes(column.column("n"))
    assert codes[100] == numeric.labels().index(f"below {numeric.edges[0]:.7g}")
    assert codes[101] == numeric.size - 1
