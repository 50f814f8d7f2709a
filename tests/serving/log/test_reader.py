"""Logged requests read back as tf.Examples; the records are written in text form."""

import logging

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.log.reader import LogFile, log_files, logged_rows, read_logs
from serving.log.tfrecord import frame

META = """
log_metadata {
  model_spec { name: "taxi" version { value: 7 } signature_name: "serving_default" }
  sampling_config { sampling_rate: 0.5 } timestamp_secs: 1795590347
}
"""


def parse(text):
    return text_format.Parse(META + text, PredictionLog())


def example(text):
    return text_format.Parse(text, tf.train.Example())


PREDICT = parse("""
predict_log {
  request {
    inputs { key: "miles" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [1.5, nan] } }
    inputs { key: "company" value { dtype: DT_STRING tensor_shape { dim { size: 2 } } string_val: ["", "Blue"] } }
    inputs { key: "area" value { dtype: DT_INT64 tensor_shape { dim { size: 2 } } int64_val: [-1, 8] } }
    inputs { key: "hour" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [23, 4] } }
  }
  response {
    outputs { key: "probability" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [0.25, 0.5] } }
    outputs { key: "pair" value { dtype: DT_INT64 tensor_shape { dim { size: 2 } dim { size: 2 } }
                                  int64_val: [1, 2, 3, 4] } }
  }
}
""")


def test_named_tensors_become_examples_without_what_stands_for_missing():
    missing = {"miles": "NaN", "company": "", "area": -1, "hour": "NaN"}
    first, second = logged_rows(PREDICT, missing, kinds={"hour": "INT"})

    assert first.example == example("""features {
      feature { key: "miles" value { float_list { value: 1.5 } } }
      feature { key: "hour" value { int64_list { value: 23 } } } }""")
    assert second.example == example("""features {
      feature { key: "company" value { bytes_list { value: "Blue" } } }
      feature { key: "area" value { int64_list { value: 8 } } }
      feature { key: "hour" value { int64_list { value: 4 } } } }""")
    assert [row.answer for row in (first, second)] == [
        {"probability": 0.25, "pair": [1, 2]},
        {"probability": 0.5, "pair": [3, 4]},
    ]
    assert (first.model, first.version, first.signature) == ("taxi", 7, "serving_default")
    assert (first.answered_at, first.sampling_rate) == (1795590347, 0.5)


def test_without_a_list_of_what_stands_for_missing_only_nan_is_left_out():
    _, second = logged_rows(PREDICT)

    assert sorted(second.example.features.feature) == ["area", "company", "hour"]
    assert second.example.features.feature["hour"].float_list.value == [4]


def test_a_fraction_where_the_schema_has_whole_numbers_is_an_error():
    with pytest.raises(ValueError, match=r"miles: expected whole numbers.* Received: \[1\.5\]"):
        logged_rows(PREDICT, {}, kinds={"miles": "INT"})


def test_serialized_examples_are_taken_as_they_are():
    asked = [example(f'features {{ feature {{ key: "a" value {{ int64_list {{ value: {n} }} }} }} }}') for n in (1, 2)]
    log = parse("")
    log.predict_log.request.inputs["examples"].CopyFrom(
        tf.make_tensor_proto([one.SerializeToString() for one in asked])
    )

    rows = logged_rows(log)

    assert [row.example for row in rows] == asked
    assert [row.answer for row in rows] == [{}, {}]


def test_a_request_whose_tensors_are_no_rows_is_an_error():
    log = parse("")
    log.predict_log.request.inputs["a"].CopyFrom(tf.make_tensor_proto([1, 2]))
    log.predict_log.request.inputs["b"].CopyFrom(tf.make_tensor_proto([1, 2, 3]))

    with pytest.raises(ValueError, match=r"inputs of a logged request differ in their first dimension: \[2, 3\]"):
        logged_rows(log)


INPUT = """input { example_list_with_context {
  context { features { feature { key: "day" value { int64_list { value: 3 } } } } }
  examples { features { feature { key: "a" value { float_list { value: 1 } } } } } } }"""
BOTH = example("""features { feature { key: "day" value { int64_list { value: 3 } } }
                            feature { key: "a" value { float_list { value: 1 } } } }""")
CLASSES = 'classifications { classes { label: "0" score: 0.75 } classes { label: "1" score: 0.25 } }'


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            f"classify_log {{ request {{ {INPUT} }} response {{ result {{ {CLASSES} }} }} }}",
            {"classes": ["0", "1"], "scores": [0.75, 0.25]},
        ),
        (
            f"regress_log {{ request {{ {INPUT} }} response {{ result {{ regressions {{ value: 2.5 }} }} }} }}",
            {"value": 2.5},
        ),
        (
            f"""multi_inference_log {{ request {{ {INPUT} }} response {{
              results {{ model_spec {{ signature_name: "c" }} classification_result {{ {CLASSES} }} }}
              results {{ model_spec {{ signature_name: "r" }} regression_result {{ regressions {{ value: 2.5 }} }} }}
            }} }}""",
            {"c/classes": ["0", "1"], "c/scores": [0.75, 0.25], "r/value": 2.5},
        ),
    ],
    ids=["classify", "regress", "multi_inference"],
)
def test_classify_and_regress_inputs_are_examples_with_their_context(text, answer):
    (row,) = logged_rows(parse(text))

    assert row.example == BOTH
    assert row.answer == answer


def test_a_record_of_another_kind_is_an_error():
    with pytest.raises(ValueError, match="Received: session_run_log"):
        logged_rows(parse("session_run_log {}"))


def test_lists_closed_files_by_their_start(tmp_path):
    for name in (
        "requests-20261125T071531.000000Z-9-1.tfrecord",
        "requests-20261125T071530.500000Z-9-2.tfrecord",
        ".requests-20261125T071532.000000Z-9-3.tfrecord.unfinished",
        "notes.txt",
    ):
        (tmp_path / name).touch()

    # 2026-11-25T07:15:30Z is 1795590930 seconds after 1970 (date -u -d 2026-11-25T07:15:30Z +%s).
    assert log_files(tmp_path) == [
        LogFile(tmp_path / "requests-20261125T071530.500000Z-9-2.tfrecord", 1795590930.5),
        LogFile(tmp_path / "requests-20261125T071531.000000Z-9-1.tfrecord", 1795590931.0),
    ]
    assert log_files(tmp_path / "nothing here") == []


def test_a_file_that_a_power_cut_shortened_is_read_up_to_the_cut_with_a_warning(tmp_path, caplog):
    path = tmp_path / "cut.tfrecord"
    whole = frame(PREDICT.SerializeToString())
    path.write_bytes(whole + whole[:-1])

    with caplog.at_level(logging.WARNING):
        assert list(read_logs(path)) == [PREDICT]

    assert f"cut.tfrecord is damaged after {len(whole)} bytes" in caplog.text
