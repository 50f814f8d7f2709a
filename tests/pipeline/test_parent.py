"""A process ends with the one that started it, whatever ends that one."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

SERVER = ["http.server", "0", "--bind", "127.0.0.1"]
TIMEOUT_S = 60


def test_it_ends_when_its_input_is_closed_also_where_the_kernel_does_not_see_to_it():
    command = [sys.executable, "-u", "-m", "pipeline.parent", str(os.getpid()), *SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("Serving HTTP")
        process.stdin.close()

        assert process.wait(TIMEOUT_S) == -signal.SIGKILL


def test_it_does_not_begin_where_its_parent_is_gone():
    done = subprocess.run([sys.executable, "-m", "pipeline.parent", "1", *SERVER], timeout=TIMEOUT_S, check=False)

    assert done.returncode == 1


# A run with its model server, both of which hold the log open for writing.
RUN = """
import sys
from pathlib import Path
from pipeline.predict import servability
with servability.starting(Path(sys.argv[1]), "m", Path(sys.argv[2])):
    sys.stdin.read()
"""


def read_until(end: BinaryIO, word: bytes | None) -> str:
    """Returns what comes until the word, or until the end where it is None."""
    text = b""
    while word is None or word not in text:
        assert select.select([end], [], [], TIMEOUT_S)[0], f"nothing came after {text!r}"
        more = end.read1()
        if not more:
            break
        text += more
    return text.decode()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_model_server_does_not_outlive_a_run_that_is_killed(tmp_path: Path, how):
    log = tmp_path / "log"
    os.mkfifo(log)
    # A model server that waits for a version.
    (tmp_path / "models").mkdir()
    command = [sys.executable, "-c", RUN, str(tmp_path / "models"), str(log)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as run,
        log.open("rb") as end,
    ):
        assert "waiting for a first version" in read_until(end, b"version")
        run.send_signal(how)
        run.wait(TIMEOUT_S)

        # The end of the log comes once nobody is left who could write to it.
        read_until(end, None)
