"""The clock that wanders, in a process of its own."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks.wandering_clock import WanderingClock


def test_the_clock_of_the_day_moves_and_no_other(tmp_path):
    clock = WanderingClock(tmp_path)
    if not clock.wanders:
        pytest.skip("needs a C compiler")
    script = (
        "import sys, time, datetime\n"
        "for _ in sys.stdin:\n"
        "    print(time.time(), datetime.datetime.now().timestamp(), time.monotonic(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, **clock.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def ask():
            process.stdin.write("\n")
            process.stdin.flush()
            return [float(word) for word in process.stdout.readline().split()]

        for offset in (0, -7_200, 86_400):
            clock.set(offset)
            day, calendar, counting = ask()
            # Far apart enough for a process that has to wait for its turn.
            assert day - time.time() == pytest.approx(offset, abs=600)
            assert calendar - time.time() == pytest.approx(offset, abs=600)
            assert counting - time.monotonic() == pytest.approx(0, abs=600)
        process.stdin.close()
