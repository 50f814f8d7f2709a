"""What does it cost to analyse an own preprocessing_fn in memory?

    python -m benchmarks.own_preprocessing

TFT's own Beam pipeline analyses the same rows in batches of several sizes, in this process. The function has two
z-scores, two sets of buckets and a vocabulary of 200 values. Beside them stand a function without analyzers, which
needs no pass over the rows, driftgate's own features of the same columns, and what TFX's Transform does on the Beam
engine: it reads tf.Examples row by row from TFRecords. CPU seconds, which other processes on the machine disturb
little; the second of two runs, since the first loads Beam.
Results: benchmarks/results/own_preprocessing.json and the table in docs/model.md.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.end_to_end import PACKAGES
from benchmarks.pages import environment, markdown, write_table

RESULTS = pages.RESULTS / "own_preprocessing.json"
PAGE = pages.DOCS / "model.md"
ROWS = 327_680
BATCHES = (1_024, 16_384, 65_536)

_DENSE = """
import tensorflow as tf
import tensorflow_transform as tft

def dense(x, missing):
    return tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), missing)[:, 0]

def preprocessing_fn(inputs):
    miles, fare, company = dense(inputs["miles"], 0.0), dense(inputs["fare"], 0.0), dense(inputs["company"], "")
"""
_WITH = (
    _DENSE
    + """
    return {
        "miles": tft.scale_to_z_score(miles), "fare": tft.scale_to_z_score(fare),
        "miles_bucket": tft.bucketize(miles, 10), "fare_bucket": tft.bucketize(fare, 10),
        "company": tft.compute_and_apply_vocabulary(company, num_oov_buckets=1),
    }
"""
)
_WITHOUT = (
    _DENSE + '    return {"speed": miles / (fare + 1.0), "company": tf.strings.to_hash_bucket_fast(company, 99)}\n'
)


def write_rows(path: Path, rows: int) -> None:
    """Writes rows to an Arrow file, from which a measured run reads them."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(0)
    miles = random.gamma(2, 3, rows).astype(np.float32)
    table = pa.table(
        {
            "miles": miles,
            "fare": miles * random.uniform(2, 3, rows).astype(np.float32),
            "company": pa.array([f"company {i}" for i in random.integers(0, 200, rows)], pa.large_string()),
            "tipped": random.integers(0, 2, rows),
        }
    )
    with pa.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table)


def write_examples(rows: Path, folder: Path) -> str:
    """Writes the rows of an Arrow file as TFX's ExampleGen does; returns the pattern of the files."""
    import pyarrow as pa

    from columnar import example_encoder
    from columnar.example_writer import SplitWriter

    with pa.memory_map(str(rows)) as file, SplitWriter(str(folder)) as writer:
        table = pa.ipc.open_file(file).read_all()
        doubles = [pa.float64() if field.type == pa.float32() else field.type for field in table.schema]
        for batch in table.cast(pa.schema(zip(table.column_names, doubles, strict=True))).to_batches(16_384):
            writer.write(example_encoder.encode(batch).records)
    return str(folder / "*")


def analyse_by_beam(code: str, schema: Any, examples: str, folder: str) -> None:  # Any: schema_pb2 is imported late.
    """Analyses tf.Examples in TFRecords, as TFX's Transform does, on Beam's runner in this process."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from tfx_bsl.public import tfxio

    from models.own import loading
    from models.own.source import OwnCode

    called = loading.function(OwnCode(entry="model.py", files={"model.py": code}), "preprocessing_fn")
    source = tfxio.TFExampleRecord(examples, schema=schema)
    options = beam.options.pipeline_options.PipelineOptions(["--runner=FnApiRunner"])
    with (
        tempfile.TemporaryDirectory(prefix="own-preprocessing-") as scratch,
        beam.Pipeline(options=options) as pipeline,
        tft_beam.Context(temp_dir=scratch, use_deep_copy_optimization=True, force_tf_compat_v1=False),
    ):
        rows = pipeline | source.BeamSource()
        transform_fn = (rows, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(called)
        _ = transform_fn | tft_beam.WriteTransformFn(folder)


def measure(rows: Path, batch_rows: int, analyse: Callable[[Callable[[], Iterator[Any]], str], None]) -> float:
    """Returns the CPU seconds of the second of two analyses."""
    import pyarrow as pa

    path = str(rows)

    def batches() -> Iterator[Any]:  # Any: pyarrow is imported here only.
        with pa.memory_map(path) as file:
            yield from pa.ipc.open_file(file).read_all().combine_chunks().to_batches(batch_rows)

    seconds = 0.0
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="own-preprocessing-") as folder:
            started = time.process_time()
            analyse(batches, folder)
            seconds = time.process_time() - started
    return round(seconds, 2)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    args = parser.parse_args(argv)
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from models.analysis import analyze
    from models.features import FeatureSpec
    from models.own.source import OwnCode
    from models.own.transform import write_own_graph
    from models.transform_graph import write_transform_graph

    kinds = {"miles": "FLOAT", "fare": "FLOAT", "company": "BYTES", "tipped": "INT"}
    text = "".join(f'feature {{ name: "{name}" type: {kind} }}\n' for name, kind in kinds.items())
    schema = text_format.Parse(text, schema_pb2.Schema())
    features = FeatureSpec(label="tipped", numeric=("miles", "fare"), categorical=("company",))
    found: list[dict[str, Any]] = []  # Any: JSON.

    def own(code: str) -> Callable[[Callable[[], Iterator[Any]], str], None]:
        files = OwnCode(entry="model.py", files={"model.py": code})
        return lambda batches, folder: write_own_graph(files, features, schema, batches, folder)

    with tempfile.TemporaryDirectory(prefix="own-preprocessing-rows-") as scratch:
        few, many = Path(scratch) / "few", Path(scratch) / "many"
        write_rows(few, 1_000)
        write_rows(many, args.rows)
        cases: list[tuple[str, int, Path, Callable[[Callable[[], Iterator[Any]], str], None]]] = [
            ("TFT's analyzers, 1,000 rows", 1_024, few, own(_WITH)),
            *((f"TFT's analyzers, {args.rows:,} rows", size, many, own(_WITH)) for size in BATCHES),
            (f"no analyzer, {args.rows:,} rows", BATCHES[-1], many, own(_WITHOUT)),
            (
                f"driftgate's own features, {args.rows:,} rows",
                16_384,
                many,
                lambda batches, folder: write_transform_graph(analyze(batches(), features), features, schema, folder),
            ),
        ]
        for name, size, rows, analyse in cases:
            found.append({"what": name, "batch_rows": size, "cpu_s": measure(rows, size, analyse)})
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
        pattern = write_examples(many, Path(scratch) / "examples")
        seconds = measure(many, 1, lambda _, folder: analyse_by_beam(_WITH, schema, pattern, f"{folder}/graph"))
        found.append({"what": f"TFX's Transform on Beam, {args.rows:,} rows", "batch_rows": 0, "cpu_s": seconds})
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    RESULTS.write_text(
        json.dumps({"environment": environment(*PACKAGES), "cases": found}, indent=1, sort_keys=True) + "\n"
    )
    table = markdown(
        ("analysis and graph of", "rows of a batch", "CPU s"),
        [
            (case["what"], f"{case['batch_rows']:,}" if case["batch_rows"] else "Beam's", f"{case['cpu_s']:.1f}")
            for case in found
        ],
    )
    write_table(PAGE, "own_preprocessing", table)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
