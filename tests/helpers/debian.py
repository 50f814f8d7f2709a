"""Programs that tests need and Debian has: installed where they are missing and can be, else the test is skipped."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_TIMEOUT_S = 420


def require(package: str, *programs: str) -> str:
    """Returns the path of the first of `programs` that is there, after installing `package` where none is.

    One test process at a time installs: apt refuses to run twice.
    """
    with (Path(tempfile.gettempdir()) / "driftgate-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(map(shutil.which, programs)):
            _install(package)
    found = next(filter(None, map(shutil.which, programs)), None)
    assert found is not None, f"{package} was installed and brought none of {', '.join(programs)}"
    return found


def _install(package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"{package} is missing, and only root on Debian could install it: apt-get install {package}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
        done = subprocess.run(
            ["apt-get", *command], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=environment
        )
        if done.returncode:
            pytest.skip(f"Debian's {package} cannot be installed: {done.stderr[-300:]}")
