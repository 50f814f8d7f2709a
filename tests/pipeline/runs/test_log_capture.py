"""Noise goes to the log, ours to the terminal."""

import logging
import subprocess
import sys
import time

import pytest

from pipeline.runs import log_capture

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from pipeline.runs.log_capture import captured
with captured(Path(sys.argv[1])) as (out, err):
    os.write(2, b"noise of C++\\n")
    subprocess.run(["echo", "noise of a child"])
    print("noise of Python")
    print("a result", file=out)
    print("progress", file=err)
print("after")
"""


def test_descriptors_are_captured_and_given_back(tmp_path):
    log = tmp_path / "logs" / "run.log"

    done = subprocess.run([sys.executable, "-c", SCRIPT, str(log)], capture_output=True, text=True, check=True)

    assert done.stdout == "a result\nafter\n"
    assert done.stderr == "progress\n"
    assert log.read_text() == "noise of C++\nnoise of a child\nnoise of Python\n"


def test_what_is_logged_afterwards_goes_where_it_went_before(tmp_path):
    # A handler was left whose stream closes with a test: each later line was "I/O operation on closed file".
    root = logging.getLogger()
    before = list(root.handlers), root.level

    with log_capture.captured(tmp_path / "run.log"):
        assert root.handlers != before[0]

    assert (root.handlers, root.level) == before


def test_two_logs_of_one_second_are_two_files_and_sort_by_time(tmp_path):
    logs = [log_capture.new_log(tmp_path, "run") for _ in range(20)]

    assert sorted(set(logs)) == logs


def test_logs_sort_by_time_in_every_time_zone(tmp_path, monkeypatch):
    names = []
    for zone in ("Etc/GMT-14", "Etc/GMT+12"):  # POSIX: 14 hours ahead of UTC, then 12 behind.
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        names.append(log_capture.new_log(tmp_path, "run").name)
    monkeypatch.undo()
    time.tzset()

    assert names == sorted(names)


def test_a_temporary_capture_leaves_nothing_unless_it_failed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with log_capture.captured():
        pass
    assert list(tmp_path.iterdir()) == []

    with pytest.raises(ZeroDivisionError) as caught, log_capture.captured():
        _ = 1 / 0

    (log,) = tmp_path.iterdir()
    assert caught.value.__notes__ == [f"The log: {log}"]
