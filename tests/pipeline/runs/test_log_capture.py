"""Noise goes to the log, ours to the terminal."""

import subprocess
import sys

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
