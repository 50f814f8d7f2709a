"""What a cluster's processes use while a run is on it: CPU time and memory, sampled from the operating system."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Self

import numpy as np
import psutil

from benchmarks.distributed.cluster import Processes

SAMPLE_S = 1.0


class Meter(threading.Thread):
    """Samples while its block runs.

    Attributes:
      peak_mb: the largest sum of the processes' resident memory that was seen; what they share counts in each.
    """

    def __init__(self, processes: Processes, look: Callable[[], bool] | None = None, look_s: float = 0.2) -> None:
        """Takes the processes, and what else is to be done every `look_s` seconds until it returns True."""
        super().__init__(daemon=True)
        self._processes, self._look, self._look_s = processes, look, look_s
        self._ended = threading.Event()
        self._cpu: dict[tuple[int, float], float] = {}
        self._samples: list[tuple[float, float]] = []
        self.peak_mb = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of every process that was seen, up to when it was seen last."""
        return round(sum(self._cpu.values()), 1)

    def cpu_between(self, begin: float, end: float) -> float:
        """Returns the CPU seconds between two times (seconds since 1970)."""
        times, used = zip(*self._samples, strict=True)
        before, after = np.interp([begin, end], times, used)
        return round(float(after - before), 1)

    def run(self) -> None:
        """Samples until the block ends."""
        while not self._ended.wait(SAMPLE_S if self._look is None else self._look_s):
            self._sample()
            # A cluster may be slow to answer while it restarts what was lost.
            with contextlib.suppress(OSError):
                if self._look is not None and self._look():
                    self._look = None

    def _sample(self) -> None:
        total = 0
        for process in self._processes.by_name.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                for one in (parent, *parent.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        used = one.cpu_times()
                        self._cpu[one.pid, one.create_time()] = used.user + used.system
                        total += one.memory_info().rss
        self.peak_mb = max(self.peak_mb, total // 2**20)
        self._samples.append((time.time(), sum(self._cpu.values())))
