"""Both engines' ExampleGen against the stock CsvExampleGen, and under TFX's own driver."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.example_gen.csv_example_gen import executor as stock
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

import data
from columnar import examples
from pipeline.components.example_gen import NEWEST, BeamExecutor, LocalExecutor, beam_example_gen, local_example_gen
from pipeline.errors import ConfigError, SpanNotFoundError
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.errors import UnreadableError, ValueTypeError

OURS = [LocalExecutor, BeamExecutor]
SPLITS = {"train": 2, "eval": 1}


@pytest.fixture(scope="module")
def taxi():
    with open(os.path.join(os.path.dirname(data.__file__), "taxi", "schema.pbtxt")) as file:
        text = file.read()
    return IngestConfig(file_format="csv", schema_text=text, label="tips > 0.2 * fare", features=("fare",))


@pytest.fixture
def convert(run_executor, tmp_path):
    def convert(executor, root, pattern, config=None, name="out"):
        splits = [example_gen_pb2.SplitConfig.Split(name=split, hash_buckets=size) for split, size in SPLITS.items()]
        properties = {
            "input_base": root,
            "input_config": proto_utils.proto_to_json(
                example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="span", pattern=pattern)])
            ),
            "output_config": proto_utils.proto_to_json(
                example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=splits))
            ),
            "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
            "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            # As the driver leaves them.
            "span": 3,
            "input_fingerprint": "files",
        }
        if config is not None:
            properties["custom_config"] = proto_utils.proto_to_json(config.to_proto())
        examples = standard_artifacts.Examples()
        examples.uri = os.fspath(tmp_path / name)
        run_executor(executor, {}, {"examples": [examples]}, properties)
        return examples

    return convert


def config_of(batch, file_format="parquet"):
    types = {"int64": schema_pb2.INT, "double": schema_pb2.FLOAT, "large_string": schema_pb2.BYTES}
    features = [schema_pb2.Feature(name=field.name, type=types[str(field.type)]) for field in batch.schema]
    return IngestConfig(file_format=file_format, schema_text=str(schema_pb2.Schema(feature=features)))


def test_taxi_examples_per_split_are_those_of_stock_csv_example_gen(convert, read_examples, taxi_root, taxi):
    theirs = convert(stock.Executor, taxi_root, "span-3/data.csv", name="stock")
    expected = {split: read_examples(theirs.uri, split) for split in SPLITS}

    for executor in OURS:
        ours = convert(executor, taxi_root, "span-3/data.csv", taxi, name=executor.__name__)
        for split in SPLITS:
            assert read_examples(ours.uri, split) == expected[split]
        assert ours.split_names == theirs.split_names == '["train", "eval"]'
        for name in ("payload_format", "file_format"):
            assert ours.get_string_custom_property(name) == theirs.get_string_custom_property(name)
        assert ours.get_int_custom_property("labelled") == 1
    assert [len(rows) for rows in expected.values()] == [753, 373]


def test_54_000_flights_are_split_as_stock_csv_example_gen_splits_them(convert, flights_root):
    schema_text = Path(data.__file__).with_name("flights").joinpath("schema.pbtxt").read_text()
    schema = text_format.Parse(schema_text, schema_pb2.Schema())
    csv = IngestConfig(file_format="csv", schema_text=schema_text, label="arr_delay > 15")
    theirs = convert(stock.Executor, flights_root, "span-[69]/data.csv", name="stock")
    ours = convert(LocalExecutor, flights_root, "span-[69]/data.csv", csv, name="csv")
    parquet = replace(csv, file_format="parquet")
    beam = convert(BeamExecutor, flights_root, "span-[69]/data.parquet", parquet, name="parquet")

    def rows(artifact, split):
        table = examples.read_table(examples.split_paths(artifact.uri, split), schema)
        return table.sort_by([(name, "ascending") for name in table.schema.names]).combine_chunks()

    for split in SPLITS:
        expected = rows(theirs, split)
        assert expected.num_rows > 17_000
        assert rows(ours, split).equals(expected)
        assert rows(beam, split).equals(expected)


def test_both_engines_write_the_same_nasty_examples(convert, read_examples, nasty, as_protos, tmp_path):
    pq.write_table(pa.Table.from_batches([nasty]), tmp_path / "data.parquet", row_group_size=4)

    local, beam = (
        convert(executor, os.fspath(tmp_path), "*.parquet", config_of(nasty), name=executor.__name__)
        for executor in OURS
    )

    for split in SPLITS:
        assert read_examples(local.uri, split) == read_examples(beam.uri, split)
    assert sum(len(read_examples(local.uri, split)) for split in SPLITS) == 11


def test_one_row_and_500_columns_on_both_engines(convert, read_examples, tmp_path):
    batch = pa.RecordBatch.from_pydict({f"c{index}": pa.array([index], pa.int64()) for index in range(500)})
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "data.parquet")

    for executor in OURS:
        examples = convert(executor, os.fspath(tmp_path), "*.parquet", config_of(batch), name=executor.__name__)
        rows = [row for split in SPLITS for row in read_examples(examples.uri, split)]
        assert rows == [repr(sorted((f"c{index}", (index,)) for index in range(500)))]


@pytest.mark.parametrize("executor", OURS)
def test_a_fault_is_the_same_error_on_both_engines(convert, taxi_root, taxi, tmp_path, executor):
    lines = Path(taxi_root, "span-1", "data.csv").read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace(",", ",free", 1)
    (tmp_path / "data.csv").write_text("".join(lines))

    with pytest.raises(ValueTypeError, match=r"data\.csv, line 6, column 'fare': expected FLOAT"):
        convert(executor, os.fspath(tmp_path), "data.csv", taxi)


@pytest.mark.parametrize("executor", OURS)
def test_a_span_without_rows_is_refused_on_both_engines(convert, taxi_root, taxi, tmp_path, executor):
    with open(os.path.join(taxi_root, "span-1", "data.csv")) as file:
        (tmp_path / "data.csv").write_text(file.readline())

    with pytest.raises(UnreadableError, match="no rows"):
        convert(executor, os.fspath(tmp_path), "data.csv", taxi)


@pytest.mark.parametrize("executor", OURS)
def test_an_unlabelled_span_is_marked_on_both_engines(convert, taxi_root, taxi, tmp_path, executor):
    with open(os.path.join(taxi_root, "span-1", "data.csv")) as file:
        bare = [line.rstrip("\n").rpartition(",")[0] for line in file]  # tips is the last column.
    (tmp_path / "data.csv").write_text("\n".join(bare))

    examples = convert(executor, os.fspath(tmp_path), "data.csv", taxi)

    assert examples.get_int_custom_property("labelled") == 0


def test_without_a_schema_types_come_from_the_data(convert, read_examples, taxi_root, tmp_path):
    theirs = convert(stock.Executor, taxi_root, "span-3/data.csv", name="stock")
    ours = convert(LocalExecutor, taxi_root, "span-3/data.csv", IngestConfig(file_format="csv"), name="ours")

    assert read_examples(ours.uri, "train") == read_examples(theirs.uri, "train")


def test_partitioning_by_a_feature_is_refused(run_executor, taxi_root, taxi, tmp_path):
    splits = example_gen_pb2.SplitConfig(partition_feature_name="fare")
    inputs = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="span", pattern="span-1/data.csv")])
    examples = standard_artifacts.Examples()
    examples.uri = os.fspath(tmp_path)
    properties = {
        "input_base": taxi_root,
        "input_config": proto_utils.proto_to_json(inputs),
        "output_config": proto_utils.proto_to_json(example_gen_pb2.Output(split_config=splits)),
        "custom_config": proto_utils.proto_to_json(taxi.to_proto()),
        "input_fingerprint": "files",
    }

    with pytest.raises(ConfigError, match="partition_feature_name is not supported"):
        run_executor(LocalExecutor, {}, {"examples": [examples]}, properties)


@pytest.fixture
def run_pipeline(tmp_path):
    """Runs one component under TFX's local runner and returns its live Examples artifacts, oldest first."""
    connection = metadata.sqlite_metadata_connection_config(os.fspath(tmp_path / "metadata.sqlite"))

    def run(component):
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="test",
                pipeline_root=os.fspath(tmp_path / "root"),
                components=[component],
                enable_cache=True,
                metadata_connection_config=connection,
                beam_pipeline_args=["--runner=FnApiRunner"],
            )
        )
        with metadata.Metadata(connection) as store:
            return store.store.get_artifacts_by_type("Examples")

    return run


