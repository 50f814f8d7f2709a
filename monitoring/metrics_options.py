"""The options that export metrics, for the commands that work until they are told to stop."""

import argparse
import contextlib
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--metrics-port` and `--metrics-file`."""
    parser.add_argument(
        "--metrics-port", metavar="[HOST:]PORT", help="serve Prometheus metrics there (default host: this machine only)"
    )
    parser.add_argument(
        "--metrics-file", type=Path, metavar="FILE", help="write them as a text file, for node_exporter"
    )


def exporting(args: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Exports for as long as the block runs, where that was asked for."""
    if args.metrics_port is None and args.metrics_file is None:
        return contextlib.nullcontext()
    from monitoring import exporter

    return exporter.exporting(args)
