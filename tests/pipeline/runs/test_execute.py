"""Where a run finds its data; the runs themselves are tests/e2e's."""

import pytest

from pipeline.config.dataset import load_dataset
from pipeline.errors import ConfigError
from pipeline.runs.request import locate_data
from pipeline.state.root import Root
from tests.helpers.datasets import own_dataset


def test_beams_workers_find_a_data_root_that_was_named_from_here(tmp_path, monkeypatch):
    (tmp_path / "spans").mkdir()
    monkeypatch.chdir(tmp_path)

    found = locate_data(load_dataset("taxi"), Root(tmp_path / "root"), "spans")

    assert found == str(tmp_path / "spans")


def test_a_bucket_is_left_as_it_is(tmp_path):
    found = locate_data(load_dataset("taxi"), Root(tmp_path / "root"), "gs://bucket/spans")

    assert found == "gs://bucket/spans"


def test_the_dataset_file_says_where_its_spans_are(tmp_path, monkeypatch):
    dataset = own_dataset(tmp_path / "mine", 'data = "spans"')
    (tmp_path / "mine" / "spans").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")

    assert locate_data(dataset, Root(tmp_path / "root"), None) == str(tmp_path / "mine" / "spans")
    assert locate_data(dataset, Root(tmp_path / "root"), str(tmp_path / "other")) == str(tmp_path / "other")


def test_the_dataset_file_may_name_a_bucket(tmp_path):
    dataset = own_dataset(tmp_path / "mine", 'data = "gs://bucket/spans"')

    assert locate_data(dataset, Root(tmp_path / "root"), None) == "gs://bucket/spans"


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ('data = "spans"', r"dataset\.toml \[spans\]: data: there is no folder .*/mine/spans\."),
        ("", r"dataset\.toml \[spans\]: nothing says where the spans are\. Write their folder there.*data = .spans"),
    ],
)
def test_spans_that_are_nowhere_are_a_mistake_in_the_file(tmp_path, spans, message):
    with pytest.raises(ConfigError, match=message):
        locate_data(own_dataset(tmp_path / "mine", spans), Root(tmp_path / "root"), None)
