"""Options that several commands share, and what commands read from them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import program
from pipeline.state.root import Root

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset

DEFAULT_DATASET = "taxi"
DEFAULT_ROOT = Path("runs")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset`."""
    parser.add_argument(
        "--dataset",
        default=DEFAULT_DATASET,
        metavar="NAME|PATH",
        help="a shipped dataset, or a folder with a dataset.toml (default: taxi)",
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset` and `--root`."""
    add_dataset(parser)
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="folder of metadata, artifacts and pushed models (default: runs/DATASET)",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds `--dataset`, `--root` and `--data-root`."""
    add_root(parser)
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        help="folder of the spans (default: `[spans] data`, or the shipped ones)",
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def load(args: argparse.Namespace) -> tuple[Dataset, Root]:
    """Returns the dataset and the root that were named.

    Raises:
      ConfigError: there is no such dataset, or its file is wrong.
    """
    from pipeline.config.dataset import load_dataset

    dataset = load_dataset(args.dataset)
    return dataset, root_of(args, dataset.name)


def root_of(args: argparse.Namespace, dataset_name: str) -> Root:
    """Returns the root that was named, or `runs/DATASET` below the working directory."""
    return Root((args.root or DEFAULT_ROOT / dataset_name).absolute())


def span_words(span: int | None) -> list[str]:
    """Returns `--span` as a command takes it; nothing for the newest span."""
    return [] if span is None else ["--span", str(span)]


def hint(args: argparse.Namespace, command: str, *words: str, with_data: bool = False) -> str:
    """Returns a command that a person can paste: it acts on the same dataset and root as the one that prints it.

    Args:
      with_data: the command reads the spans, so it needs `--data-root` where that was given.
    """
    options: list[str] = []
    if args.dataset != DEFAULT_DATASET:
        options += ["--dataset", str(args.dataset)]
    if args.root is not None:
        options += ["--root", str(args.root)]
    if with_data and args.data_root is not None:
        options += ["--data-root", str(args.data_root)]
    return program.line(command, *options, *words)
