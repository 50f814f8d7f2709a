"""`watch` with its metrics exported; without them it is the pipeline's own."""

import argparse

from monitoring import metrics_options
from pipeline.commands import watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `watch` reads."""
    watch.add_arguments(parser)
    metrics_options.add_arguments(parser)


def command(args: argparse.Namespace) -> int:
    """Watches, and exports metrics meanwhile."""
    with metrics_options.exporting(args):
        return watch.command(args)
