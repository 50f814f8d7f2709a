"""The local StatisticsGen against the stock one on the same artifacts."""

import math
import os

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as stock
from tfx.types import standard_artifacts

import data
from columnar.example_encoder import encode
from columnar.example_writer import SplitWriter
from columnar.examples import split_paths
from pipeline.components import statistics_gen
from pipeline.components.statistics_gen import LocalExecutor, local_statistics_gen
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.csv_format import PLAIN
from pipeline.ingest.span_to_examples import write_examples

TAXI_SCHEMA = os.path.join(os.path.dirname(data.__file__), "taxi", "schema.pbtxt")


def artifact_of(uri, splits='["train", "eval"]'):
    examples = standard_artifacts.Examples()
    examples.uri = os.fspath(uri)
    examples.split_names = splits
    examples.span = 7
    return examples


@pytest.fixture
def taxi_examples(taxi_root, tmp_path):
    with open(TAXI_SCHEMA) as file:
        config = IngestConfig(file_format="csv", schema_text=file.read(), label="tips > 0.2 * fare")
    path = os.path.join(taxi_root, "span-8", "data.csv")
    write_examples([path], PLAIN, config.columns([path]), os.fspath(tmp_path / "taxi"))
    return artifact_of(tmp_path / "taxi")


@pytest.fixture
def taxi_schema(tmp_path):
    schema = standard_artifacts.Schema()
    schema.uri = os.fspath(tmp_path / "schema")
    os.makedirs(schema.uri)
    with open(TAXI_SCHEMA) as file, open(os.path.join(schema.uri, "schema.pbtxt"), "w") as copy:
        copy.write(file.read())
    return schema


@pytest.fixture
def measure(run_executor, tmp_path):
    def measure(executor, inputs, **exec_properties):
        statistics = standard_artifacts.ExampleStatistics()
        statistics.uri = os.fspath(tmp_path / f"statistics-{executor.__module__}")
        run_executor(executor, inputs, {"statistics": [statistics]}, {"exclude_splits": "[]", **exec_properties})
        return statistics

    return measure


def load(artifact, split):
    result = statistics_pb2.DatasetFeatureStatisticsList()
    with open(os.path.join(artifact.uri, f"Split-{split}", "FeatureStats.pb"), "rb") as file:
        result.ParseFromString(file.read())
    return result


def differences(ours, theirs, where=""):
    """Lists every field that differs, floats by more than a relative 1e-6; features are matched by name."""
    found = []
    for field in ours.DESCRIPTOR.fields:
        mine, yours = getattr(ours, field.name), getattr(theirs, field.name)
        if not hasattr(mine, "add") and not hasattr(mine, "append"):
            mine, yours = [mine], [yours]
        if field.name == "features":
            mine, yours = (sorted(items, key=lambda item: item.path.step[0]) for items in (mine, yours))
        if len(mine) != len(yours):
            found.append(f"{where}.{field.name}: {len(mine)} and {len(yours)} items")
            continue
        for index, (one, other) in enumerate(zip(mine, yours, strict=True)):
            place = f"{where}.{field.name}[{index}]"
            if field.message_type is not None:
                found += differences(one, other, place)
            elif isinstance(one, float):
                if not math.isclose(one, other, rel_tol=1e-6) and not (math.isnan(one) and math.isnan(other)):
                    found.append(f"{place}: {one} and {other}")
            elif one != other:
                found.append(f"{place}: {one!r} and {other!r}")
    return found


def test_taxi_statistics_are_those_of_the_stock_executor(measure, taxi_examples, taxi_schema):
    inputs = {"examples": [taxi_examples], "schema": [taxi_schema]}
    ours, theirs = measure(LocalExecutor, inputs), measure(stock.Executor, inputs)

    for split in ("train", "eval"):
        assert differences(load(ours, split), load(theirs, split)) == []
    assert load(ours, "train").datasets[0].num_examples + load(ours, "eval").datasets[0].num_examples == 1231
    assert ours.split_names == theirs.split_names
    assert ours.span == theirs.span == 7
    assert ours.get_json_value_custom_property("sample_rate_by_split") == theirs.get_json_value_custom_property(
        "sample_rate_by_split"
    )


def test_statistics_of_54_000_flights_are_those_of_the_stock_executor(measure, flights_root, tmp_path):
    with open(os.path.join(os.path.dirname(data.__file__), "flights", "schema.pbtxt")) as file:
        config = IngestConfig(file_format="parquet", schema_text=file.read(), label="arr_delay > 15")
    paths = [os.path.join(flights_root, f"span-{span}", "data.parquet") for span in (6, 9)]
    write_examples(paths, "parquet", config.columns(paths), os.fspath(tmp_path / "flights"))
    inputs = {"examples": [artifact_of(tmp_path / "flights")]}
    ours, theirs = measure(LocalExecutor, inputs), measure(stock.Executor, inputs)

    for split in ("train", "eval"):
        assert differences(load(ours, split), load(theirs, split)) == []