def test_the_driver_finds_the_newest_span_and_version_and_reuses_what_it_has_seen(
    run_pipeline, read_examples, taxi_root, taxi, tmp_path
):
    # The folder's own path is no pattern, although TFX's search would take it for one and find span 12.
    root, other = tmp_path / "data[1] *?", tmp_path / "data1 of others"
    for folder, span, version in ((root, "2", 1), (root, "11", 0), (root, "0011", 1), (other, "12", 1)):
        target = folder / f"span-{span}" / f"v{version}"
        target.mkdir(parents=True)
        shutil.copy(os.path.join(taxi_root, f"span-{int(span) - version}", "data.csv"), target)
    pattern = "span-{SPAN}/v{VERSION}/data.csv"

    for _ in range(2):
        artifacts = run_pipeline(local_example_gen(os.fspath(root), pattern, taxi))

    # A second run over the same files and schema runs nothing.
    assert len(artifacts) == 1
    properties = artifacts[0].custom_properties
    assert (properties["span"].int_value, properties["version"].int_value) == (11, 1)
    assert properties["input_fingerprint"].string_value
    # Version 1 of span 11 holds taxi span 10: 1,241 trips.
    assert sum(len(read_examples(artifacts[0].uri, split)) for split in SPLITS) == 1241


def test_a_span_without_its_marker_is_not_found_by_the_driver(run_pipeline, read_examples, taxi_root, taxi, tmp_path):
    for span in (4, 5):
        folder = tmp_path / "data" / f"span-{span}"
        folder.mkdir(parents=True)
        shutil.copy(os.path.join(taxi_root, f"span-{span}", "data.csv"), folder)
    (tmp_path / "data" / "span-4" / "_SUCCESS").touch()
    component = local_example_gen(os.fspath(tmp_path / "data"), "span-{SPAN}/*.csv", taxi, marker="_SUCCESS")

    (examples,) = run_pipeline(component)

    assert examples.custom_properties["span"].int_value == 4
    # Its 1,299 trips; the marker beside them is no data.
    assert sum(len(read_examples(examples.uri, split)) for split in SPLITS) == 1_299


