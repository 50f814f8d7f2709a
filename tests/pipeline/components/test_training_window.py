"""Which spans a model is trained on, and the same rows whichever engine writes them."""

import dataclasses
import json

import pytest
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from columnar.tfrecords import iter_record_batches
from data.taxi import source as taxi
from pipeline.artifacts import GateDecision
from pipeline.components.training_window import BeamExecutor, Executor, choose_spans, more_spans, resolve
from pipeline.config.dataset import load_dataset
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.spans import SpanFile
from tests.helpers.records import record


def files(*spans, version=0):
    return {span: [SpanFile(span=span, version=version, path=f"span-{span}", pattern=f"span-{span}")] for span in spans}


def test_the_last_spans_up_to_the_newest():
    assert list(choose_spans(files(1, 2, 4, 5, 6, 7), {}, newest=6, size=3)) == [4, 5, 6]
    assert list(choose_spans(files(5), {}, newest=5, size=3)) == [5]


def test_a_blocked_span_is_left_out_and_an_older_one_takes_its_place():
    records = {4: record(4, verdict="block")}

    assert list(choose_spans(files(2, 3, 4, 5), records, newest=5, size=3)) == [2, 3, 5]


def test_a_corrected_version_of_a_blocked_span_is_taken():
    records = {4: record(4, version=0, verdict="block")}

    assert list(choose_spans(files(3, 4, 5, version=1), records, newest=5, size=3)) == [3, 4, 5]


def test_small_spans_that_counted_together_are_one_of_the_window():
    together = {span: dataclasses.replace(record(span), counted_with=8) for span in (5, 6, 7)}
    records = {span: record(span) for span in (2, 3, 4, 8)} | together

    assert list(choose_spans(files(*range(1, 9)), records, newest=8, size=4)) == [2, 3, 4, 5, 6, 7, 8]
    assert list(choose_spans(files(*range(1, 10)), records, newest=9, size=2)) == [5, 6, 7, 8, 9]


def test_spans_that_still_wait_count_with_the_newest():
    records = {span: dataclasses.replace(record(span), waiting=True) for span in (5, 6)}

    assert list(choose_spans(files(*range(1, 8)), records, newest=7, size=2)) == [4, 5, 6, 7]


def test_a_span_without_its_marker_is_in_no_window(tmp_path):
    for span in (3, 4, 5):
        (tmp_path / f"span-{span}").mkdir()
        (tmp_path / f"span-{span}" / "a.csv").touch()
    for span in (3, 5):
        (tmp_path / f"span-{span}" / "_SUCCESS").touch()
    decision = GateDecision()
    decision.set_int_custom_property("span", 5)
    properties = {"data_root": str(tmp_path), "pattern": "span-{SPAN}/*.csv", "state_dir": "", "size": 3}

    with_markers = resolve({"decision": [decision]}, {**properties, "marker": "_SUCCESS"})
    compiled_by_an_older_release = resolve({"decision": [decision]}, properties)

    assert list(with_markers) == [3, 5]
    assert list(compiled_by_an_older_release) == [3, 4, 5]


def window(spans, records=(), *, trained, size=4):
    return more_spans(spans, records, trained, size)


def test_a_short_window_is_reason_to_train_while_it_grows_by_half_or_becomes_full():
    assert window([1, 2], [record(1)], trained=[1]) == (1, 2)
    assert window([1, 2, 3], [record(1), record(2)], trained=[1, 2]) == (2, 3)
    assert window([2, 3, 4, 5], [record(n) for n in range(1, 5)], trained=[1, 2, 3, 4]) is None
    eight = [record(n) for n in range(1, 9)]
    assert window(range(1, 10), eight, trained=range(1, 9), size=10) is None
    assert window(range(1, 11), [*eight, record(9)], trained=range(1, 9), size=10) == (8, 10)


