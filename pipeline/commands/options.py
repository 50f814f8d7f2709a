"""What several commands read from their arguments."""

import argparse
from pathlib import Path

from pipeline.state.root import Root

DEFAULT_ROOT = Path("runs")


def root_of(args: argparse.Namespace, dataset_name: str) -> Root:
    """Returns the root that was named, or `runs/DATASET` below the working directory."""
    return Root((args.root or DEFAULT_ROOT / dataset_name).absolute())
