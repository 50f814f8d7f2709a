"""`pull`: whole spans from a database or another source, as files of the data root."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import sys
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, get_args

from columnar import object_stores
from pipeline.commands import options
from pipeline.commands.terminal import Terminal
from pipeline.errors import ConfigError
from pipeline.ingest import span_names
from pipeline.sources.periods import Calendar, Every, Period, moment_text, parse_moment

if TYPE_CHECKING:
    from pipeline.config.dataset import Dataset
    from pipeline.sources.config import Source
    from pipeline.sources.plain import SchemaType
    from pipeline.sources.pull import Place, Progress, Pulled
    from pipeline.state.root import Root

_OUTCOMES = {
    "landed": "a new version",
    "unchanged": "the rows that are there already",
    "empty": "no rows; asked again with --span",
    "gone": "no rows in the source any more; the version that is there stays",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `pull` reads."""
    options.add_data(parser)
    parser.add_argument(
        "--span", type=options.span, metavar="N|DATE", help="one span, again if it is there (default: all that are due)"
    )
    parser.add_argument(
        "--from", dest="begin", type=_moment, metavar="DATE", help="spans from the one that holds DATE (UTC), again"
    )
    parser.add_argument("--to", dest="end", type=_moment, metavar="DATE", help="with --from: only spans over at DATE")
    parser.add_argument("--every", choices=get_args(Every), help="how long a span is (default: `[source] every`)")
    options.add_json(parser)


def _moment(text: str) -> datetime.datetime:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a date such as 2024-03-31. Received: {text!r}.") from error


def command(args: argparse.Namespace) -> int:
    """Pulls what is due, or what was named, and prints what became of each span.

    Raises:
      ConfigError: the dataset has no source that is pulled, or the command names no span of it.
      SourceError: the source fails; the spans that landed before stay.
    """
    from pipeline.sources import pull

    dataset, root = options.load(args)
    if (args.begin is None and args.end is not None) or (args.span is not None and args.begin is not None):
        raise ConfigError("Give --span N, or --from DATE with or without --to DATE, or none of them.")
    puller = Puller(dataset, root, args.data_root, args.every)
    terminal = Terminal(sys.stdout, sys.stderr, quiet=args.json)
    pulled: list[Pulled] = []
    try:
        with puller.place.locked(), terminal.progress("asking the source") as progress:
            periods = _named(args, puller, clock())
            if periods is None:
                periods = pull.due(puller.source, puller.place, puller.dates, clock())
                periods = [*puller.recheck(periods), *periods]
            pulled.extend(puller.pull(periods, progress))
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            error.add_note("Nothing is lost: the same command carries on.")
        if pulled:
            _report(pulled, puller, args, terminal)
        raise
    _report(pulled, puller, args, terminal)
    return 0


def clock() -> datetime.datetime:
    """Returns the moment it is."""
    return datetime.datetime.now(datetime.UTC)


class Puller:
    """One dataset's source and where its spans land, for `pull` and for `watch`."""

    def __init__(self, dataset: Dataset, root: Root, data_root: str | None, every: Every | None = None) -> None:
        """Arguments as the command has them.

        Raises:
          ConfigError: there is nothing to pull from, or nowhere to pull to.
        """
        from pipeline.sources import pull
        from pipeline.sources.reading import Context
        from pipeline.sources.secrets import Secrets

        self.source = _source_of(dataset)
        options.claim(dataset, root)
        self.place: Place = pull.Place(
            data_root=_folder(dataset, root, data_root),
            pattern=dataset.spans.pattern,
            types=_types(dataset),
            journal=root.pulls,
        )
        self.dates: Calendar = pull.calendar(self.source, dataset.spans.pattern, every)
        self.context = Context(self.source.where, dataset.path.parent.absolute(), Secrets(os.environ), self.place.types)

    def pull_due(self, terminal: Terminal, stop: threading.Event) -> None:
        """Pulls what is due, a line each, until it is told to stop; for `watch`.

        Raises:
          PipelineError: the source fails; what landed before stays.
        """
        from pipeline.sources import pull

        with self.place.locked():
            periods = pull.due(self.source, self.place, self.dates, clock())
            if not periods:
                return
            with contextlib.closing(self.pull([*self.recheck(periods), *periods], lambda _text: None)) as pulled:
                for one in pulled:
                    span = span_names.name(one.span, self.place.pattern)
                    terminal.note(f"pulled span {span}: {one.rows:,} rows, {_OUTCOMES[one.outcome]}")
                    if stop.is_set():
                        return

    def recheck(self, due: list[Period]) -> list[Period]:
        """Returns the spans that late rows may have changed, besides those that are due."""
        from pipeline.sources import pull

        spans = pull.to_recheck(self.source, self.place, due[0].span if due else None)
        return [period for period in map(self.dates.of_span, spans) if period is not None]

    def pull(self, periods: list[Period], progress: Progress) -> Generator[Pulled, None, None]:
        """Pulls the periods in order; `place` is locked meanwhile."""
        from pipeline.sources import pull

        yield from pull.pull(self.source, self.place, periods, self.context, progress, clock)

    def watermark(self) -> str | None:
        """Returns the moment up to which every span was pulled, in ISO 8601; None before the first."""
        from pipeline.sources import pull

        return pull.watermark(self.place, self.dates)


