"""Checkers in environments of their own: the schemas of Kubernetes alone are 100 MB."""

import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_UNREACHABLE = ("Failed to fetch", "error sending request", "dns error", "No solution found", "Network is unreachable")


@pytest.fixture(scope="session")
def checker():
    """Runs a command of a pinned package; returns its exit status and what it said."""

    def run(package, *command):
        done = subprocess.run(
            [sys.executable, "-m", "uv", "tool", "run", "--quiet", "--from", package, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        said = done.stdout + done.stderr
        if done.returncode and any(text in said for text in _UNREACHABLE):
            pytest.skip(f"the package index, from which {package} comes, cannot be reached: {said[-200:]}")
        return done.returncode, said

    return run
