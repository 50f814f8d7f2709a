"""Sends what TensorFlow, Beam and TFX print to a log file, so that the terminal shows only what we say."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def captured(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Points file descriptors 1 and 2 at `log` and yields the real (standard output, standard error).

    Descriptors, not `sys.stdout`: the noise comes from C++ and from child processes too. Both are put back at the
    end, also after an error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    log.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        # Before TensorFlow and absl install their own handlers: one format, with times, for all of it.
        logging.basicConfig(
            level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
        )
        with (
            open(saved[0], "w", buffering=1, encoding="utf-8", closefd=False) as out,
            open(saved[1], "w", buffering=1, encoding="utf-8", closefd=False) as err,
        ):
            yield out, err
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(target)
