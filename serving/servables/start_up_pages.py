"""Gives back the pages of a library that only its start touched.

TensorFlow's initialisers register thousands of kernels as it is loaded, and so map a quarter of a gigabyte of code that
hardly any model runs. Mapped pages of a file count as memory of the process. What is run again comes back from the
system's cache, 64 KB at a time, before a model's first request: its loading and its warm-up run it.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_DONTNEED = 4
"""MADV_DONTNEED: of code, which nobody writes to, the mapping alone is dropped."""
_CODE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ [1-9]\d*\s+(/.*)")
_MAPS = Path("/proc/self/maps")


def give_back(names: Iterable[str]) -> int:
    """Drops the code of these libraries, by file name, from the process; returns how many bytes are mapped of it.

    Does nothing, and returns 0, where the system is not Linux or does not take the advice.
    """
    wanted = tuple(names)
    if sys.platform != "linux":
        return 0
    try:
        advise = ctypes.CDLL(None).madvise
        mapped = _MAPS.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, AttributeError):
        return 0
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    size = 0
    for start, end, path in _CODE.findall(mapped):
        if Path(path).name.startswith(wanted):
            first, last = int(start, 16), int(end, 16)
            if advise(first, last - first, _DONTNEED) == 0:
                size += last - first
    return size
