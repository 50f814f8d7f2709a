"""Processes that die with the one that started them, whatever ends it.

`python -m pipeline.parent PID MODULE ARGUMENT...` runs a module so: it ends when the process PID, which started it,
ends or closes its standard input. The kernel sees to it on Linux; elsewhere a thread that reads the input does.
"""

import contextlib
import ctypes
import os
import runpy
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Has the kernel kill this process when the thread that started it ends, where it can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _die_with_input() -> None:
    """Ends the process once its standard input is closed; a model that is just being loaded cannot hold this up."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    threading.Thread(target=_die_with_input, daemon=True).start()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
