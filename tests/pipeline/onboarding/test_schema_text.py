"""A schema is widened where a person would widen it, and every other character stays."""

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.errors import ConfigError
from pipeline.onboarding import schema_text

SCHEMA = """# Curated by hand.
feature {
  name: "payment"  # how it was paid; not "name: x"
  type: BYTES
  string_domain {
    # Cash first.
    value: "Cash"
    value: "Credit Card"
  }
}
feature { name: "fare" type: FLOAT float_domain { min: 0 max: 1000.5 disallow_nan: true } }
feature {
  name: "hour"
  type: INT
  int_domain <
    min: 0
    max: 23
  >
}
feature { name: "colour" type: BYTES domain: "colours" }
feature { name: 'it\\'s "odd" {' type: BYTES string_domain { value: "a" } }
feature { name: "open" type: BYTES }
string_domain { name: "colours" value: "red" value: "blue" }
"""


def changed(before, after):
    """The lines that differ, as a person sees them in a diff."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_a_value_goes_below_the_last_one():
    assert changed(SCHEMA, schema_text.add_value(SCHEMA, "payment", "Mobile")) == ([], ['    value: "Mobile"'])


def test_a_value_of_a_shared_domain_goes_on_its_line():
    assert changed(SCHEMA, schema_text.add_value(SCHEMA, "colour", "green")) == (
        ['string_domain { name: "colours" value: "red" value: "blue" }'],
        ['string_domain { name: "colours" value: "red" value: "blue" value: "green" }'],
    )


def test_a_name_with_quotes_and_braces_is_found_and_a_value_with_them_is_escaped():
    after = schema_text.add_value(SCHEMA, 'it\'s "odd" {', 'b"\\')

    (feature,) = [one for one in text_format.Parse(after, schema_pb2.Schema()).feature if one.name.startswith("it's")]
    assert list(feature.string_domain.value) == ["a", 'b"\\']


@pytest.mark.parametrize(
    ("column", "value", "old", "new"),
    [
        ("fare", 1200, "max: 1000.5", "max: 1200"),
        ("fare", -2.5, "min: 0", "min: -2.5"),
        ("hour", 24, "    max: 23", "    max: 24"),
    ],
)
def test_a_limit_moves_to_the_number(column, value, old, new):
    (before,), (after,) = changed(SCHEMA, schema_text.widen(SCHEMA, column, value))

    assert after == before.replace(old, new)


def test_a_column_goes_to_the_end():
    assert schema_text.add_column(SCHEMA, "tip %", "FLOAT") == (
        f'{SCHEMA}feature {{\n  name: "tip %"\n  type: FLOAT\n}}\n'
    )


def test_what_is_there_already_changes_nothing():
    assert schema_text.add_value(SCHEMA, "payment", "Cash") == SCHEMA


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: schema_text.add_value(SCHEMA, "open", "x"), "'open' has no closed domain of texts"),
        (
            lambda: schema_text.add_value(SCHEMA, "nothing", "x"),
            "the schema has no column 'nothing'. It has: payment",
        ),
        (lambda: schema_text.widen(SCHEMA, "hour", 23.5), "'hour' holds whole numbers (INT). Received: 23.5."),
        (lambda: schema_text.widen(SCHEMA, "fare", 3), "3 lies within the limits of 'fare' already"),
        (lambda: schema_text.add_column(SCHEMA, "fare", "INT"), "the schema has a column 'fare' already"),
        (
            lambda: schema_text.add_value('feature { name: "a" string_domain { value: ["x", "y"] } }', "a", "z"),
            "only a person can change",
        ),
    ],
)
def test_what_cannot_be_done_is_said(change, said):
    with pytest.raises(ConfigError) as caught:
        change()

    assert said in str(caught.value)
