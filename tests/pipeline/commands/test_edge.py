"""What ends a command: one line for a person, the documented exit status for a program."""

import errno
import os
import shlex
import signal
import subprocess
import sys

import pytest

from columnar.errors import ExamplesError
from models.errors import LabelError
from pipeline import REPOSITORY
from pipeline.commands import edge
from pipeline.errors import ConfigError, DataError, PipelineError, RootBusyError

DISK_FULL = "error: /r/x: the disk is full. Make room and run the same command again."
WRITER = "/r/x.tfrecord; No space left on device [Op:SaveV2]"


def raising(error):
    def command():
        raise error

    return command


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (PipelineError("no such thing"), 1, "error: no such thing"),
        (ConfigError("--x: wrong"), 2, "error: --x: wrong"),
        (DataError("x.csv, line 3"), 3, "error: x.csv, line 3"),
        (RootBusyError("process 7 is at work"), 5, "error: process 7 is at work"),
        (LabelError("the label is neither 0 nor 1"), 1, "error: the label is neither 0 nor 1"),
        (ExamplesError("x.gz is cut short"), 1, "error: x.gz is cut short"),
        (OSError(errno.ENOSPC, "No space left on device", "/r/x"), 1, DISK_FULL),
        (RuntimeError(WRITER), 1, "error: the disk is full. Make room and run the same command again."),
        (caused(ValueError("save"), OSError(errno.ENOSPC, "No space left on device", "/r/x")), 1, DISK_FULL),
        (
            RuntimeError("mlmd: attempt to write a readonly database"),
            1,
            "error: the file system or the database is read-only. Make it writable, or name another --root.",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/r/x"), 1, "error: /r/x: Permission denied."),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line_and_a_status(capsys, error, status, text):
    assert edge.run(raising(error)) == status
    assert capsys.readouterr().err == text + "\n"


def test_what_nobody_foresaw_is_one_line_and_its_traceback_is_kept(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert edge.run(raising(KeyError("reasons"))) == 1

    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: KeyError: 'reasons'"
    (log,) = tmp_path.iterdir()
    assert second == f"The log: {log}"
    assert "Traceback" in log.read_text()


CAPTURED = """
import sys
from pathlib import Path
from pipeline import errors
from pipeline.commands import edge
from pipeline.runs.log_capture import captured
def work():
    with captured(Path(sys.argv[1])):
        raise eval(sys.argv[2])
sys.exit(edge.run(work))
"""


@pytest.mark.parametrize(
    ("error", "status", "line", "logged"),
    [
        ("KeyError('reasons')", 1, "error: KeyError: 'reasons'", True),
        ("errors.PipelineError('no decision')", 1, "error: no decision", True),
        ("errors.ConfigError('--x: wrong')", 2, "error: --x: wrong", False),
        ("KeyboardInterrupt()", 130, "interrupted", True),
    ],
)
def test_an_error_under_capture_names_the_log_that_has_its_traceback(tmp_path, error, status, line, logged):
    log = tmp_path / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", CAPTURED, str(log), error], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )

    assert done.returncode == status
    assert done.stderr.splitlines() == [line, f"The log: {log}"] if logged else [line]
    assert ("Traceback" in log.read_text()) is logged


def shell(line, tmp_path):
    runner = f"{shlex.quote(sys.executable)} {shlex.quote(str(REPOSITORY / 'local_runner.py'))}"
    line = line.format(status=f"{runner} status --root {shlex.quote(str(tmp_path))}", runner=runner)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "line",
    [
        "{status} | head -1",
        "{status} | true",
        "{status} | sed q",
        "{runner} --help | true",
        "{runner} run --help | true",
        "{status} >&-",
        "{status} >&- 2>&-",
        "{status} <&- >&- 2>&-",
    ],
)
def test_a_reader_that_has_gone_is_no_failure(tmp_path, line):
    done = shell(line, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_keeps_its_status_where_nobody_reads_it(tmp_path):
    assert shell("{runner} status --dataset nothing 2>&-", tmp_path).returncode == 2


WORKER = """
import signal, sys
from pipeline.commands import edge
def work():
    try:
        print("at work", flush=True)
        signal.pause()
    finally:
        print("put away")
sys.exit(edge.run(work))
"""


@pytest.mark.parametrize(
    ("number", "status", "text"), [(signal.SIGTERM, 143, "terminated\n"), (signal.SIGINT, 130, "interrupted\n")]
)
def test_a_signal_ends_a_command_cleanly(number, status, text):
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdout.readline() == "at work\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (status, "put away\n", text)


UNREAD = """
import os, sys
from pathlib import Path
from pipeline.commands import edge
from pipeline.runs.log_capture import captured
def work():
    with captured(Path(sys.argv[1]) / "log") as (out, err):
        for step in range(3):
            print("step", step, file=err)
            print("result", step, file=out)
        (Path(sys.argv[1]) / "done").touch()
    return 4
sys.exit(edge.run(work))
"""


def test_work_under_capture_goes_on_when_nobody_reads(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", UNREAD, str(tmp_path)], stdout=write, stderr=write, check=False, cwd=REPOSITORY
    )
    os.close(write)

    assert done.returncode == 4
    assert (tmp_path / "done").exists()
