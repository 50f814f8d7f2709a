"""The report of what has just ended. It never fails a run: without a report a run is still a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.commands.terminal import Terminal
from pipeline.state.root import Root

logger = logging.getLogger(__name__)


def write_report(root: Root, run_id: str, terminal: Terminal) -> Path | None:
    """Writes the report of the run that has just ended; by its own id, since the clock may have been set back.

    Returns:
      The file; None where there is nothing to report, or no report could be made, after a warning.
    """

    def make() -> Path | None:
        from pipeline.report import files

        run = files.find_run_by_id(root, run_id)
        if run is None:
            return None
        return files.write(run, files.path_of(root, run.span, run.run_id))

    return guarded(make, terminal)


def write_series_report(base: Path, terminal: Terminal) -> Path | None:
    """Writes the page of a replay that has just ended; None where it could not be made, after a warning."""

    def make() -> Path:
        from pipeline.report import files

        return files.write_series(base)

    return guarded(make, terminal)


def guarded(make: Callable[[], Path | None], terminal: Terminal) -> Path | None:
    """Returns what `make` wrote; None, after a warning, where it failed: a result is one without its page too."""
    started = time.perf_counter()
    try:
        path = make()
        if path is not None:
            logger.info("Wrote the report %s in %.2f s.", path, time.perf_counter() - started)
        return path
    except Exception as error:
        logger.exception("The report could not be made.")
        terminal.err.print(f"warning: no report was written: {str(error) or type(error).__name__}")
        return None
