"""Options that several commands share, and what commands read from them."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pipeline import program
from pipeline.errors import ConfigError
from pipeline.ingest import span_names
from pipeline.state import owner
from pipeline.state.root import Root

if TYPE_CHECKING:
    from pipeline.commands.terminal import Terminal
    from pipeline.config.dataset import Dataset

DEFAULT_DATASET = "taxi"
_SEVERAL = re.compile(r"(\d{4}-\d{2}-\d{2}|\d+)(?:-|\.\.)(\d{4}-\d{2}-\d{2}|\d+)")


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
    parser.add_argument(
        "--dataset",
        metavar="NAME|PATH",
        help="a shipped dataset, or a folder with a dataset.toml (default: the dataset of --root, else taxi)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="folder of metadata, artifacts and pushed models (default: runs in the dataset's folder; of a shipped "
        "dataset runs/NAME in this one)",
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


def load_dataset(args: argparse.Namespace) -> Dataset:
    """Returns the dataset that was named: by --dataset, else by whose the root is, else the default.

    Raises:
      ConfigError: there is no such dataset, or its file is wrong.
    """
    from pipeline.config import dataset

    args.dataset = args.dataset or _dataset_of(args.root)
    _say_namesake(args.dataset)
    return dataset.load_dataset(args.dataset)


def load(args: argparse.Namespace) -> tuple[Dataset, Root]:
    """Returns the dataset and the root that were named.

    Raises:
      ConfigError: there is no such dataset, its file is wrong, or the root is another dataset's.
    """
    dataset = load_dataset(args)
    check_days(args, dataset)
    root = Root(args.root.absolute()) if args.root else _default_root(dataset)
    _check_owner(root, dataset, named=args.root is not None)
    return dataset, root


def claim(dataset: Dataset, root: Root) -> None:
    """Makes the root ready for runs, and records whose it is.

    Raises:
      PipelineError: it cannot be written, or what trains the model is not installed.
    """
    if "trees" in dataset.model.trained and importlib.util.find_spec("lightgbm") is None:
        raise ConfigError(
            f"{dataset.path} [model]: learner: trees needs LightGBM, which is not installed. Run: "
            "pip install 'driftgate[trees]'"
        )
    root.prepare()
    owner.claim(root, dataset.name, dataset.path)


def _dataset_of(root: Path | None) -> str:
    """Returns the dataset whose runs the root holds, as `--dataset` takes it; the default where none is recorded."""
    if root is not None and (known := owner.read(Root(root.absolute()))) is not None:
        path = owner.file_of(Root(root.absolute()), known)
        if path is not None:
            return str(path)
    return DEFAULT_DATASET


def _say_namesake(name: str) -> None:
    from pipeline.config.dataset import local_namesake

    folder = local_namesake(name)
    if folder is not None:
        _say(f"--dataset {name} is the dataset that ships. There is a folder {folder} here too: --dataset ./{folder}")


@functools.cache
def _say(note: str) -> None:
    """Says something once; a command may load its dataset twice."""
    print(f"note: {note}", file=sys.stderr)


def _default_root(dataset: Dataset) -> Root:
    """Returns the dataset's own root; the one that an earlier release has made for its name where that alone is there.

    Raises:
      ConfigError: such a root may be a shipped dataset's.
    """
    from pipeline.config.dataset import shipped_file

    root, old = Root(dataset.runs.absolute()), Root((Path("runs") / dataset.name).absolute())
    if dataset.ships or root.path.exists() or not old.metadata.exists():
        return root
    known = owner.read(old)
    if known is not None:
        return old if owner.file_of(old, known) == dataset.path.resolve() else root
    if (shipped := shipped_file(dataset.name)) is not None:
        raise ConfigError(
            f"{old.path} is of a release that named roots by the dataset's name, and both {shipped} and {dataset.path} "
            f"have the name {dataset.name!r}. Say which root is meant: --root {old.path}, or --root {root.path}."
        )
    _say(f"the runs are in {old.path}, where an earlier release began them, and stay there")
    return old


def _check_owner(root: Root, dataset: Dataset, *, named: bool) -> None:
    """Refuses the root of another dataset. One that moved is the same; of one name, whoever names the root decides."""
    known = owner.read(root)
    other = None if known is None else owner.file_of(root, known)
    if known is None or other is None or other == dataset.path.resolve() or (named and known.name == dataset.name):
        return
    raise ConfigError(
        f"{root.path} holds the runs of {known.name!r} ({other}), and {dataset.path} is another dataset. "
        "Name another folder with --root."
    )


def span(text: str) -> int:
    """Reads a span as `--span` takes it: a number, or a date where the pattern has dates."""
    known = span_names.number(text)
    if known is not None:
        return _Day(known)
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a span's number, or a date such as 2017-12-01. Received: {text!r}.")
    return int(text)


class _Day(int):
    """A span that was typed as a date."""


def is_several(text: str) -> bool:
    """Tells whether a text is one that `first_and_last` reads."""
    return _SEVERAL.fullmatch(text) is not None


def first_and_last(text: str, dataset: Dataset) -> tuple[int, int]:
    """Reads `--spans`: `5-9`, or `2017-11-30..2017-12-02` where the pattern has dates.

    Raises:
      ConfigError: it is neither, or days where spans are numbers.
    """
    match = _SEVERAL.fullmatch(text)
    if match is None:
        example = "2017-11-30..2017-12-02" if span_names.is_dated(dataset.spans.pattern) else "5-9"
        raise ConfigError(f"--spans: expected FIRST-LAST, such as {example}. Received: {text!r}.")
    first, last = span(match[1]), span(match[2])
    for end in (first, last):
        _check_day("spans", end, dataset)
    return first, last


def check_days(args: argparse.Namespace, dataset: Dataset) -> None:
    """Refuses a date where spans are numbers.

    Raises:
      ConfigError: an option names a date.
    """
    for option in ("span", "against"):
        _check_day(option, getattr(args, option, None), dataset)


def _check_day(option: str, value: object, dataset: Dataset) -> None:
    if isinstance(value, _Day) and not span_names.is_dated(dataset.spans.pattern):
        raise ConfigError(
            f"--{option}: the spans of {dataset.path} are numbers: the pattern {dataset.spans.pattern!r} has no "
            "{YYYY}, {MM} and {DD}."
        )


def terminal(out: TextIO, err: TextIO, dataset: Dataset, *, quiet: bool = False) -> Terminal:
    """Returns what a person sees, with spans as the dataset's pattern names them."""
    from pipeline.commands.terminal import Terminal

    return Terminal(out, err, quiet=quiet, pattern=dataset.spans.pattern)


def json_text(value: Mapping[str, Any], dataset: Dataset) -> str:  # Any: JSON.
    """Returns one line of JSON, with dates beside the numbers of spans where the dataset's spans are days."""
    return json.dumps(span_names.with_dates(value, dataset.spans.pattern), sort_keys=True, ensure_ascii=False)


def span_words(span: int | None) -> list[str]:
    """Returns `--span` as a command takes it; nothing for the newest span."""
    return [] if span is None else ["--span", str(span)]


def hint(args: argparse.Namespace, command: str, *words: str, with_data: bool = False) -> str:
    """Returns a command that a person can paste: it acts on the same dataset and root as the one that prints it.

    Args:
      with_data: the command reads the spans, so it needs `--data-root` where that was given.
    """
    options: list[str] = []
    if (args.dataset or DEFAULT_DATASET) != DEFAULT_DATASET:
        options += ["--dataset", str(args.dataset)]
    if args.root is not None:
        options += ["--root", str(args.root)]
    if with_data and args.data_root is not None:
        options += ["--data-root", str(args.data_root)]
    return program.line(command, *options, *words)
