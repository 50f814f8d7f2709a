"""The metrics of a root over HTTP, and as a text file for node_exporter's textfile collector.

An exporter that fails says so in its own metric and in the log, and harms nobody: it only reads.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from monitoring import metrics
from monitoring.snapshot import Gatherer, Snapshot
from pipeline.commands import options
from pipeline.errors import ConfigError

logger = logging.getLogger(__name__)

FAILURES = "driftgate_exporter_failures_total"
_FILE_INTERVAL_S = 15.0
_ADDRESS = re.compile(r"(?:(?P<host>[^:]+|\[[^\]]+\]):)?(?P<port>\d{1,5})")


class SnapshotCollector(Collector):
    """Gathers at every scrape. What cannot be gathered is missing and counted, and the scrape succeeds."""

    def __init__(self, gather: Callable[[], Snapshot], dataset: str) -> None:
        self._gather = gather
        self._dataset = dataset
        self._lock = threading.Lock()
        self._failures = 0

    def collect(self) -> Iterator[Family]:
        """Yields the metrics."""
        with self._lock:
            try:
                families = list(metrics.families(self._gather(), self._dataset))
            except Exception:  # Whatever it is: the next scrape may fare better.
                logger.exception("The metrics could not be gathered.")
                families = []
                self._failures += 1
            failures = self._failures
        family = CounterMetricFamily(
            FAILURES.removesuffix("_total"), "Scrapes at which the metrics could not be gathered.", labels=["dataset"]
        )
        family.add_metric([self._dataset], failures)
        yield from [*families, family]


def serve(registry: CollectorRegistry, address: str) -> Callable[[], None]:
    """Serves the metrics at `[HOST:]PORT`; this machine only where no host is given. Returns how to stop.

    Raises:
      ConfigError: no such address, or the port is taken.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise ConfigError(f"--metrics-port: expected PORT or HOST:PORT, such as 9400. Received: {address!r}.")
    try:
        server, thread = start_http_server(int(match["port"]), match["host"] or "127.0.0.1", registry)
    except OSError as error:
        raise ConfigError(f"--metrics-port: cannot listen on {address}: {error.strerror}. Name another.") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def write(registry: CollectorRegistry, path: Path) -> None:
    """Replaces the file, whole or not at all; a file that cannot be written is a warning and nothing more."""
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        logger.warning("The metrics were not written to %s: %s", path, error)


@contextlib.contextmanager
def exporting(args: argparse.Namespace) -> Iterator[None]:
    """Exports for as long as the block runs, as `--metrics-port` and `--metrics-file` ask.

    The file is written every 15 seconds and at the end.

    Raises:
      ConfigError: the port is taken, or the file's folder does not exist.
    """
    dataset, root = options.load(args)
    gatherer = Gatherer(dataset, root, getattr(args, "server_url", None))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(gatherer.gather, dataset.name))
    port, path = getattr(args, "metrics_port", None), args.metrics_file
    if path is not None and not path.absolute().parent.is_dir():
        raise ConfigError(f"--metrics-file: there is no folder {path.absolute().parent}.")
    stop = threading.Event()

    def write_on() -> None:
        while not stop.wait(_FILE_INTERVAL_S):
            write(registry, path)

    writer = threading.Thread(target=write_on, name="metrics-file", daemon=True)
    with contextlib.ExitStack() as stack:
        if port is not None:
            stack.callback(serve(registry, port))
        if path is not None:
            writer.start()
        try:
            yield
        finally:
            stop.set()
            if path is not None:
                writer.join()
                write(registry, path)
