"""Records as any TensorFlow Serving may write them: Predict, Classify, Regress; with and without metadata."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from models.features import FeatureSpec
from monitoring.request_rows import KEY, PREDICTION, Decoder, RowFormat, probability
from tests.helpers.windows import SCHEMA

FEATURES = FeatureSpec(label="tips > 0.2 * fare", numeric=("fare",), categorical=("payment",), cyclical={"month": 12})
EXAMPLE = """
examples { features {
  feature { key: "fare" value { float_list { value: 12.5 } } }
  feature { key: "payment" value { bytes_list { value: "Cash" } } }
} }
"""


@pytest.fixture
def decoder(tmp_path):
    return Decoder(
        RowFormat(
            model="m", schema=SCHEMA, features=FEATURES, key=FEATURES.names, serving_dir=tmp_path, window_seconds=100
        )
    )


def decode(decoder, text, written_at=250.0):
    return decoder.decode(
        [text_format.Parse(text.replace("EXAMPLE", EXAMPLE), PredictionLog()).SerializeToString()], written_at
    )


def test_a_classification_without_metadata_takes_version_from_the_answer_and_time_from_the_file(decoder):
    found = decode(
        decoder,
        """classify_log {
          request { model_spec { name: "m" } input { example_list { EXAMPLE } } }
          response { model_spec { name: "m" version { value: 7 } }
            result { classifications { classes { label: "0" score: 0.75 } classes { label: "1" score: 0.25 } } } } }""",
    )

    table = found.tables[200, 7]
    assert table.select(["fare", "payment", "month", PREDICTION]).to_pylist() == [
        {"fare": 12.5, "payment": "Cash", "month": None, PREDICTION: 0.25}
    ]
    assert (found.requests[7], found.errors[7]) == (1, 0)


def test_a_regression_with_metadata(decoder):
    found = decode(
        decoder,
        """log_metadata { model_spec { name: "m" version { value: 3 } } sampling_config { sampling_rate: 0.1 }
                          timestamp_secs: 1020 }
        regress_log { request { input { example_list_with_context {
            examples { features { feature { key: "fare" value { float_list { value: 5 } } } } }
            context { features { feature { key: "payment" value { bytes_list { value: "Card" } } } } } } } }
          response { result { regressions { value: 0.5 } } } }""",
    )

    table = found.tables[1000, 3]
    assert table.select(["fare", "payment", PREDICTION]).to_pylist() == [
        {"fare": 5.0, "payment": "Card", PREDICTION: 0.5}
    ]
    assert found.represented[3] == 10


def test_the_key_is_of_the_features_alone(decoder):
    regression = """regress_log {
      request { model_spec { name: "m" version { value: VERSION } } input { example_list { EXAMPLE } } }
      response { result { regressions { value: VALUE } } } }"""

    first, second = (
        next(iter(decode(decoder, regression.replace("VERSION", version).replace("VALUE", value)).tables.values()))
        for version, value in (("1", "0.1"), ("2", "0.9"))
    )

    assert first.column(KEY).to_pylist() == second.column(KEY).to_pylist()


def test_a_record_that_is_no_request_is_dropped(decoder):
    assert decode(decoder, "session_run_log { }").dropped == {"unreadable_request": 1}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"probability": 0.25, "class": 0}, 0.25),
        ({"value": 0.5}, 0.5),
        ({"classes": ["True", "False"], "scores": [0.7, 0.3]}, 0.7),
        ({"classes": ["", ""], "scores": [0.7, 0.3]}, 0.3),
        ({"logits": [0.2, 0.8]}, 0.8),
        ({"class": 1}, None),
        ({"mean": 0.1, "deviation": 0.2}, None),
        ({"probability": float("nan")}, None),
        ({}, None),
    ],
)
def test_the_probability_is_found_in_the_answer(answer, expected):
    assert probability(answer) == expected
