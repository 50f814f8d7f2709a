"""Rows as clients send them, and warm-up requests that a server can replay."""

import json
import math

import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pipeline.predict import instances

DEFAULTS = {
    "city": {"dtype": "string", "missing": ""},
    "code": {"dtype": "int64", "missing": -1},
    "price": {"dtype": "float32", "missing": "NaN"},
}


@pytest.fixture
def model_dir(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "feature_defaults.json").write_text(json.dumps(DEFAULTS))
    return tmp_path


def test_a_missing_value_becomes_the_documented_default(model_dir):
    table = pa.table({"price": [0.1, None], "code": [7, None], "city": ["Bern", None], "no_input": [1, 2]})

    first, second = instances.instances(table, model_dir)

    assert first == {"city": "Bern", "code": 7, "price": 0.1}
    assert (second["city"], second["code"]) == ("", -1)
    assert math.isnan(second["price"])


def test_a_list_is_written_with_its_separator_and_no_item_may_hold_it():
    inputs, separators = {"genres": "DT_STRING"}, {"genres": "|"}

    row = instances.instance({"genres": ["war", None, 7]}, inputs, {}, separators)

    assert row == {"genres": "war|7"}
    assert instances.instance({"genres": "war|drama"}, inputs, {}, separators) == {"genres": "war|drama"}
    with pytest.raises(instances.InputError, match=r"genres: expected values without '\|'. Received: 'a\|b'"):
        instances.instance({"genres": ["a|b"]}, inputs, {}, separators)


def test_a_column_that_is_absent_is_missing(model_dir):
    (row,) = instances.instances(pa.table({"price": [1.0]}), model_dir)

    assert (row["city"], row["code"]) == ("", -1)


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("DT_INT64", "8", 8),
        ("DT_INT64", "8.0", 8),
        ("DT_INT64", "True", 1),
        ("DT_INT64", 1e16, 10**16),
        ("DT_INT64", False, 0),
        ("DT_FLOAT", "0.1", 0.1),
        ("DT_FLOAT", 0.10000000149011612, 0.1),  # The float32 that is nearest to 0.1, as float64.
        ("DT_DOUBLE", 0.10000000149011612, 0.10000000149011612),
        ("DT_FLOAT", "1e300", 1e300),
        ("DT_FLOAT", "TRUE", 1.0),
        ("DT_BOOL", "false", False),
        ("DT_STRING", "8.0", "8.0"),
        ("DT_FLOAT", ["left to the server"], ["left to the server"]),
    ],
)
def test_a_value_is_written_the_same_from_a_table_and_from_a_file(dtype, value, expected):
    row = instances.instance({"x": value, "no input": 1}, {"x": dtype}, {})

    assert row == {"x": expected}
    assert type(row["x"]) is type(expected)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("DT_INT64", "8.5", "x: expected a whole number. Received: '8.5'"),
        ("DT_INT64", "0x10", "x: expected a whole number. Received: '0x10'"),
        ("DT_INT64", float("inf"), "x: expected a whole number. Received: inf"),
        ("DT_FLOAT", "1_000", "x: expected a number. Received: '1_000'"),
        ("DT_FLOAT", "", "x: expected a number. Received: ''"),
        ("DT_STRING", 4, "x: expected text. Received: 4"),
        ("DT_BOOL", "1", "x: expected true or false. Received: '1'"),
        ("DT_FLOAT", None, "x: the value is missing, and nothing says what stands for it"),
    ],
)
def test_a_value_that_an_input_cannot_hold_is_named(dtype, value, message):
    with pytest.raises(instances.InputError) as caught:
        instances.instance({"x": value}, {"x": dtype}, {"y": 1})

    assert str(caught.value) == message


def test_warm_up_records_hold_each_batch_as_tensors(model_dir):
    rows = [{"city": "Bern", "code": 7, "price": 0.5}, {"city": "", "code": -1, "price": float("nan")}]

    instances.write_warmup(model_dir, "shop", [rows[:1], rows])

    records = list(tf.data.TFRecordDataset(str(model_dir / instances.WARMUP_FILE)).as_numpy_iterator())
    requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    assert [request.model_spec.name for request in requests] == ["shop", "shop"]
    assert tf.make_ndarray(requests[1].inputs["code"]).tolist() == [7, -1]
    assert tf.make_ndarray(requests[1].inputs["city"]).tolist() == [b"Bern", b""]
    assert requests[0].inputs["price"].dtype == tf.float32.as_datatype_enum
