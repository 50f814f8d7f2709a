"""A version becomes visible whole, by one rename, or not at all."""

import os
import subprocess
import sys
import time

import pytest

from pipeline import push

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"i", "assets.extra/baseline/manifest.json": b"{}"}


@pytest.fixture
def model_dir(tmp_path):
    for name, content in FILES.items():
        file = tmp_path / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "model"


def test_the_version_is_the_time_and_the_copy_is_whole(model_dir, tmp_path):
    pushed = push.push(model_dir, tmp_path / "serving", now=1_700_000_000)

    assert pushed == tmp_path / "serving" / "1700000000"
    assert {name: (pushed / name).read_bytes() for name in FILES} == FILES


def test_a_version_is_always_above_the_newest(model_dir, tmp_path):
    (tmp_path / "serving" / "2000000000").mkdir(parents=True)

    assert push.push(model_dir, tmp_path / "serving", now=1_700_000_000).name == "2000000001"


def test_what_a_crash_left_is_removed(model_dir, tmp_path):
    (tmp_path / "serving" / ".pushing-7" / "variables").mkdir(parents=True)

    push.push(model_dir, tmp_path / "serving", now=8)

    assert os.listdir(tmp_path / "serving") == ["8"]


def test_a_full_disk_leaves_nothing_behind(model_dir, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(push.shutil, "copytree", full)

    with pytest.raises(OSError, match="No space left"):
        push.push(model_dir, tmp_path / "serving", now=8)

    assert os.listdir(tmp_path / "serving") == []


def test_a_push_killed_at_any_moment_shows_no_half_version(model_dir, tmp_path):
    (model_dir / "variables" / "variables.data").write_bytes(os.urandom(30_000_000))
    serving = tmp_path / "serving"
    script = "import sys; from pathlib import Path; from pipeline import push\nprint('go', flush=True)\nfor now in range(1, 1000): push.push(Path(sys.argv[1]), Path(sys.argv[2]), now)"
    for delay in (0.01, 0.05, 0.1):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(model_dir), str(serving)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            process.stdout.readline()
            time.sleep(delay)  # The moment of death is the point of this test.
            process.kill()

        for entry in serving.iterdir() if serving.exists() else ():
            if entry.name.isdecimal():
                sizes = {str(p.relative_to(entry)): p.stat().st_size for p in entry.rglob("*") if p.is_file()}
                assert sizes["variables/variables.data"] == 30_000_000
                assert set(FILES) < set(sizes)
