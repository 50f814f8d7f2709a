import json
import os

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models import training
from models.errors import TrainingError
from models.predictor import Predictor
from models.transform_graph import TransformGraph
from tests.models.conftest import FEATURES, TRAINING, fn_args, make_table, write_shard


def test_writes_a_model_and_its_curve_and_leaves_the_eval_split_alone(trained):
    history = json.loads((trained / "run" / "history.json").read_text(encoding="utf-8"))

    assert (trained / "Format-Serving" / "saved_model.pb").exists()
    assert history["rows"] == 600
    assert len(history["curve"]) == 3
    assert history["curve"][0].keys() == {"epoch", "steps", "train_loss", "validation_loss", "seconds"}
    assert history["validation"]["rows"] == 600
    assert history["spec"] == json.loads(TRAINING.to_json())
    assert history["warm_start"] is False


def test_shards_of_one_artifact_are_told_apart_by_their_span(examples_dir, transform_dir):
    from models.packed import Layout

    graph = TransformGraph(str(transform_dir), FEATURES)
    layout = Layout.of(FEATURES, {one.name: len(graph.vocabulary(one.name)) for one in FEATURES.having("vocabulary")})
    paths = sorted(str(path) for path in (examples_dir / "Split-train").iterdir())

    rows = training.read_rows(paths, graph, layout)

    assert rows.spans.tolist() == [0] * 300 + [1] * 300
    table = make_table(600)
    assert rows.labels.tolist() == (table["paid"].to_numpy() > 0.5 * table["amount"].to_numpy()).astype(int).tolist()


def test_artifacts_without_span_names_are_spans():
    assert training._span_of("/a/Examples/1/Split-train/data_tfrecord-0.gz") == "/a/Examples/1/Split-train"
    assert training._span_of("/a/Split-train/span-00003-00001-of-00002.gz") == "/a/Split-train/span-00003"


def test_hyperparameters_override_the_dataset_and_may_forbid_a_warm_start(
    tmp_path, transform_dir, examples_dir, model_dir
):
    hyperparameters = {"epochs": 1, "warm_start": False}

    training.run_fn(
        fn_args(transform_dir, examples_dir, tmp_path, hyperparameters=hyperparameters, base_model=os.fspath(model_dir))
    )

    history = json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8"))
    assert len(history["curve"]) == 1
    assert history["warm_start"] is False
    assert history["warm_start_reason"] == "the hyperparameters say so"


def test_warm_start_continues_where_the_base_model_ended(tmp_path, transform_dir, examples_dir, model_dir, trained):
    changes = {"hyperparameters": {"epochs": 1}, "base_model": os.fspath(model_dir)}

    training.run_fn(fn_args(transform_dir, examples_dir, tmp_path, **changes))

    history = json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8"))
    before = json.loads((trained / "run" / "history.json").read_text(encoding="utf-8"))
    assert history["warm_start"] is True
    assert history["curve"][0]["train_loss"] < before["curve"][1]["train_loss"]


def test_training_twice_gives_the_same_model(tmp_path, transform_dir, examples_dir, model_dir):
    training.run_fn(fn_args(transform_dir, examples_dir, tmp_path))

    table = make_table(200, seed=9)
    first, second = Predictor(str(model_dir)), Predictor(str(tmp_path / "Format-Serving"))
    np.testing.assert_array_equal(first.predict(table), second.predict(table))


def without_labels(table, rows):
    """The table, its first rows without the column that the label is computed from."""
    paid = [*[None] * rows, *table["paid"].to_pylist()[rows:]]
    return table.set_column(table.schema.get_field_index("paid"), "paid", pa.array(paid, pa.float64()))


def test_rows_without_a_label_are_left_out(tmp_path, transform_dir):
    write_shard(tmp_path / "Split-train" / "data-00000-of-00001.gz", without_labels(make_table(60), 20))

    training.run_fn(fn_args(transform_dir, tmp_path, tmp_path / "out"))

    assert json.loads((tmp_path / "out" / "run" / "history.json").read_text(encoding="utf-8"))["rows"] == 40


def test_rows_with_what_the_schema_rules_out_are_left_out(tmp_path, transform_dir, monkeypatch):
    from models.packed import Layout

    graph = TransformGraph(str(transform_dir), FEATURES)
    schema = graph.raw_schema()
    (hour,) = (feature for feature in schema.feature if feature.name == "hour")
    hour.int_domain.min, hour.int_domain.max = 0, 11
    monkeypatch.setattr(graph, "raw_schema", lambda: schema)
    layout = Layout.of(FEATURES, {one.name: len(graph.vocabulary(one.name)) for one in FEATURES.having("vocabulary")})
    table = make_table(60)
    write_shard(tmp_path / "Split-train" / "data-00000-of-00001.gz", table)

    rows = training.read_rows([str(tmp_path / "Split-train" / "data-00000-of-00001.gz")], graph, layout)

    assert len(rows) == sum(value is None or 0 <= value <= 11 for value in table["hour"].to_pylist()) < 60


def test_a_split_without_any_label_is_refused(tmp_path, transform_dir):
    write_shard(tmp_path / "Split-train" / "data-00000-of-00001.gz", without_labels(make_table(20), 20))

    with pytest.raises(TrainingError, match=r"None of the 20 rows of the train split has a label"):
        training.run_fn(fn_args(transform_dir, tmp_path, tmp_path / "out"))


def test_an_empty_split_is_refused(tmp_path, transform_dir):
    write_shard(tmp_path / "Split-train" / "data-00000-of-00001.gz", make_table(5).slice(0, 0))
    with pytest.raises(TrainingError, match="The train split is empty"):
        training.run_fn(fn_args(transform_dir, tmp_path, tmp_path / "out"))

    with pytest.raises(TrainingError, match=r"No file matches .*nothing"):
        training.run_fn(fn_args(transform_dir, tmp_path, tmp_path / "out", train_files=[str(tmp_path / "nothing*")]))


def test_stock_trainer_calls_run_fn(tmp_path, transform_dir, examples_dir):
    from tfx.components.trainer.executor import GenericExecutor
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.uri = str(examples_dir)
    examples.split_names = '["train", "eval"]'
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(transform_dir)
    model, run = standard_artifacts.Model(), standard_artifacts.ModelRun()
    model.uri, run.uri = str(tmp_path / "model"), str(tmp_path / "run")
    custom_config = {"features": FEATURES.to_json(), "training": TRAINING.to_json()}

    GenericExecutor().Do(
        {"examples": [examples], "transform_graph": [graph]},
        {"model": [model], "model_run": [run]},
        {
            "run_fn": "models.training.run_fn",
            "train_args": "{}",
            "eval_args": "{}",
            "custom_config": json.dumps(custom_config),
        },
    )

    assert (tmp_path / "run" / "history.json").exists()
    assert "serving_default" in tf.saved_model.load(str(tmp_path / "model" / "Format-Serving")).signatures
