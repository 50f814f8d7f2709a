"""Rows are sent as serialized tf.Examples to a model that takes them so."""

import base64
from types import SimpleNamespace

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.foreign_signature import ForeignSignature
from pipeline.predict.client import Signature
from pipeline.predict.examples_endpoint import by_column
from pipeline.predict.online import Notes, predict_rows
from pipeline.predict.rows import Row

SCHEMA = text_format.Parse(
    'feature { name: "fare" type: FLOAT } feature { name: "hour" type: INT } feature { name: "town" type: BYTES }',
    schema_pb2.Schema(),
)
SERVED = Signature(version=1, inputs={"examples": "DT_STRING"}, outputs=("outputs",))


def test_each_row_is_one_example_without_what_is_missing(tmp_path):
    ForeignSignature(examples="examples", output="outputs").write(str(tmp_path))
    sent = []
    server = SimpleNamespace(predict=lambda name, asked: sent.extend(asked) or [[0.25] for _ in asked])
    endpoint = by_column(server, SERVED, tmp_path, SCHEMA, ("fare", "hour", "town"))
    rows = [Row(number=1, values={"fare": 2.5, "hour": 7, "other": 1}), Row(number=2, values={"town": "Bern"})]

    found = predict_rows(rows, endpoint, "serving_default", endpoint.signature, endpoint.defaults, {}, 10, Notes())

    assert [one.outputs for one in found] == [{"outputs": [0.25]}, {"outputs": [0.25]}]
    first, second = (tf.train.Example.FromString(base64.b64decode(one["examples"]["b64"])).features for one in sent)
    assert first.feature["fare"].float_list.value == [2.5]
    assert first.feature["hour"].int64_list.value == [7]
    assert not first.feature["town"].bytes_list.value
    assert second.feature["town"].bytes_list.value == [b"Bern"]
    assert "other" not in first.feature


def test_a_model_of_columns_is_asked_as_it_is(tmp_path):
    assert by_column(None, SERVED, tmp_path, SCHEMA, ("fare",)) is None
