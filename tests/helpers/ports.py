"""Ports for the servers that tests start: no two test processes of a machine are given the same one.

A server binds its port seconds after it was chosen, and cannot be handed a bound socket: our server and Prometheus take
numbers. So a port is claimed by a lock on a file of its number, which lasts as long as the test process, whatever ends
it. The range lies below what systems hand out to connections, and beside the range of `servability`, from which the
pipelines under test take theirs.
"""

import contextlib
import fcntl
import os
import socket
import tempfile
from pathlib import Path

_PORTS = range(10_000, 20_000)
_CLAIMS = Path(tempfile.gettempdir()) / f"driftgate-test-ports-{os.getuid()}"
_claimed: dict[int, int] = {}
"""The open file of each port of this process: closing it would give the port back."""


def free_port() -> int:
    """Returns a port of this machine that is this process's until it ends."""
    _CLAIMS.mkdir(exist_ok=True)
    for port in _PORTS:
        if port not in _claimed and _claim(port):
            return port
    raise OSError(f"no port from {_PORTS[0]} to {_PORTS[-1]} of 127.0.0.1 is free")


def _claim(port: int) -> bool:
    claim = os.open(_CLAIMS / str(port), os.O_RDWR | os.O_CREAT)
    with contextlib.suppress(OSError):  # Another test process has it, or another program listens there.
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
        _claimed[port] = claim
        return True
    os.close(claim)
    return False
