"""The root's lock and what counts as a pushed version."""

import subprocess
import sys

import pytest

from pipeline.errors import ConfigError, PipelineError, RootBusyError
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions

HOLD = """
import sys
from pathlib import Path
from pipeline.state.root import Root
with Root(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_root(tmp_path):
    root = Root(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(RootBusyError, match=rf"process {holder.pid}\) is at work on {tmp_path}"), root.locked():
            pass

        holder.kill()
    # The lock died with its holder.
    with root.locked():
        pass


def test_a_root_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(PipelineError, match=r"root .*/file/root cannot be written: Not a directory"):
        Root(tmp_path / "file" / "root").prepare()


def test_a_root_that_tensorflow_would_take_for_a_wildcard_is_refused(tmp_path):
    for name in ("a*", "a?", "a[1]", "a\\b"):
        with pytest.raises(ConfigError, match=r"TensorFlow reads them as wildcards. Received: /"):
            Root(tmp_path / name).prepare()
    assert not list(tmp_path.iterdir())


def test_only_numbered_folders_are_versions(tmp_path):
    for name in ("2", "10", ".pushing-11", "latest"):
        (tmp_path / name).mkdir()
    (tmp_path / "12").touch()

    assert pushed_versions(tmp_path) == [2, 10]
    assert pushed_versions(tmp_path / "absent") == []
