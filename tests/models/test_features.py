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
        FeatureSpec(label="late early", numeric=("a",))


def test_unknown_settings_are_named():
    with pytest.raises(FeatureError, match=r"Unknown feature settings: numbers. Allowed: bucketized, "):
        FeatureSpec.from_json('{"label": "late", "numbers": ["a"]}')


def test_an_odd_label_column_cannot_be_a_feature_either():
    with pytest.raises(FeatureError, match="The label column 'Loan Status' is also a feature"):
        FeatureSpec(label="`Loan Status`", numeric=("Loan Status",))


def test_a_feature_named_like_the_label_expression_is_refused():
    with pytest.raises(FeatureError, match="A feature is named like the label expression 'a > b'"):
        FeatureSpec(label="a > b", numeric=("a > b",))


RICH = FeatureSpec(
    label="late",
    numeric=("price", "ratio"),
    categorical=("way", "place"),
    dates=("sign up",),
    timestamps=("seen",),
    multivalued={"genres": "|"},
    text={"review": 64},
    derived={
        "ratio": "price / carat",
        "place": "way * area",
        "ago": "days_between(`sign up`, seen)",
        "weekday": "weekday(bought)",
        "is large": 'if(carat > 2 and size != "S", "yes", "no")',
    },
    multivalued_size=7,
)


def test_each_feature_is_of_its_group_or_of_what_its_expression_suggests():
    assert {feature.name: (feature.kind.group, feature.size) for feature in RICH.encoded} == {
        "ago": ("numeric", 16),
        "day(`sign up`)": ("cyclical", 31),
        "day(seen)": ("cyclical", 31),
        "days(`sign up`)": ("bucketized", 16),
        "days(seen)": ("bucketized", 16),
        "genres": ("multivalued", 7),
        "hour(seen)": ("cyclical", 24),
        "is large": ("categorical", 0),
        "month(`sign up`)": ("cyclical", 12),
        "month(seen)": ("cyclical", 12),
        "place": ("categorical", 0),
        "price": ("numeric", 16),
        "ratio": ("numeric", 16),
        "review": ("text", 64),
        "way": ("categorical", 0),
        "weekday": ("cyclical", 7),
        "weekday(`sign up`)": ("cyclical", 7),
        "weekday(seen)": ("cyclical", 7),
    }


def test_clients_send_the_columns_that_features_are_made_of():
    assert {column.name: (column.is_number, "/".join(column.types)) for column in RICH.inputs} == {
        "area": (False, "BYTES/INT"),
        "bought": (False, "BYTES/INT"),
        "carat": (True, "INT/FLOAT"),
        "genres": (False, "BYTES"),
        "price": (True, "INT/FLOAT"),
        "review": (False, "BYTES"),
        "seen": (False, "BYTES/INT"),
        "sign up": (False, "BYTES/INT"),
        "size": (False, "BYTES"),
        "way": (False, "BYTES/INT"),
    }
    assert FeatureSpec.from_json(RICH.to_json()) == RICH


def test_a_spec_without_them_is_the_same_text_as_before_there_were_derived_columns():
    assert "derived" not in SPEC.to_json()
    assert "multivalued" in FeatureSpec(label="late", multivalued={"a": ";"}).to_json()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"derived": {"a": "b / "}}, "derived.a: 'b / ', character 5, the end: expected a column"),
        ({"derived": {"a": "b + 1", "c": "a * 2"}}, "derived.c: 'a' is a derived column too. Write its expression"),
        ({"derived": {"a": "late * 2"}}, "The label column 'late' is also a feature"),
        (
            {"numeric": ("a",), "derived": {"a": 'if(b == "x", "y", "z")'}},
            "numeric: expected a number. Received: 'a' =",
        ),
        ({"hashed": {"a": 9}, "derived": {"a": "b + 1"}}, "hashed: expected a text, such as a cross. Received: 'a' ="),
        ({"dates": ("a",), "derived": {"a": "b + 1"}}, "dates: 'a' is a derived column. Expected a column of the data"),
        ({"dates": ("a",), "derived": {"month(a)": "b + 1"}}, r"Two features have the name 'month\(a\)'"),
        ({"multivalued": {"a": "x"}}, "multivalued.a: expected one to three marks .* Received: 'x'"),
        ({"text": {"a": 1}}, r"text.a: expected an integer in \[2, 16_384\]"),
        (
            {"multivalued": {"a": "|"}, "derived": {"c": "a + 1"}},
            "derived.c: 'a' is read as a number, and by multivalued",
        ),
    ],
)
def test_mistakes_in_derived_columns_and_dates_are_named(settings, message):
    with pytest.raises(FeatureError, match=message):
        FeatureSpec(label="late", **settings)
