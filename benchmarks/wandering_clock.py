"""A clock of the day that wanders, for one process and whatever it starts.

A few lines of C (wandering_clock.c), compiled here, stand before the C library's `clock_gettime`, `gettimeofday` and
`time`. Clocks that only count, by which programs sleep and wait, go on as they are, and so do the times that the kernel
gives to files: as on a machine whose files lie on another one.
"""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("wandering_clock.c")


class WanderingClock:
    """The clock of the processes that are started with `environment`; where there is no C compiler it stays right."""

    def __init__(self, folder: Path) -> None:
        """Compiles into `folder`, where the clock's file is too."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "offset"
        library = folder / "wandering_clock.so"
        self.set(0)
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is not None:
            command = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
            subprocess.run(command, check=True)
        self.wanders = compiler is not None
        self.environment: Mapping[str, str] = (
            {"LD_PRELOAD": str(library), "WANDERING_CLOCK": str(self._file)} if self.wanders else {}
        )

    def set(self, seconds: int) -> None:
        """Makes the clock show so many seconds more than it is; at once, in processes that run too."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(struct.pack("l", seconds))
