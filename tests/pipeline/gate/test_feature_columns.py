"""What the gate compares of dates, derived columns, lists and texts."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.features import FeatureSpec
from pipeline.gate import drift, joint, labels
from pipeline.gate.feature_columns import compared, excluded, with_features
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy

FEATURES = FeatureSpec(
    label="late",
    numeric=("price",),
    dates=("day",),
    multivalued={"genres": "|"},
    text={"review": 16},
    derived={"ratio": "price / carat", "pair": "cross(way, genres)"},
)
SCHEMA = text_format.Parse(
    """
    feature { name: "price" type: FLOAT } feature { name: "carat" type: FLOAT } feature { name: "day" type: BYTES }
    feature { name: "genres" type: BYTES } feature { name: "review" type: BYTES } feature { name: "way" type: BYTES }
    feature { name: "late" type: INT }
    """,
    schema_pb2.Schema(),
)


def rows(count, seed, *, months=(1, 13), genres=("a", "b", "c"), word="good", carat=1.0):
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "price": random.gamma(2.0, 5.0, count),
            "carat": random.gamma(2.0, carat, count) + 0.1,
            "day": pa.array(
                [
                    f"2024-{m:02d}-{d:02d}"
                    for m, d in zip(random.integers(*months, count), random.integers(1, 29, count), strict=True)
                ],
                pa.large_string(),
            ),
            "genres": pa.array(
                ["|".join(random.choice(genres, 2, replace=False)) for _ in range(count)], pa.large_string()
            ),
            "review": pa.array(
                [f"the box is {word}" if x else "fine" for x in random.integers(0, 2, count)], pa.large_string()
            ),
            "way": pa.array(random.choice(["x", "y"], count).tolist(), pa.large_string()),
            "late": random.integers(0, 2, count),
        }
    )


@pytest.fixture(scope="module")
def baseline():
    window = {1: rows(1_500, 1), 2: rows(1_500, 2)}
    return build_baseline(window, SCHEMA, FEATURES, GatePolicy(), evaluation=None, statistics=None)


def test_a_count_of_days_is_not_compared_and_lists_are_by_one_value_and_by_their_number():
    assert [(one.name, one.distance) for one in compared(FEATURES)] == [
        ("day(day)", "numeric"),
        ("value of genres", "categorical"),
        ("number of values of genres", "numeric"),
        ("month(day)", "numeric"),
        ("pair", "categorical"),
        ("price", "numeric"),
        ("ratio", "numeric"),
        ("word of review", "categorical"),
        ("number of words of review", "numeric"),
        ("weekday(day)", "numeric"),
    ]


def test_columns_are_computed_from_raw_ones():
    table = pa.table(
        {
            "price": [2.0, None],
            "carat": [4.0, 1.0],
            "day": ["2024-02-29", None],
            "genres": ["only", None],
            "review": ["One word: one.", ""],
            "way": ["x", "y"],
        }
    )

    columns = with_features(table, FEATURES)

    assert columns["ratio"].to_pylist() == [0.5, None]
    assert columns["month(day)"].to_pylist() == [2, None]
    assert columns["value of genres"].to_pylist() == ["only", None]
    assert columns["number of words of review"].to_pylist() == [3, None]
    assert columns["word of review"][0].as_py() in ("one", "word")
    assert columns["pair"].to_pylist() == ["x × only", None]
    assert "ratio" not in with_features(table.drop_columns(["carat"]), FEATURES).column_names


def test_each_value_of_a_row_is_chosen_as_often_and_the_same_row_always_alike():
    table = pa.table({"genres": [f"a|b|row {row}" for row in range(3_000)] * 2})

    chosen = with_features(table, FEATURES)["value of genres"].to_pylist()

    assert chosen[:3_000] == chosen[3_000:]
    # A third of 3,000, with a standard deviation of 26.
    assert chosen[:3_000].count("a") == pytest.approx(1_000, abs=110)
    assert chosen[:3_000].count("b") == pytest.approx(1_000, abs=110)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({}, set()),
        ({"carat": 3.0}, {"ratio"}),
        ({"months": (1, 4)}, {"month(day)"}),
        ({"genres": ("a", "b", "d")}, {"value of genres", "pair"}),
        ({"word": "broken"}, {"word of review"}),
    ],
)
def test_drift_is_found_where_it_is(baseline, change, moved):
    found = drift.compare(rows(1_500, 3, **change), baseline, FEATURES, GatePolicy())

    assert {one.feature for one in found.drift.features if one.moved} == moved
    assert not found.not_compared


@pytest.mark.parametrize("prepare", [with_features, lambda table, _: table], ids=["computed", "absent"])
def test_computed_columns_that_go_together_as_before_are_no_joint_drift(baseline, prepare):
    table = labels.with_label(rows(1_500, 5), baseline.label)

    found = joint.compare(prepare(table, FEATURES), baseline.sample, baseline.bins, baseline.label, GatePolicy())

    assert not (found and found.moved)


def test_what_is_made_of_an_excluded_column_alone_is_excluded():
    assert excluded(FEATURES, ("genres", "ratio")) == {"value of genres", "number of values of genres", "ratio"}
    assert excluded(FEATURES, ("genres", "way")) >= {"pair"}


def test_a_derived_column_that_is_no_longer_there_is_no_drift(baseline):
    now = FeatureSpec(label="late", numeric=("price",))

    found = drift.compare(rows(500, 3), baseline, now, GatePolicy())

    assert {one.feature for one in found.drift.features} == {"late", "price", "price (missing)"}
