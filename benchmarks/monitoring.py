"""How fast does the monitor read a request log, and what does judging a day cost?

    python -m benchmarks.monitoring --root runs/taxi     # after a run has pushed a version there

Requests of one row each, as most clients send them, are made of the dataset's own rows with the model's own answers.
"""

import argparse
import json
import platform
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.config.dataset import Dataset, load_dataset
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

RESULTS = Path(__file__).parent / "results" / "monitoring.json"
DAY = 86_400
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("runs/taxi"), help="a root with a pushed version")
    parser.add_argument("--requests", type=int, default=10_000, help="of one row each (default: 10,000)")
    args = parser.parse_args()
    measured = [measure(args.root.absolute(), args.requests) for _ in range(REPEATS)]
    result = {
        "question": "CPU seconds to read and to judge a day of requests of one row each",
        "hardware": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "requests": args.requests,
        "repeats": REPEATS,
        "read_cpu_seconds": sorted(item["read"] for item in measured),
        "judge_cpu_seconds": sorted(item["judge"] for item in measured),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "kept_bytes_per_row": round(measured[0]["kept"] / args.requests, 1),
        "log_bytes_per_request": round(measured[0]["log"] / args.requests, 1),
    }
    RESULTS.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2, sort_keys=True))


def measure(root: Path, requests: int) -> dict[str, float]:
    """Returns the CPU seconds of reading and of judging, and the bytes of the log and of the kept rows."""
    from monitoring.monitor import Monitor

    dataset = load_dataset("taxi")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy = Root(folder / "root")
        copy.prepare()
        shutil.copytree(root / "serving", copy.path / "serving")
        log = folder / "log" / "requests.tfrecord"
        log.parent.mkdir()
        now = int(time.time())
        log.write_bytes(log_of(dataset, root, requests, now - DAY))
        monitor = Monitor(dataset, copy, log.parent, None)
        started = time.process_time()
        # The window is still open: only reading.
        read = monitor.look((now - DAY) // DAY * DAY)
        between = time.process_time()
        judged = monitor.look(now)
        ended = time.process_time()
        assert (read.new_records, len(judged.judged)) == (requests, 1)
        kept = sum(path.stat().st_size for path in copy.monitoring.glob("batch-*/**/*.gz"))
        return {
            "read": round(between - started, 2),
            "judge": round(ended - between, 2),
            "kept": kept,
            "log": log.stat().st_size,
        }


def log_of(dataset: Dataset, root: Path, requests: int, at: int) -> bytes:
    """Returns a log of predict requests, one row each."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    from models.predictor import Predictor
    from models.transform_graph import serving_arrays
    from pipeline.commands.drift import read_span
    from serving.log.tfrecord import frame

    serving_dir = root / "serving" / dataset.serving.model_name
    version = pushed_versions(serving_dir)[-1]
    table = pa.concat_tables([read_span(dataset, str(root / "data"), span) for span in (2, 3, 4, 5)])
    table = table.take(np.random.default_rng(0).integers(0, table.num_rows, requests))
    probabilities = Predictor(str(serving_dir / str(version))).predict(table)
    described = json.loads((serving_dir / str(version) / "assets.extra" / "feature_defaults.json").read_text())
    inputs = {name: tf.TensorSpec([None], entry["dtype"], name) for name, entry in described.items()}
    arrays = serving_arrays(table, inputs)
    framed = []
    for row in range(requests):
        record = PredictionLog()
        record.log_metadata.model_spec.name = dataset.serving.model_name
        record.log_metadata.model_spec.version.value = version
        record.log_metadata.timestamp_secs = at
        for name, array in arrays.items():
            value = tf.make_tensor_proto(array[row : row + 1], dtype=inputs[name].dtype)
            record.predict_log.request.inputs[name].CopyFrom(value)
        record.predict_log.response.outputs["probability"].CopyFrom(tf.make_tensor_proto(probabilities[row : row + 1]))
        framed.append(frame(record.SerializeToString()))
    return b"".join(framed)


if __name__ == "__main__":
    main()
