import os

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar import examples
from pipeline.errors import ConfigError
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.csv_format import PLAIN
from pipeline.ingest.errors import ColumnsError
from pipeline.ingest.span_to_examples import write_examples
from pipeline.ingest.training_window import WindowSpan, shard_prefix, span_of_shard, write_window

SCHEMA_TEXT = 'feature { name: "id" type: INT } feature { name: "tips" type: FLOAT }'
SCHEMA = text_format.Parse(SCHEMA_TEXT, schema_pb2.Schema())
CONFIG = IngestConfig(file_format="csv", schema_text=SCHEMA_TEXT, label="tips > 0", features=("id",))


@pytest.fixture
def spans(tmp_path):
    """Three raw spans of 100 rows; ids tell the span: 100 to 199, 200 to 299, 300 to 399."""
    found = []
    for span in (1, 2, 3):
        path = tmp_path / f"span-{span}.csv"
        path.write_text("id,tips\n" + "".join(f"{span * 100 + row},0\n" for row in range(100)))
        found.append(WindowSpan(span=span, paths=(os.fspath(path),)))
    return found


@pytest.fixture
def as_artifact(tmp_path):
    def as_artifact(span):
        uri = os.fspath(tmp_path / f"examples-{span.span}")
        write_examples(span.paths, PLAIN, CONFIG.columns(list(span.paths)), uri)
        return WindowSpan(span=span.span, examples_uri=uri)

    return as_artifact


def ids(uri, split):
    return sorted(row["id"] for row in examples.read_table(examples.split_paths(uri, split), SCHEMA).to_pylist())


def test_train_rows_of_all_spans_and_held_out_rows_of_the_newest(spans, as_artifact, tmp_path):
    uri = os.fspath(tmp_path / "window")
    artifacts = [as_artifact(span) for span in spans]

    counts = write_window(spans, CONFIG, uri)

    train = sorted(number for span in artifacts for number in ids(span.examples_uri, "train"))
    assert ids(uri, "train") == train
    assert ids(uri, "eval") == ids(artifacts[2].examples_uri, "eval")
    assert counts == {"train": len(train), "eval": len(ids(uri, "eval"))}


@pytest.mark.parametrize("span", [0, 7, 100, 19_000, 123_456])
def test_a_shard_names_its_span(span):
    assert span_of_shard(f"/a/Split-train/{shard_prefix(span)}-00000-of-00001.gz") == span


def test_no_held_out_row_of_any_span_is_trained_on(spans, as_artifact, tmp_path):
    uri = os.fspath(tmp_path / "window")
    write_window(spans, CONFIG, uri)
    held_out = {number for span in spans for number in ids(as_artifact(span).examples_uri, "eval")}

    assert held_out
    assert set(ids(uri, "train")) & held_out == set()


def test_artifacts_and_raw_files_make_the_same_window(spans, as_artifact, tmp_path):
    raw, mixed = os.fspath(tmp_path / "raw"), os.fspath(tmp_path / "mixed")
    write_window(spans, CONFIG, raw)
    counts = write_window([as_artifact(spans[0]), spans[1], as_artifact(spans[2])], CONFIG, mixed)

    assert counts == {"train": None, "eval": None}
    for split in ("train", "eval"):
        assert ids(mixed, split) == ids(raw, split)


def test_the_newest_span_is_the_one_with_the_highest_number(spans, tmp_path):
    uri = os.fspath(tmp_path / "window")

    write_window(spans[::-1], CONFIG, uri)

    assert min(ids(uri, "eval")) >= 300


def test_an_artifact_survives_the_window_that_took_it_over(spans, as_artifact, tmp_path):
    artifact = as_artifact(spans[0])
    before = ids(artifact.examples_uri, "train")
    write_window([artifact], CONFIG, os.fspath(tmp_path / "window"))
    for shard in examples.split_paths(os.fspath(tmp_path / "window"), "train"):
        os.unlink(shard)

    assert ids(artifact.examples_uri, "train") == before


def test_a_span_without_labels_cannot_be_trained_on(spans, tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("id\n1\n")

    with pytest.raises(ColumnsError, match=r"bare\.csv, column 'tips': span 4 has no labels to train on"):
        write_window([*spans, WindowSpan(span=4, paths=(os.fspath(path),))], CONFIG, os.fspath(tmp_path / "window"))


@pytest.mark.parametrize("chosen", [[], [0, 0]], ids=["none", "one twice"])
def test_a_window_needs_different_spans(spans, chosen, tmp_path):
    with pytest.raises(ConfigError, match="one or more different spans"):
        write_window([spans[index] for index in chosen], CONFIG, os.fspath(tmp_path / "window"))


def shards(uri, split):
    return [os.stat(path).st_ino for path in examples.split_paths(uri, split)]


def test_a_span_that_this_process_has_converted_is_linked(spans, as_artifact, tmp_path):
    newest = as_artifact(spans[2]).examples_uri
    uri = os.fspath(tmp_path / "window")

    counts = write_window([spans[2]], CONFIG, uri)

    assert shards(uri, "train") == shards(newest, "train")
    assert counts == {split: len(ids(newest, split)) for split in ("train", "eval")}
    assert [os.path.basename(path) for path in examples.split_paths(uri, "eval")] == ["span-00003-00000-of-00001.gz"]


@pytest.mark.parametrize("harm", ["raw", "shard"])
def test_a_span_is_converted_again_where_its_file_or_its_shards_have_changed(spans, as_artifact, tmp_path, harm):
    newest = as_artifact(spans[2]).examples_uri
    uri = os.fspath(tmp_path / "window")
    (raw,) = spans[2].paths
    if harm == "raw":
        with open(raw, "a") as file:
            file.write("999,0\n")
    else:
        os.remove(examples.split_paths(newest, "train")[0])

    write_window([spans[2]], CONFIG, uri)

    assert (999 in ids(uri, "train") + ids(uri, "eval")) == (harm == "raw")
    assert len(ids(uri, "train") + ids(uri, "eval")) == (101 if harm == "raw" else 100)
