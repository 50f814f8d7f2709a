"""Where a run finds its data; the runs themselves are tests/e2e's."""

from pipeline.config.dataset import load_dataset
from pipeline.runs.request import locate_data
from pipeline.state.root import Root


def test_beams_workers_find_a_data_root_that_was_named_from_here(tmp_path, monkeypatch):
    (tmp_path / "spans").mkdir()
    monkeypatch.chdir(tmp_path)

    found = locate_data(load_dataset("taxi"), Root(tmp_path / "root"), "spans")

    assert found == str(tmp_path / "spans")


def test_a_bucket_is_left_as_it_is(tmp_path):
    found = locate_data(load_dataset("taxi"), Root(tmp_path / "root"), "gs://bucket/spans")

    assert found == "gs://bucket/spans"
