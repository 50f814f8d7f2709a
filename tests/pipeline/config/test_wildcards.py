"""Wildcards in the groups of [features]: which columns they take, and when they are refused."""

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.config.wildcards import expand
from pipeline.errors import ConfigError

NAMES = ("V2", "V1", "V10", "amount", "note*", "id a", "id b", "late")
SCHEMA = schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type="INT") for name in NAMES])


def test_a_wildcard_takes_what_nothing_else_names_in_the_schemas_order():
    table = {"numeric": ["amount", "V*"], "bucketized": {"V1": 4, "*o*e*": 8}, "never": ["id*"], "numeric_buckets": 8}

    assert expand(table, "t", SCHEMA, {"late"}) == {
        "numeric": ["amount", "V2", "V10"],
        "bucketized": {"V1": 4, "note*": 8},
        "never": ["id a", "id b"],
        "numeric_buckets": 8,
    }


def test_never_goes_before_a_wildcard_and_the_label_is_no_feature():
    expanded = expand({"numeric": ["*"], "never": ["V*", "amount"]}, "t", SCHEMA, {"late"})

    assert expanded == {"numeric": ["note*", "id a", "id b"], "never": ["V2", "V1", "V10", "amount"]}


def test_a_table_without_wildcards_is_as_it_was():
    table = {"numeric": ["a"], "never": "no list"}

    assert expand(table, "t", schema_pb2.Schema(), ()) is table
    assert expand("no table", "t", SCHEMA, ()) == "no table"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"numeric": ["x*"]}, "t: numeric: 'x*' matches no column of the schema. It has: V2"),
        ({"numeric": ["amount", "am*"]}, "schema: amount have a place already. It has: V2, V1, V10, amount, "),
        (
            {"numeric": ["V*"], "categorical": ["*1"]},
            "t: categorical: both 'V*' and '*1' match 'V1'. Name it in one group",
        ),
        ({"numeric": ["V*"], "hashed": {"V*": 9}}, "t: hashed: both 'V*' and 'V*' match 'V2'. Name it in one group"),
    ],
)
def test_a_wildcard_for_nothing_or_for_the_same_is_refused(table, message):
    with pytest.raises(ConfigError) as error:
        expand(table, "t", SCHEMA, {"late"})

    assert message in str(error.value)


def test_a_wildcard_needs_a_schema():
    with pytest.raises(ConfigError, match="t: a wildcard needs the key `schema`"):
        expand({"numeric": ["V*"]}, "t", schema_pb2.Schema(), ())
