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


def test_a_column_that_is_absent_is_missing(model_dir):
    (row,) = instances.instances(pa.table({"price": [1.0]}), model_dir)

    assert (row["city"], row["code"]) == ("", -1)


def test_warm_up_records_hold_each_batch_as_tensors(model_dir):
    rows = [{"city": "Bern", "code": 7, "price": 0.5}, {"city": "", "code": -1, "price": float("nan")}]

    instances.write_warmup(model_dir, "shop", [rows[:1], rows])

    records = list(tf.data.TFRecordDataset(str(model_dir / instances.WARMUP_FILE)).as_numpy_iterator())
    requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    assert [request.model_spec.name for request in requests] == ["shop", "shop"]
    assert tf.make_ndarray(requests[1].inputs["code"]).tolist() == [7, -1]
    assert tf.make_ndarray(requests[1].inputs["city"]).tolist() == [b"Bern", b""]
    assert requests[0].inputs["price"].dtype == tf.float32.as_datatype_enum
