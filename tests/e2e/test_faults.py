"""A run that dies loses nothing: the store is readable, only whole versions are served, the next run carries on."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
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


def is_done(root: Path, span: int, *options: object) -> bool:
    (row,) = [row for row in run("spans", "--root", root, *options, "--json").json["spans"] if row["span"] == span]
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


def processes_of(session: int) -> list[str]:
    """Returns the command lines of the processes that a run has started, and of the run itself."""
    lines = subprocess.run(["ps", "-o", "args=", "-s", str(session)], capture_output=True, text=True, check=False)
    return lines.stdout.splitlines()


def test_sigterm_ends_a_run_and_is_recorded(root):
    with subprocess.Popen(
        command("run", "--span", 5, "--force", "--root", root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert "StatisticsGen" in next(line for line in process.stderr if line.split()[:1] == ["StatisticsGen"])
        process.send_signal(signal.SIGTERM)
        err = process.stderr.read()

    assert process.returncode == 143
    assert "terminated\nNothing is lost: the same command carries on.\nThe log: " in err
    assert "Traceback" not in err
    ended = json.loads((root / "runs.jsonl").read_text().splitlines()[-1])
    assert (ended["span"], ended["result"], ended["version"]) == (5, "interrupted", None)
    assert f"The log: {ended['log']}\n" in err
    assert not (root / "running.json").exists()
    assert processes_of(process.pid) == []


EARLIER = """
import datetime, sys, time

true_time, a_day = time.time, 86_400
time.time = lambda: true_time() - a_day

class Earlier(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) - datetime.timedelta(seconds=a_day)

datetime.datetime = Earlier
import local_runner
sys.exit(local_runner.main(sys.argv[1:]))
"""


def test_a_clock_that_is_set_back_mixes_no_two_runs(root):
    options = ("run", "--span", "5", "--root", str(root), "--json")
    first = run(*options)
    assert first.status == 0, first.err

    second = subprocess.run(
        [sys.executable, "-c", EARLIER, *options],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=REPOSITORY,
    )  # fmt: skip

    assert second.returncode == 0, second.stderr
    before, after = first.json, json.loads(second.stdout)
    first_run, second_run = [json.loads(line) for line in (root / "runs.jsonl").read_text().splitlines()[-2:]]
    assert second_run["run_id"] < first_run["run_id"]
    assert [first_run["log"], second_run["log"]] == [before["log"], after["log"]]
    assert before["log"] != after["log"]
    for ended, printed in ((first_run, before), (second_run, after)):
        assert f"Run of {ended['run_id']}." in Path(printed["report"]).read_text()
    status = run("status", "--root", root, "--json").json
    assert (status["last_report"], status["last_log"]) == (after["report"], after["log"])
    assert run("report", "--root", root).out == f"{after['report']}\n"


def mounted(*arguments: object) -> bool:
    """Mounts something; False where this user may not."""
    return os.geteuid() == 0 and subprocess.run(["mount", *map(str, arguments)], check=False).returncode == 0


def test_a_full_disk_is_one_clear_line_and_with_room_the_same_command_carries_on(pushed, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=1500k", "none", mount):
        pytest.skip("a small file system can be mounted by root only")
    root = mount / "root"
    data = ("--data-root", pushed[0] / "data")
    same = ("run", "--span", 5, "--root", root, *data)
    try:
        full = run(*same)

        assert full.status == 1
        assert "Traceback" not in full.err
        (line,) = [line for line in full.err.splitlines() if line.startswith("error:")]
        assert line.endswith("the disk is full. Make room and run the same command again.")
        assert versions(root) == []
        assert not list(root.glob("serving/*/.pushing-*"))
        with contextlib.closing(sqlite3.connect(root / "metadata.sqlite")) as store:
            assert store.execute("pragma integrity_check").fetchone() == ("ok",)
        assert not is_done(root, 5, *data)

        assert mounted("-o", "remount,size=300m", mount)
        done = run(*same, "--json")

        assert done.status == 0, done.err
        assert versions(root) == [str(done.json["pushed_version"])]
        results = [json.loads(line)["result"] for line in (root / "runs.jsonl").read_text().splitlines()]
        assert results in (["failed", "pushed"], ["killed", "pushed"])
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_read_only_database_is_one_clear_line(root, pushed):
    database = root / "metadata.sqlite"
    shutil.copy(pushed[0] / "metadata.sqlite", database)
    if not mounted("--bind", database, database):
        pytest.skip("a file can be mounted by root only")
    try:
        assert mounted("-o", "remount,bind,ro", database)
        assert run("report", "--root", root).status == 0

        done = run("run", "--span", 5, "--root", root)

        assert done.status == 1
        assert "Traceback" not in done.err
        (line,) = [line for line in done.err.splitlines() if line.startswith("error:")]
        assert line == (
            "error: the file system or the database is read-only. Make it writable, or name another --root."
        )
    finally:
        subprocess.run(["umount", database], check=True)


def test_a_read_only_root_is_one_clear_line(pushed, tmp_path):
    mount = tmp_path / "read-only"
    mount.mkdir()
    if not mounted("-t", "tmpfs", "-o", "ro", "none", mount):
        pytest.skip("a read-only file system can be mounted by root only")
    try:
        done = run("run", "--root", mount / "root", "--data-root", pushed[0] / "data")

        assert done.status == 1
        assert done.err == (
            f"error: The root {mount / 'root'} cannot be written: Read-only file system. "
            "Make room there, make it writable, or name another with --root.\n"
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