def test_a_short_window_that_does_not_grow_asks_for_nothing():
    # Only two spans are kept on the disk.
    assert window([5, 6], [record(4), record(5)], trained=[4, 5]) is None
    # The spans between have no labels.
    unlabelled = [dataclasses.replace(record(span), labelled=False) for span in (2, 3)]
    assert window([1, 2, 3, 4], [record(1), *unlabelled], trained=[1], size=9) == (1, 2)
    assert window([1, 2, 3], [record(1), record(3), unlabelled[0]], trained=[1, 3], size=9) is None
    # What was never judged may have no labels: what came since is what counts.
    assert window([2, 3, 4, 5, 6], [record(5)], trained=[5], size=9) == (1, 2)


def test_a_larger_window_whose_model_was_refused_is_not_tried_again():
    refused = dataclasses.replace(record(5, verdict="rerun"), outcome="not_blessed")

    assert window([2, 3, 4, 5], [record(4)], trained=[3, 4]) == (2, 3)
    assert window([2, 3, 4, 5, 6], [record(4), refused], trained=[3, 4]) == (2, 4)
    full = dataclasses.replace(refused, span=6)
    assert window([4, 5, 6, 7], [record(4), refused, full], trained=[3, 4]) is None


@pytest.fixture(scope="module")
def taxi_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("taxi")
    taxi.write_spans(root)
    return root


def test_beams_held_out_rows_are_the_labelled_ones(taxi_root, tmp_path):
    header, *lines = (taxi_root / "span-6" / "data.csv").read_text(encoding="utf-8").splitlines()
    tips = header.split(",").index("tips")
    rows = [line.split(",") for line in lines]
    without = [
        ",".join([*row[:tips], "" if index % 2 else row[tips], *row[tips + 1 :]]) for index, row in enumerate(rows)
    ]
    for span in (5, 6):
        (tmp_path / f"span-{span}").mkdir()
        (tmp_path / f"span-{span}" / "data.csv").write_text("\n".join([header, *without]) + "\n", encoding="utf-8")

    execute(Executor, tmp_path, tmp_path / "local")
    execute(BeamExecutor, tmp_path, tmp_path / "beam", beam_pipeline_args=["--runner=FnApiRunner"])

    everything = records(tmp_path / "local", "eval")
    labelled = [record for record in everything if record in set(records(tmp_path / "beam", "eval"))]
    assert records(tmp_path / "beam", "train") == records(tmp_path / "local", "train")
    assert 0.4 < len(labelled) / len(everything) < 0.6
    assert len(labelled) == len(records(tmp_path / "beam", "eval"))


def execute(executor, taxi_root, folder, **context):
    """Runs an executor on the taxi spans 5 and 6, as its driver has resolved them."""
    dataset = load_dataset("taxi")
    ingest = IngestConfig(
        file_format="csv",
        schema_text=dataset.schema_path.read_text(encoding="utf-8"),
        label=dataset.features.label,
        features=dataset.features.names,
    )
    spans = {str(span): [str(taxi_root / f"span-{span}" / "data.csv")] for span in (5, 6)}
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    properties = {"ingest": proto_utils.proto_to_json(ingest.to_proto()), "spans": json.dumps(spans)}
    executor(executor.Context(tmp_dir=str(folder), unique_id="1", **context)).Do(
        {}, {"examples": [examples]}, properties
    )
    return examples


def records(folder, split):
    paths = (folder / f"Split-{split}").glob("span-*.gz")
    return sorted(record for path in paths for batch in iter_record_batches(str(path), 1_000) for record in batch)


def test_beam_writes_the_rows_that_one_process_writes(taxi_root, tmp_path):
    ours = execute(Executor, taxi_root, tmp_path / "local")
    theirs = execute(BeamExecutor, taxi_root, tmp_path / "beam", beam_pipeline_args=["--runner=FnApiRunner"])

    for split in ("train", "eval"):
        assert records(tmp_path / "local", split) == records(tmp_path / "beam", split)
    # The baseline tells spans apart by their shards' names.
    prefixes = {path.name[:10] for path in (tmp_path / "beam" / "Split-train").glob("*.gz")}
    assert prefixes == {"span-00005", "span-00006"}
    assert {path.name[:10] for path in (tmp_path / "beam" / "Split-eval").glob("*.gz")} == {"span-00006"}
    assert theirs.split_names == ours.split_names == '["train", "eval"]'
    assert theirs.get_string_custom_property("window") == ours.get_string_custom_property("window") == "[5, 6]"
