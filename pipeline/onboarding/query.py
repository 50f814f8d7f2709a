"""A table that is a query: `init` pulls its spans, and the folder says where the next ones come from."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.dataset import PULLED_SPANS
from pipeline.errors import ConfigError
from pipeline.onboarding.profile import Profile
from pipeline.onboarding.sources import Source as Table
from pipeline.onboarding.sources import open_source
from pipeline.sources import pull
from pipeline.sources.config import Source, SourceConfig, SqlConfig
from pipeline.sources.periods import Every, moment_text
from pipeline.sources.reading import Context
from pipeline.sources.secrets import Secrets

_WHERE = "--query"


@dataclass(frozen=True, kw_only=True)
class Query:
    """What `init --query` asks for.

    Attributes:
      sql, url, every, begin: as `[source]` has them.
      environment: where secrets come from.
      clock: returns the moment it is; periods that are over then are pulled.
    """

    sql: str
    url: str
    every: Every
    begin: str
    environment: Mapping[str, str]
    clock: Callable[[], datetime.datetime]

    def source(self) -> Source:
        """Returns the source, checked.

        Raises:
          ConfigError: the query or the URL is none.
        """
        try:
            return Source(
                config=SourceConfig(kind="sql", every=self.every, begin=self.begin),
                settings=SqlConfig(url=self.url, query=self.sql),
                where=_WHERE,
            )
        except ValueError as error:
            raise ConfigError(f"{_WHERE}: {error}") from error

    def toml(self) -> str:
        """Returns the table `[source]`."""
        # A literal text takes all but its own three quotes and control characters.
        plain = "'''" not in self.sql and not self.sql.endswith("'") and self.sql.replace("\n", "").isprintable()
        query = f"'''\n{self.sql.strip()}\n'''" if plain else json.dumps(self.sql)
        values = {"kind": "sql", "url": self.url, "every": self.every, "begin": self.begin}
        return "\n".join(
            ["[source]", *(f"{key} = {json.dumps(text)}" for key, text in values.items()), f"query = {query}"]
        )


def pull_all(
    query: Query, aside: Path, folder: Path, spans: Path, progress: Callable[[str], None]
) -> list[pull.Pulled]:
    """Pulls every period that is over into `spans` and returns those with rows, oldest first.

    Args:
      aside: where the history goes.
      folder: the dataset's; relative paths in the URL are below it.

    Raises:
      ConfigError: the query is wrong, or no period has rows.
      SourceError: the database fails.
    """
    source = query.source()
    spans.mkdir(parents=True)
    place = pull.Place(data_root=str(spans), pattern=PULLED_SPANS["pattern"], types={}, journal=aside / "pulls.jsonl")
    dates = pull.calendar(source, place.pattern)
    context = Context(_WHERE, folder.absolute(), Secrets(query.environment))
    with place.locked():
        due = pull.due(source, place, dates, query.clock())
        pulled = [one for one in pull.pull(source, place, due, context, progress, query.clock) if one.rows]
    if not pulled:
        raise ConfigError(
            f"{_WHERE}: no {query.every} from {query.begin} to {moment_text(query.clock())} UTC has rows. "
            "Correct the query, or --begin."
        )
    return pulled


def as_table(pulled: Sequence[pull.Pulled]) -> Table:
    """Returns the spans as a table, one file a span, oldest first."""
    first = open_source(Path(pulled[0].path))
    return Table(
        files=tuple(Path(one.path) for one in pulled),
        format="parquet",
        columns=first.columns,
        left_out=first.left_out,
        dialects={},
    )


def take_types(profiles: Mapping[str, Profile], table: Table) -> None:
    """Lets the database's types stand: the next spans come with them, and nobody reads a text as a number there.

    A text may be a date, where it is written as one in ISO 8601, which is how the model reads dates.
    """
    schema = pq.read_schema(table.files[0])
    for name, profile in profiles.items():
        if pa.types.is_floating(schema.field(name).type):
            profile.not_whole.add("typed")
        profile.candidates = tuple(
            reading for reading in profile.candidates if reading.kind == "date" and reading.style.startswith("%Y-%m-%d")
        )
