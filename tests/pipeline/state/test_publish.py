"""A version becomes visible whole, by one rename, or not at all."""

import os
import subprocess
import sys

import pytest

from pipeline import files
from pipeline.state import publish
from pipeline.state.version_folder import pushed_versions

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"i", "assets.extra/baseline/manifest.json": b"{}"}


@pytest.fixture
def model_dir(tmp_path):
    for name, content in FILES.items():
        file = tmp_path / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "model"


def test_the_version_is_the_time_and_the_copy_is_whole(model_dir, tmp_path):
    pushed = publish.push(model_dir, tmp_path / "serving", now=1_700_000_000)

    assert pushed == tmp_path / "serving" / "1700000000"
    assert {name: (pushed / name).read_bytes() for name in FILES} == FILES


def test_a_version_takes_no_room_beside_the_model_that_it_came_from(model_dir, tmp_path):
    pushed = publish.push(model_dir, tmp_path / "serving", now=8)

    assert [(pushed / name).stat().st_ino for name in FILES] == [(model_dir / name).stat().st_ino for name in FILES]


def test_a_version_is_always_above_the_newest(model_dir, tmp_path):
    (tmp_path / "serving" / "2000000000").mkdir(parents=True)

    assert publish.push(model_dir, tmp_path / "serving", now=1_700_000_000).name == "2000000001"


def test_what_a_crash_left_is_removed(model_dir, tmp_path):
    (tmp_path / "serving" / ".pushing-7" / "variables").mkdir(parents=True)

    publish.push(model_dir, tmp_path / "serving", now=8)

    assert os.listdir(tmp_path / "serving") == ["8"]


def test_a_full_disk_leaves_nothing_behind(model_dir, tmp_path, monkeypatch):
    def full(source, target, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.shutil, "copytree", full)

    with pytest.raises(OSError, match="No space left"):
        publish.push(model_dir, tmp_path / "serving", now=8)

    assert os.listdir(tmp_path / "serving") == []


PUSH_ON_AND_ON = """
import sys
from pathlib import Path
from pipeline.state import publish
from pipeline.state.version_folder import pushed_versions
for now in range(1, 1000):
    publish.push(Path(sys.argv[1]), Path(sys.argv[2]), now)
"""


@pytest.mark.parametrize("visible", [1, 2, 5])
def test_a_push_killed_at_any_moment_shows_no_half_version(model_dir, tmp_path, visible):
    (model_dir / "variables" / "variables.data").write_bytes(os.urandom(10_000_000))
    serving = tmp_path / "serving"
    with subprocess.Popen([sys.executable, "-c", PUSH_ON_AND_ON, str(model_dir), str(serving)]) as process:
        # The next push is under way when the last one has just become visible.
        while len(pushed_versions(serving)) < visible:
            assert process.poll() is None
        process.kill()

    versions = pushed_versions(serving)
    assert len(versions) >= visible
    for version in versions:
        files = {
            str(p.relative_to(serving / str(version))): p.stat().st_size for p in serving.glob(f"{version}/**/*.*")
        }
        assert files["variables/variables.data"] == 10_000_000
        assert set(FILES) < set(files)