def _source_of(dataset: Dataset) -> Source:
    if dataset.source is None:
        raise ConfigError(
            f"{dataset.path}: there is no [source] to pull from. Its spans are files that somebody else writes."
        )
    if not dataset.source.pulls:
        raise ConfigError(
            f"{dataset.source.where}: a module writes all spans when they are looked for, so there is nothing to pull."
        )
    return dataset.source


def _folder(dataset: Dataset, root: Root, data_root: str | None) -> str:
    """Returns the folder that spans land in, made where it is missing, or a store's URL."""
    given = data_root or dataset.spans.data
    if given is not None and "://" in given:
        if given.partition("://")[0] not in (*object_stores.SCHEMES, "gs"):
            raise ConfigError(f"pull: spans land in a folder, or in s3://, gs:// or abfss://. Received: {given}.")
        return given
    base = dataset.path.parent if data_root is None else root.path.cwd()
    folder = (base / given).absolute() if given is not None else root.path / "data"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
    return str(folder)


def _types(dataset: Dataset) -> dict[str, SchemaType]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    from pipeline.config.schema import read_schema

    if dataset.schema_path is None:
        return {}
    names: dict[int, SchemaType] = {schema_pb2.INT: "INT", schema_pb2.FLOAT: "FLOAT", schema_pb2.BYTES: "BYTES"}
    features = read_schema(dataset.schema_path).feature
    return {feature.name: names[feature.type] for feature in features if feature.type in names}


def _named(args: argparse.Namespace, puller: Puller, now: datetime.datetime) -> list[Period] | None:
    """Returns the periods that the command names, None where it names none.

    Raises:
      ConfigError: there is no such span, or it is not over.
    """
    from pipeline.sources import pull

    if args.span is not None:
        period = puller.dates.of_span(args.span)
        if period is None:
            first = puller.dates.holding(puller.dates.first)
            raise ConfigError(f"--span: {args.span} is no span of {puller.source.where}. The first is {first}.")
        periods = [period]
    elif args.begin is not None:
        periods = list(puller.dates.between(args.begin, args.end or now))
        if not periods:
            raise ConfigError(
                f"--from, --to: no {puller.dates.every} from {moment_text(puller.dates.holding(args.begin).begin)} "
                f"on is over at {moment_text(args.end or now)} UTC."
            )
    else:
        return None
    pull.check_over(puller.source, periods, now)
    return periods


def _report(pulled: list[Pulled], puller: Puller, args: argparse.Namespace, terminal: Terminal) -> None:
    """Prints what became of each span, as a table or as JSON."""
    through = puller.watermark()
    if args.json:
        value = {"data_root": puller.place.data_root, "spans": [dataclasses.asdict(one) for one in pulled]}
        dated = span_names.with_dates({**value, "through": through}, puller.place.pattern)
        print(json.dumps(dated, sort_keys=True))
        return
    rows = [
        (
            span_names.name(one.span, puller.place.pattern),
            one.begin[:16].replace("T", " "),
            one.version or "-",
            one.rows,
            _OUTCOMES[one.outcome],
        )
        for one in pulled
    ]
    terminal.table("Pulled", ("span", "begins (UTC)", "version", "rows", ""), rows)
    if not pulled:
        terminal.say("Nothing was due.")
    if through is not None:
        terminal.say(f"Every span up to {through[:16].replace('T', ' ')} UTC was pulled.")