def test_a_span_can_be_asked_for_and_an_edited_schema_is_read_again(run_pipeline, taxi_root, taxi):
    pattern = "span-{SPAN}/data.csv"
    edited = replace(taxi, schema_text=taxi.schema_text + "# edited")
    run_pipeline(local_example_gen(taxi_root, pattern, taxi, span=4))
    artifacts = run_pipeline(local_example_gen(taxi_root, pattern, edited, span=4))

    assert [artifact.custom_properties["span"].int_value for artifact in artifacts] == [4, 4]


def test_the_span_is_found_without_a_driver_too(run_executor, taxi_root, taxi, tmp_path):
    # As Kubeflow's backend runs it: the parameters of the compiled file, and nothing that a driver has added.
    component = local_example_gen(taxi_root, "span-{SPAN}/data.csv", taxi)
    properties = {name: value for name, value in component.exec_properties.items() if value is not None}
    for wanted, found in ((4, 4), (NEWEST, 13)):
        examples = standard_artifacts.Examples()
        examples.uri = os.fspath(tmp_path / str(found))

        run_executor(
            LocalExecutor,
            {},
            {"examples": [examples]},
            {**properties, "span": wanted},
        )

        assert examples.get_int_custom_property("span") == found
        assert examples.get_string_custom_property("input_fingerprint")
        assert os.listdir(tmp_path / str(found) / "Split-train")
    with pytest.raises(SpanNotFoundError, match="Span 99 does not match"):
        run_executor(LocalExecutor, {}, {"examples": [examples]}, {**properties, "span": 99})
    with pytest.raises(SpanNotFoundError, match=r"Span 13 is not complete: its marker .*/span-13/_SUCCESS"):
        run_executor(LocalExecutor, {}, {"examples": [examples]}, {**properties, "marker": "_SUCCESS"})


def test_the_beam_engines_component_runs_under_the_driver_too(run_pipeline, read_examples, taxi_root, taxi):
    artifacts = run_pipeline(beam_example_gen(taxi_root, "span-{SPAN}/data.csv", taxi))

    assert artifacts[0].custom_properties["span"].int_value == 13
    assert sum(len(read_examples(artifacts[0].uri, split)) for split in SPLITS) == 833
