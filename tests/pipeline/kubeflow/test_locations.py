"""Where a compiled pipeline reads and writes."""

import pytest

from pipeline.config.dataset import load_dataset
from pipeline.errors import ConfigError
from pipeline.kubeflow import locations


def locate(**given):
    names = ("pipeline_root", "data_root", "serving_dir", "state_dir")
    return locations.locate(load_dataset("taxi"), **{name: given.get(name) for name in names})


def test_everything_lies_below_a_bucket_that_was_named():
    found = locate(pipeline_root="gs://bucket/taxi/")

    assert found.root == "gs://bucket/taxi"
    assert found.data_root == "gs://bucket/taxi/data"
    assert found.serving_dir == "gs://bucket/taxi/serving/taxi"
    assert found.state_dir == "gs://bucket/taxi/state"


def test_each_place_can_be_named_and_file_uris_are_folders(tmp_path):
    found = locate(pipeline_root=f"file://{tmp_path}", data_root="s3://b/d", serving_dir=f"file://{tmp_path}/s")

    assert (found.root, found.data_root) == (str(tmp_path), "s3://b/d")
    assert (found.serving_dir, found.state_dir) == (f"{tmp_path}/s", f"{tmp_path}/state")


def test_shipped_spans_are_written_below_a_local_root(tmp_path):
    found = locate(pipeline_root=str(tmp_path))

    assert len(list((tmp_path / "data").glob("span-*/data.csv"))) == 13
    assert found.data_root == str(tmp_path / "data")


@pytest.mark.parametrize("uri", ["minio://mlpipeline/v2", "https://example.org", "gs://", "file://host/x"])
def test_what_nothing_here_can_open_is_refused(uri):
    with pytest.raises(ConfigError, match="--pipeline-root: expected"):
        locate(pipeline_root=uri)
