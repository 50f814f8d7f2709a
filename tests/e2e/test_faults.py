"""A run that dies loses nothing: the store is readable, only whole versions are served, the next run carries on."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, TIMEOUT_S, command, run

pytestmark = pytest.mark.e2e


def end_after(node: str, root: Path, span: int, how: signal.Signals) -> int:
    """Starts a run and ends it by a signal as soon as `node` has ended, so in the next component; returns its id."""
    with subprocess.Popen(
        command("run", "--span", span, "--root", root), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if line.split()[:1] == [node]:
                os.kill(process.pid, how)
                break
        else:
            pytest.fail(f"the run ended before {node}")
    assert process.returncode not in (0, 1)
    return process.pid


def is_done(root: Path, span: int) -> bool:
    (row,) = [row for row in run("spans", "--root", root, "--json").json["spans"] if row["span"] == span]
    return row["done"]


def versions(root: Path) -> list[str]:
    serving = root / "serving" / "taxi"
    return sorted(entry.name for entry in serving.iterdir() if entry.name.isdecimal()) if serving.exists() else []


def test_a_run_killed_at_several_moments_is_finished_by_the_next(pushed, tmp_path):
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    shutil.copytree(pushed[0] / "data", root / "data", dirs_exist_ok=True)

    processes = []
    for node, how in (
        ("ExampleGen", signal.SIGKILL),
        ("RerunGate", signal.SIGKILL),
        ("WindowStatistics", signal.SIGTERM),
        ("Trainer", signal.SIGKILL),
        ("BaselineGen", signal.SIGKILL),
    ):
        processes.append(end_after(node, root, 5, how))
        assert versions(root) == []
        assert not is_done(root, 5)
        store = sqlite3.connect(root / "metadata.sqlite")
        assert store.execute("pragma integrity_check").fetchone() == ("ok",)
        store.close()

    done = run("run", "--span", 5, "--root", root, "--json")

    assert done.status == 0, done.err
    assert done.json["result"] == "pushed"
    statuses = {node["node"]: node["status"] for node in done.json["components"]}
    # What had been finished is taken up, training included.
    assert statuses["Trainer"] == "cached"
    assert versions(root) == [str(done.json["pushed_version"])]
    records = [json.loads(path.read_text()) for path in (root / "state").glob("span-*.json")]
    assert [(record["verdict"], record["outcome"]) for record in records] == [("rerun", "pushed")]
    assert is_done(root, 5)
    # And what they left behind is gone: temporary files, and executions that would run for ever.
    temporary = Path(tempfile.gettempdir()) / f"driftgate-{os.getuid()}"
    assert not [folder for pid in processes for folder in temporary.glob(f"{pid}-*")]
    assert not list((root / "artifacts").glob("*/.system/executor_execution/*/.temp"))
    store = sqlite3.connect(root / "metadata.sqlite")
    assert store.execute("select count(*) from Execution where last_known_state = 2").fetchone() == (0,)
    store.close()


def test_a_full_disk_is_one_clear_line_and_nothing_is_pushed(pushed, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", mount], check=False).returncode
    ):
        pytest.skip("a small file system can be mounted by root only")
    try:
        done = run("run", "--span", 5, "--root", mount / "root", "--data-root", pushed[0] / "data")

        assert done.status == 1
        assert "Traceback" not in done.err
        assert "error:" in done.err
        assert versions(mount / "root") == []
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_read_only_root_is_one_clear_line(pushed, tmp_path):
    mount = tmp_path / "read-only"
    mount.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", mount], check=False).returncode:
        pytest.skip("a read-only file system can be mounted by root only")
    try:
        done = run("run", "--root", mount / "root", "--data-root", pushed[0] / "data")

        assert done.status == 1
        assert done.err == (
            f"error: The root {mount / 'root'} cannot be written: Read-only file system. "
            "Make room, or name another with --root.\n"
        )
    finally:
        subprocess.run(["umount", mount], check=True)


def test_watch_processes_each_span_once_and_sets_a_failing_one_aside(root):
    for span in range(8, 14):
        shutil.rmtree(root / "data" / f"span-{span}")
    for span in range(1, 5):
        # Spans below the live model's are late by now; the newest three are what a watcher would meet.
        shutil.rmtree(root / "data" / f"span-{span}")
    path = root / "data" / "span-6" / "data.csv"
    path.write_text(path.read_text() + "1,2,3\n")
    shutil.copy(root / "data" / "span-5" / "data.csv", root / "data" / "span-7" / "data.csv")

    done = run("watch", "--root", root, "--data-root", root / "data", "--once", "--tries", 1)

    assert done.status == 0, done.err
    lines = [line for line in done.out.splitlines() if "span" in line]
    assert [line.split()[3] for line in lines] == ["6", "7"]
    assert "refused: " in lines[0]
    assert json.loads((root / "state" / "span-6-version-0.json").read_text())["verdict"] == "block"
    assert "skip   its content equals that of span 5" in lines[1]
    again = run("watch", "--root", root, "--data-root", root / "data", "--once")
    assert (again.status, again.out) == (0, "")

    # Corrected in place: a new state of the span, which is taken once.
    path.write_text(path.read_text().removesuffix("1,2,3\n"))
    corrected = run("watch", "--root", root, "--data-root", root / "data", "--once", "--tries", 1)
    assert "span 6: its files changed after they were processed; it is taken again" in corrected.err
    assert [line.split()[3] for line in corrected.out.splitlines() if "span" in line] == ["6"]
    assert json.loads((root / "state" / "span-6-version-0.json").read_text())["accepted"]
    again = run("watch", "--root", root, "--data-root", root / "data", "--once")
    assert (again.status, again.out) == (0, "")


def test_sigterm_ends_a_watch_between_components(root):
    with subprocess.Popen(
        command("watch", "--root", root, "--poll", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        assert process.stderr.readline().startswith("watching ")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 0
    assert err.endswith("stopped\n")
