"""What `evaluate`, `compare` and `tune` share: the spans that are named, and the rows behind them."""

from __future__ import annotations

import argparse
import contextlib
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands import options
from pipeline.commands.drift import read_span
from pipeline.errors import ConfigError
from pipeline.ingest import span_names
from pipeline.ingest import spans as span_files
from pipeline.sources.config import ModuleConfig
from pipeline.state.root import Root

if TYPE_CHECKING:
    from pipeline.commands.terminal import Terminal
    from pipeline.config.dataset import Dataset
    from pipeline.selection.fold_rows import Spans
    from pipeline.selection.folds import Fold
    from pipeline.selection.own import Configuration
    from pipeline.selection.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A dataset, the folds over its spans, and what reads them."""

    dataset: Dataset
    root: Root
    configuration: Configuration
    planned: tuple[Fold, ...]
    spans: Spans


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares which spans are predicted, and where the page goes."""
    options.add_data(parser)
    parser.add_argument(
        "--spans",
        nargs="+",
        metavar="N|A-B|DATE|A..B",
        help="the spans to predict, each from spans before it (default: the newest, as many as [spans] window)",
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="where the page goes (default: the root's)")
    options.add_json(parser)


@contextlib.contextmanager
def asked(args: argparse.Namespace) -> Iterator[Asked]:
    """Yields what was asked for.

    Raises:
      ConfigError: there is no schema, no such span, or nothing before it.
    """
    from pipeline.config.schema import read_schema
    from pipeline.runs import whole_periods
    from pipeline.selection.fold_rows import Spans
    from pipeline.selection.folds import plan
    from pipeline.selection.own import Configuration

    dataset, root = options.load(args)
    if dataset.schema_path is None:
        raise ConfigError(
            f"{dataset.path} has no schema yet. Have one inferred: {options.hint(args, 'run', with_data=True)}"
        )
    with _data_root(dataset, root, args.data_root) as data_root:
        listed = span_files.newest_versions(data_root, dataset.spans.pattern, dataset.spans.marker)
        named = _spans(args.spans or (), listed, dataset)
        taken = whole_periods.whole(listed, dataset, time.time())
        yield Asked(
            dataset=dataset,
            root=root,
            configuration=Configuration(training=dataset.training, model=dataset.model, own=dataset.own),
            planned=plan(listed if named else taken, dataset.spans.window, named),
            spans=Spans(
                functools.partial(read_span, dataset, data_root),
                dataset.features,
                read_schema(dataset.schema_path),
                dataset.own,
            ),
        )


@contextlib.contextmanager
def _data_root(dataset: Dataset, root: Root, given: str | None) -> Iterator[str]:
    """Yields where the spans are; those of a module that a run has not yet written go where they leave nothing."""
    from pipeline.runs.request import locate_data

    written_by_module = dataset.source is not None and isinstance(dataset.source.settings, ModuleConfig)
    if given is None and written_by_module and dataset.spans.data is None and not (root.path / "data").is_dir():
        with tempfile.TemporaryDirectory(prefix="spans-") as folder:
            yield locate_data(dataset, Root(Path(folder)), None)
        return
    yield locate_data(dataset, root, given)


def _spans(words: Sequence[str], existing: dict[int, list[span_files.SpanFile]], dataset: Dataset) -> list[int]:
    """Returns the spans that were named, ascending."""
    pattern = dataset.spans.pattern
    spans: set[int] = set()
    for word in words:
        if options.is_several(word):
            first, last = options.first_and_last(word, dataset)
        else:
            number = span_names.number(word) if span_names.is_dated(pattern) else None
            number = int(word) if number is None and word.isdecimal() else number
            if number is None:
                several = "2017-12-01..2017-12-24" if span_names.is_dated(pattern) else "5-9"
                one = "a date such as 2017-12-01" if span_names.is_dated(pattern) else "a number such as 5"
                raise ConfigError(f"--spans: expected {one}, or several as {several}. Received: {word!r}.")
            first = last = number
        found = {span for span in existing if first <= span <= last}
        if not found:
            there = ", ".join(span_names.name(span, pattern) for span in sorted(existing)) or "none"
            raise ConfigError(f"--spans: there is no span {word}. Found: {there}.")
        spans |= found
    return sorted(spans)


def write_page(make: Callable[[], str], name: str, root: Root, file: Path | None, terminal: Terminal) -> Path | None:
    """Writes a page where it was asked for, else among the root's reports; nowhere where there is no root."""
    from pipeline.commands.report_after import guarded
    from pipeline.report import files

    path = file.absolute() if file else root.reports / name if root.path.is_dir() else None
    if path is None:
        return None
    return guarded(lambda: files.write_page(span_names.in_text(make(), terminal.pattern), path), terminal)


def write_scores(scores: Scores, name: str, root: Root, file: Path | None, terminal: Terminal) -> Path | None:
    """Writes the page of configurations that were scored."""

    def make() -> str:
        from pipeline.report.scores_page import scores_page

        return scores_page(scores, terminal.pattern)

    return write_page(make, name, root, file, terminal)
