import numpy as np
import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import domains

SCHEMA = text_format.Parse(
    """
    feature { name: "fare" type: FLOAT float_domain { min: 0 max: 0.1 disallow_nan: true disallow_inf: true } }
    feature { name: "free" type: FLOAT }
    feature { name: "hour" type: INT int_domain { min: 0 max: 23 } }
    feature { name: "payment" type: BYTES domain: "payment" }
    feature { name: "mostly" type: BYTES domain: "payment" distribution_constraints { min_domain_mass: 0.9 } }
    feature { name: "old" type: INT int_domain { min: 0 } lifecycle_stage: DEPRECATED }
    string_domain { name: "payment" value: "Cash" value: "Card" }
    """,
    schema_pb2.Schema(),
)


def batch(**columns):
    defaults = {
        "fare": [0.0, float(np.float32(0.1))],
        "free": [-1e9, np.inf],
        "hour": [0, None],
        "payment": ["Cash", None],
        "mostly": ["Bitcoin", "Cash"],
        "old": [-1, -1],
    }
    return pa.RecordBatch.from_pydict({**defaults, **columns})


def test_values_within_their_limits_and_missing_ones_are_possible():
    # A limit of 0.1 is met by its own float32, and no limit stands in the schema for the others.
    assert domains.impossible(batch(), SCHEMA, SCHEMA_NAMES).tolist() == [False, False]


SCHEMA_NAMES = [feature.name for feature in SCHEMA.feature]


def test_each_kind_of_limit_rules_a_row_out():
    for column in ({"fare": [0.0, -1.0]}, {"fare": [0.0, np.nan]}, {"hour": [0, 24]}, {"payment": ["Card", "Bitcoin"]}):
        assert domains.impossible(batch(**column), SCHEMA, SCHEMA_NAMES).tolist() == [False, True]


def test_only_the_columns_that_are_asked_for_count():
    assert domains.impossible(batch(hour=[0, 24]), SCHEMA, ["fare"]).tolist() == [False, False]


def test_what_is_left_is_what_training_may_learn_from():
    left = domains.without_impossible(batch(hour=[24, 1]), SCHEMA, SCHEMA_NAMES)

    assert left["hour"].to_pylist() == [1]