def test_missing_values_are_counted_as_missing(measure, taxi_examples):
    dataset = load(measure(LocalExecutor, {"examples": [taxi_examples]}), "train").datasets[0]
    company = next(feature for feature in dataset.features if feature.path.step[0] == "company")
    common = company.string_stats.common_stats

    # 33.7 % of the span's 1,231 trips name no company; the train split holds two thirds of them.
    assert common.num_missing / dataset.num_examples == pytest.approx(0.337, abs=0.03)
    assert common.num_missing + common.num_non_missing == dataset.num_examples
    assert common.min_num_values == 1


def test_nasty_statistics_are_those_of_the_stock_executor(measure, nasty, tmp_path):
    records = encode(nasty).records
    for split, part in {"train": records, "eval": records.slice(0, 1), "none": records.slice(0, 0)}.items():
        with SplitWriter(os.fspath(tmp_path / f"nasty/Split-{split}")) as writer:
            writer.write(part)
    inputs = {"examples": [artifact_of(tmp_path / "nasty", '["train", "eval", "none"]')]}
    ours, theirs = measure(LocalExecutor, inputs), measure(stock.Executor, inputs)

    for split in ("train", "eval", "none"):
        assert differences(load(ours, split), load(theirs, split)) == [], split


def test_statistics_of_500_columns_are_those_of_the_stock_executor(measure, tmp_path):
    rows = 20
    columns = {f"i{index}": pa.array(range(index, index + rows), pa.int64()) for index in range(250)}
    columns |= {f"s{index}": pa.array(["ü", "", None, "x"] * (rows // 4), pa.large_string()) for index in range(250)}
    for split in ("train", "eval"):
        with SplitWriter(os.fspath(tmp_path / f"wide/Split-{split}")) as writer:
            writer.write(encode(pa.RecordBatch.from_pydict(columns)).records)
    inputs = {"examples": [artifact_of(tmp_path / "wide")]}
    ours, theirs = (measure(kind, inputs, exclude_splits='["eval"]') for kind in (LocalExecutor, stock.Executor))

    assert differences(load(ours, "train"), load(theirs, "train")) == []
    assert len(load(ours, "train").datasets[0].features) == 500


def test_excluded_splits_are_left_out(measure, taxi_examples):
    statistics = measure(LocalExecutor, {"examples": [taxi_examples]}, exclude_splits='["eval"]')

    assert statistics.split_names == '["train"]'
    assert os.listdir(statistics.uri) == ["Split-train"]


def test_options_are_honoured(measure, taxi_examples):
    options = tfdv.StatsOptions(feature_allowlist=["fare", "company"], num_top_values=1)

    dataset = load(
        measure(LocalExecutor, {"examples": [taxi_examples]}, stats_options_json=options.to_json()), "train"
    ).datasets[0]

    features = {feature.path.step[0]: feature for feature in dataset.features}
    assert sorted(features) == ["company", "fare"]
    assert len(features["company"].string_stats.top_values) == 1


def test_options_that_need_beam_go_to_the_stock_executor(measure, taxi_examples):
    options = tfdv.StatsOptions(weight_feature="fare", feature_allowlist=["fare", "trip_miles"])
    inputs = {"examples": [taxi_examples]}

    ours = load(measure(LocalExecutor, inputs, stats_options_json=options.to_json()), "train")

    assert all(
        feature.num_stats.HasField("weighted_numeric_stats")
        for feature in ours.datasets[0].features
        if feature.path.step[0] == "trip_miles"
    )


def test_two_schemas_are_refused(measure, taxi_examples, taxi_schema):
    options = tfdv.StatsOptions(schema=tfdv.load_schema_text(TAXI_SCHEMA))

    with pytest.raises(ValueError, match="A schema came both as an input and in stats_options"):
        measure(
            LocalExecutor,
            {"examples": [taxi_examples], "schema": [taxi_schema]},
            stats_options_json=options.to_json(),
        )


def test_the_component_is_tfxs_own():
    from tfx.types import channel_utils

    component = local_statistics_gen(examples=channel_utils.as_channel([artifact_of("nowhere")]))

    assert component.type == "tfx.components.statistics_gen.component.StatisticsGen"
    assert component.executor_spec.executor_class is LocalExecutor


def test_flat_batches_measure_as_their_lists_do(nasty):
    from columnar.examples import as_lists
    from columnar.statistics import statistics_of

    flat = pa.RecordBatch.from_pydict({"a": pa.array([1, None, 3]), "b": pa.array([0.1, None, 2.0])})
    lists = pa.RecordBatch.from_pydict(
        {
            "a": pa.array([[1], None, [3]], pa.large_list(pa.int64())),
            "b": pa.array([[0.1], None, [2.0]], pa.large_list(pa.float32())),
        }
    )

    assert as_lists(flat).equals(lists)
    assert statistics_of([flat]) == statistics_of([lists])


def test_a_window_of_the_measured_span_alone_is_not_measured_again(taxi_examples, monkeypatch):
    shards = split_paths(taxi_examples.uri, "train")
    first = statistics_gen.measured(shards, StatsOptions())
    linked = [path + ".link.gz" for path in shards]
    for path, link in zip(shards, linked, strict=True):
        os.link(path, link)
    monkeypatch.setattr(statistics_gen, "statistics_of", None)

    assert statistics_gen.measured(linked, StatsOptions()) == first
    with pytest.raises(TypeError):
        statistics_gen.measured(linked, StatsOptions(num_top_values=3))
