"""The same files are recognised by what they are, not by what they are called."""

import os

import pytest

from pipeline.ingest.reuse import Reusable, identities


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "shard"
    file.write_text("content")
    return os.fspath(file)


def test_a_hard_link_is_the_same_file_and_a_copy_is_not(path):
    made = Reusable(most=2)
    made.put([path], "how", 1)
    os.link(path, path + "-link")
    with open(path + "-copy", "w") as copy:
        copy.write("content")

    assert made.get([path + "-link"], "how") == 1
    assert made.get([path + "-copy"], "how") is None


def test_other_settings_other_files_and_changed_files_are_not_the_same(path):
    made = Reusable(most=2)
    made.put([path], "how", 1)

    assert made.get([path], "otherwise") is None
    assert made.get([path, path], "how") is None

    os.utime(path, ns=(0, 0))
    assert made.get([path], "how") is None


def test_only_the_newest_are_kept(path):
    made = Reusable(most=2)
    for how in range(3):
        made.put([path], how, how)

    assert [made.get([path], how) for how in range(3)] == [None, 1, 2]


def test_nothing_is_known_of_files_that_are_gone_or_remote(path):
    made = Reusable(most=2)
    made.put([path, path + "-gone"], "how", 1)
    made.put(["gs://bucket/shard"], "how", 1)

    assert made.get([path, path + "-gone"], "how") is None
    assert identities(["gs://bucket/shard"]) is None
