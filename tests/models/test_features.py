import pytest

from models.errors import FeatureError, LabelError
from models.features import FeatureSpec

SPEC = FeatureSpec(
    label="tips > 0.2 * fare",
    numeric=("miles", "fare"),
    bucketized={"latitude": 10},
    categorical=("company",),
    hashed={"taxi": 100},
    cyclical={"hour": 24},
)


def test_names_are_sorted_and_columns_include_the_label():
    assert SPEC.names == ("company", "fare", "hour", "latitude", "miles", "taxi")
    assert SPEC.label_columns == {"tips", "fare"}
    assert SPEC.columns == ("company", "fare", "hour", "latitude", "miles", "taxi", "tips")


def test_json_round_trip():
    assert FeatureSpec.from_json(SPEC.to_json()) == SPEC
    assert FeatureSpec.from_json(SPEC.to_json()).to_json() == SPEC.to_json()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"numeric": ("a",), "categorical": ("a",)}, "In several: a"),
        ({}, "There are no features"),
        ({"hashed": {"a\0b": 5}}, r"The column name 'a\\x00b' has the control character U\+0000. Rename the column"),
        ({"numeric": ("a\tb",)}, r"The column name 'a\\tb' has the control character U\+0009"),
        ({"categorical": ("ä" * 251,)}, r"The column name 'ä{60}…' has 502 bytes. At most 500 are allowed"),
        ({"hashed": {"": 5}}, "A column has an empty name"),
        ({"numeric": ("late",)}, "The label column 'late' is also a feature"),
        ({"bucketized": {"a": 1}}, "bucketized.a: expected an integer in \\[2, 10_000\\]. Received: 1."),
        ({"hashed": {"a": 2.5}}, "hashed.a: expected an integer in \\[2, 10_000_000\\]. Received: 2.5."),
        ({"cyclical": {"a": True}}, "cyclical.a: expected an integer .* Received: True."),
        ({"numeric": ("a",), "numeric_buckets": 1}, "numeric_buckets: expected an integer .* Received: 1."),
        ({"numeric": ("a",), "vocabulary_size": 0}, "vocabulary_size: expected an integer .* Received: 0."),
    ],
)
def test_contradictions_are_refused(settings, message):
    with pytest.raises(FeatureError, match=message):
        FeatureSpec(label="late", **settings)


def test_a_bad_label_is_refused_at_once():
    with pytest.raises(LabelError):
        FeatureSpec(label="late or early", numeric=("a",))


def test_unknown_settings_are_named():
    with pytest.raises(FeatureError, match=r"Unknown feature settings: numbers. Allowed: bucketized, "):
        FeatureSpec.from_json('{"label": "late", "numbers": ["a"]}')


def test_an_odd_label_column_cannot_be_a_feature_either():
    with pytest.raises(FeatureError, match="The label column 'Loan Status' is also a feature"):
        FeatureSpec(label="`Loan Status`", numeric=("Loan Status",))


def test_a_feature_named_like_the_label_expression_is_refused():
    with pytest.raises(FeatureError, match="A feature is named like the label expression 'a > b'"):
        FeatureSpec(label="a > b", numeric=("a > b",))
