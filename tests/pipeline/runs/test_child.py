"""A run in a process of its own: what comes back, and what ends it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from pipeline.errors import ConfigError, PipelineError
from pipeline.runs.child import in_child


class UnsendableError(Exception):
    """As TensorFlow's errors: what pickle hands to the constructor is not what that takes."""

    def __init__(self, node: str, text: str) -> None:
        super().__init__(text)


def fail(error):
    raise error


def test_a_value_comes_back_from_another_process():
    assert in_child(lambda: {"pid": os.getpid()})["pid"] != os.getpid()


def test_a_value_larger_than_a_pipe_comes_back():
    assert in_child(lambda: b"x" * 1_000_000) == b"x" * 1_000_000


def test_an_error_comes_back_as_itself():
    with pytest.raises(ConfigError, match="no such span"):
        in_child(lambda: fail(ConfigError("no such span")))


def test_an_error_that_cannot_be_sent_comes_back_by_name():
    with pytest.raises(RuntimeError, match="UnsendableError: out of range"):
        in_child(lambda: fail(UnsendableError("node", "out of range")))


def test_a_child_that_is_killed_is_an_error_that_names_the_signal():
    with pytest.raises(PipelineError, match="was ended by SIGKILL"):
        in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_stop_is_passed_on_to_the_child():
    stop = threading.Event()
    stop.set()

    with pytest.raises(PipelineError, match="was ended by SIGTERM"):
        in_child(signal.pause, stop)


PARENT = """
import os, signal, time
from pipeline.runs.child import in_child

def work():
    os.write(1, f"{os.getpid()}\\n".encode())
    signal.pause()

in_child(work)
"""


def test_a_child_dies_with_its_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline().strip().isdecimal()
        parent.kill()

        # The child holds the other end of this pipe too: it ends when both are gone.
        rest, _ = parent.communicate(timeout=60)

    assert rest == ""


THREADS = """
from pipeline.runs import execute

execute.preload()
from tensorflow.python.eager import context

print(context.context()._initialized)
"""


def test_what_is_imported_beforehand_does_not_start_tensorflow():
    done = subprocess.run([sys.executable, "-c", THREADS], stdout=subprocess.PIPE, text=True, timeout=300, check=True)

    assert done.stdout == "False\n"
