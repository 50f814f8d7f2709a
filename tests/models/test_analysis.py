import re

import numpy as np
import pyarrow as pa
import pytest

from models.analysis import QUANTILE_ERROR, Analysis, Moments, analyze, as_float32, vocabulary_file_name
from models.errors import FeatureError
from models.features import FeatureSpec


def batches(**columns):
    return pa.table(columns).to_batches(max_chunksize=3)


def test_vocabularies_are_ordered_by_frequency_then_bytes_both_descending():
    features = FeatureSpec(label="y", categorical=("town", "code"))
    towns = ["b", "a", "c", "a", "ä", None, "", "x\ny", "z\r"]
    codes = pa.array([9, 10, 10, 9, 111, None, -1, -1, 2], pa.int64())

    result = analyze(batches(town=towns, code=codes), features)

    # TFT's documentation: "decreasing frequency and then reverse lexicographical order ... even if x is numerical".
    assert result.vocabularies == {"town": ("a", "ä", "c", "b"), "code": ("9", "10", "2", "111")}


def test_a_vocabulary_of_nothing_holds_tfts_placeholder():
    features = FeatureSpec(label="y", categorical=("town", "code"))

    result = analyze(batches(town=pa.array([None, ""]), code=pa.array([None, -1], pa.int64())), features)

    assert result.vocabularies == {"town": ("49d0cd50-04bb-48c0-bc6f-5b575dce351a",), "code": ("-1",)}


def test_vocabularies_are_limited_by_count_and_size():
    towns = ["a"] * 3 + ["b"] * 2 + ["c"] * 2 + ["d"]

    frequent = FeatureSpec(label="y", categorical=("town",), vocabulary_min_count=2)
    few = FeatureSpec(label="y", categorical=("town",), vocabulary_size=2)

    assert analyze(batches(town=towns), frequent).vocabularies["town"] == ("a", "c", "b")
    assert analyze(batches(town=towns), few).vocabularies["town"] == ("a", "c")


def test_moments_skip_missing_and_infinite_values():
    features = FeatureSpec(label="y", numeric=("x", "nothing"), numeric_buckets=2)
    x = pa.array([1.0, 2.0, 3.0, 6.0, None, float("nan"), float("inf")])

    result = analyze(batches(x=x, nothing=pa.nulls(7, pa.float64())), features)

    assert result.moments["x"].mean == pytest.approx(3.0)
    assert result.moments["x"].std == pytest.approx(np.sqrt(14 / 4))  # (4 + 1 + 0 + 9) / 4 rows.
    assert result.moments["nothing"] == Moments(mean=0.0, std=0.0)
    assert result.boundaries["nothing"] == (0.0,)
    assert result.rows == 7


def test_moments_do_not_lose_a_small_spread_around_a_large_mean():
    x = np.array([1e6 + 0.25, 1e6 - 0.25] * 5000)

    result = analyze(batches(x=x), FeatureSpec(label="y", numeric=("x",)))

    assert result.moments["x"].std == pytest.approx(0.25, rel=1e-9)


def test_boundaries_are_quantiles_within_the_sketchs_error():
    random = np.random.default_rng(3)
    x = random.lognormal(0, 2, 300_000)

    table = pa.table({"x": x})
    result = analyze(table.to_batches(max_chunksize=16_384), FeatureSpec(label="y", bucketized={"x": 10}))

    ranks = np.searchsorted(np.sort(x), result.boundaries["x"]) / len(x)
    assert np.abs(ranks - np.arange(1, 10) / 10).max() < QUANTILE_ERROR


def test_round_trip_through_files(tmp_path):
    analysis = Analysis(
        vocabularies={"town/zip": ("Zürich", "a b", "\u2028"), "none": ()},
        boundaries={"x": (0.1, 0.25)},
        moments={"x": Moments(mean=1 / 3, std=0.1)},
        rows=3,
    )

    analysis.save(tmp_path)

    assert Analysis.load(tmp_path) == analysis
    assert (tmp_path / vocabulary_file_name("town/zip")).read_text(encoding="utf-8") == "Zürich\na b\n\u2028\n"


def test_vocabulary_files_of_similar_names_differ():
    names = ["town", "Town", "a b", "a_b", "a/b", "東京", "東 京", "x" * 300, "x" * 301]

    files = [vocabulary_file_name(name) for name in names]

    assert files[0] == "vocabulary_town"
    # Files that differ in case alone are one file on macOS and Windows.
    assert len({file.lower() for file in files}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]{1,120}", file) for file in files)


def test_integers_become_float32_in_one_rounding():
    # Through float64, 2**62 + 2**38 + 1 would round to a tie and then down.
    values = pa.array([2**62 + 2**38 + 1, None], pa.int64())

    result = as_float32(values, "x")

    assert result[0] == np.float32(2**62 + 2**39)
    assert np.isnan(result[1])


@pytest.mark.parametrize(
    ("features", "columns", "message"),
    [
        ({"numeric": ("x",)}, {"x": ["a"]}, "'x' is used as a number. Received: string"),
        ({"categorical": ("x",)}, {"x": [0.5]}, "'x' is used as a category. Received: double"),
        ({"numeric": ("x",)}, {"z": [0.5]}, "'x' is not in the data. Its columns: z"),
        ({"numeric": ("x",)}, {"x": pa.array([], pa.float64())}, "no row"),
    ],
)
def test_data_that_contradicts_the_features_is_refused(features, columns, message):
    with pytest.raises(FeatureError, match=message):
        analyze(batches(**columns), FeatureSpec(label="y", **features))


def test_a_vocabulary_without_bounds_is_refused(monkeypatch):
    monkeypatch.setattr("models.analysis._MAX_DISTINCT", 3)

    with pytest.raises(FeatureError, match=r"'x' has more than 3 different values. Move it to `hashed`"):
        analyze(batches(x=list("abcde")), FeatureSpec(label="y", categorical=("x",)))


def test_a_column_of_dates_that_are_written_another_way_is_refused():
    features = FeatureSpec(label="late", numeric=("x",), derived={"weekday": "weekday(day)"})
    table = pa.table({"x": [1.0, 2.0, 3.0], "day": ["31.12.2024", "2024-12-30", "29.12.2024"]})

    with pytest.raises(FeatureError, match=r"'day' is used as a date, and 1 of its 3 texts are one.*'31\.12\.2024'"):
        analyze(table.to_batches(), features)
    half = table.set_column(1, "day", pa.array(["31.12.2024", "2024-12-30", None]))
    assert analyze(half.to_batches(), features).rows == 3
