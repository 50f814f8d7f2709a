"""Offline predictions: every row once, in order, whole files or none."""

import os

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from models.predictor import Predictor
from pipeline.errors import DataError
from pipeline.predict.offline import infer, open_writer
from pipeline.predict.prediction_logs import AskedModel

MODEL = AskedModel(name="m", version=7, signature="serve_examples", input="examples")


class Model(tf.Module):
    @tf.function(
        input_signature=[
            {
                "fare": tf.TensorSpec([None], tf.float32, name="fare"),
                "company": tf.TensorSpec([None], tf.string, name="company"),
            }
        ],
        autograph=False,
    )
    def serve(self, inputs):
        fare = tf.where(tf.math.is_nan(inputs["fare"]), -1.0, inputs["fare"])
        return {"double": 2 * fare, "fare": fare + 1, "company": inputs["company"] + "!"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("model"))
    model = Model()
    tf.saved_model.save(model, folder, signatures={"serving_default": model.serve})
    return Predictor(folder)


def batches(count=5, rows=3):
    for number in range(count):
        fares = [float(rows * number + row) for row in range(rows)]
        fares[-1] = None
        yield pa.record_batch(
            {"fare": pa.array(fares, pa.float64()), "company": pa.array(["a"] * rows, pa.large_string())}
        )


FARES = [value for number in range(5) for value in (3.0 * number, 3.0 * number + 1, None)]


def broken():
    yield from batches(2)
    raise DataError("line 7: a fault")


def test_parquet_has_the_rows_and_the_prediction_columns(predictor, tmp_path):
    path = tmp_path / "new" / "p.parquet"
    with open_writer(path, MODEL) as writer:
        rows = infer(predictor, batches(), writer)

    table = pq.read_table(path)
    assert rows == table.num_rows == 15
    # An output that is called like a column does not hide it.
    assert table.column_names == ["fare", "company", "predicted_company", "double", "predicted_fare"]
    assert table["fare"].to_pylist() == FARES
    assert table["double"].to_pylist() == [-2.0 if fare is None else 2 * fare for fare in FARES]
    assert table["predicted_company"].to_pylist() == ["a!"] * 15
    assert os.listdir(tmp_path / "new") == ["p.parquet"]


def test_csv_has_the_same(predictor, tmp_path):
    with open_writer(tmp_path / "p.csv", MODEL) as writer:
        infer(predictor, batches(), writer)

    table = pa_csv.read_csv(tmp_path / "p.csv")
    assert table["double"].to_pylist() == [-2.0 if fare is None else 2 * fare for fare in FARES]
    assert table["fare"].to_pylist() == FARES


def test_tfrecords_are_what_a_bulk_inferrer_writes(predictor, tmp_path):
    with open_writer(tmp_path / "logs", MODEL) as writer:
        infer(predictor, batches(), writer)

    assert os.listdir(tmp_path / "logs") == ["prediction_logs-00000-of-00001.gz"]
    records = tf.data.TFRecordDataset(str(tmp_path / "logs" / "prediction_logs-00000-of-00001.gz"), "GZIP")
    logs = [PredictionLog.FromString(data) for data in records.as_numpy_iterator()]
    examples = [tf.train.Example.FromString(log.predict_log.request.inputs["examples"].string_val[0]) for log in logs]
    assert [list(example.features.feature["fare"].float_list.value) for example in examples] == [
        [] if fare is None else [fare] for fare in FARES
    ]
    assert [log.predict_log.response.outputs["double"].float_val[0] for log in logs] == [
        -2.0 if fare is None else 2 * fare for fare in FARES
    ]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "logs"])
def test_a_fault_half_way_leaves_nothing(predictor, tmp_path, name):
    with pytest.raises(DataError, match="line 7"), open_writer(tmp_path / name, MODEL) as writer:
        infer(predictor, broken(), writer)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_several_values_for_a_row_do_not_fit_into_csv(tmp_path):
    import numpy as np

    with pytest.raises(DataError, match=r"Write \.parquet instead"), open_writer(tmp_path / "p.csv", MODEL) as writer:
        writer.prepare(next(batches()), {"pair": np.zeros((3, 2))})
