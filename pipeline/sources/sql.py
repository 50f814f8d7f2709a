"""Queries through ADBC: whole Arrow batches from the driver's C code, as they come."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.sources.background import in_background
from pipeline.sources.config import SqlConfig
from pipeline.sources.errors import SourceError
from pipeline.sources.periods import Period, moment_text
from pipeline.sources.query import fill
from pipeline.sources.reading import Context

_GUESSED_ROWS = 100_000
_LONGEST_TEXT = 500


@dataclass(frozen=True)
class Driver:
    """How one kind of database is spoken to.

    Attributes:
      module: ADBC's, whose `dbapi` is used.
      package: of the driver; for one that the extra `sql` does not have, since it is larger than all the others.
      literal: writes a moment of `moment_text` as the database compares it with its columns.
      connect: returns a DBAPI connection. Any: ADBC's modules are untyped.
      read_only: a statement that keeps the query from changing anything; "" where connecting does so, or nothing can.
      options: of each statement.
    """

    module: str
    literal: Callable[[str], str]
    connect: Callable[[Any, str], Any]
    read_only: str = ""
    options: tuple[tuple[str, str | int], ...] = ()
    package: str = ""


def _by_uri(dbapi: Any, url: str) -> Any:
    return dbapi.connect(url)


def _without_transactions(dbapi: Any, url: str) -> Any:
    return dbapi.connect(url, autocommit=True)


def _sqlite(dbapi: Any, url: str) -> Any:
    """Opens a file for reading; SQLite would make one that is not there."""
    path = url.removeprefix("sqlite://").removeprefix("/")
    if not Path(path).is_file():
        raise ConfigError(f"there is no SQLite file {path}.")
    return dbapi.connect(f"file:{urllib.parse.quote(path)}?mode=ro")


def _snowflake(dbapi: Any, url: str) -> Any:
    """Opens `snowflake://USER:PASSWORD@ACCOUNT/DATABASE`; the driver's own form has no scheme."""
    return dbapi.connect(url.partition("://")[2])


def _bigquery(dbapi: Any, url: str) -> Any:
    """Opens `bigquery://PROJECT` or `bigquery://PROJECT/DATASET`."""
    project, _, dataset = url.partition("://")[2].strip("/").partition("/")
    options = {"adbc.bigquery.sql.project_id": project, "adbc.bigquery.sql.dataset_id": dataset}
    return dbapi.connect(db_kwargs={name: value for name, value in options.items() if value})


def _zoned(text: str) -> str:
    """PostgreSQL reads a column's own type from it: with a zone, without one, or a date."""
    return f"'{text if ':' in text else f'{text} 00:00:00'}+00'"


def _text(text: str) -> str:
    """SQLite compares texts: a date alone sorts before each moment of its day, however that is written."""
    return f"'{text}'"


def _timestamp(text: str) -> str:
    return f"TIMESTAMP '{text if ':' in text else f'{text} 00:00:00'}'"


_POSTGRESQL = Driver("adbc_driver_postgresql", _zoned, _by_uri, "SET TRANSACTION READ ONLY")
_FLIGHT_SQL = Driver("adbc_driver_flightsql", _timestamp, _without_transactions)
DRIVERS = {
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "sqlite": Driver("adbc_driver_sqlite", _text, _sqlite, options=(("adbc.sqlite.query.batch_rows", _GUESSED_ROWS),)),
    "grpc": _FLIGHT_SQL,
    "grpc+tcp": _FLIGHT_SQL,
    "grpc+tls": _FLIGHT_SQL,
    "snowflake": Driver("adbc_driver_snowflake", _timestamp, _snowflake, package="adbc-driver-snowflake"),
    "bigquery": Driver("adbc_driver_bigquery", _timestamp, _bigquery, package="adbc-driver-bigquery"),
}
"""By a URL's scheme."""


def read(settings: SqlConfig, period: Period, context: Context) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one span's query.

    Raises:
      ConfigError: the URL, the query or an installed package is wrong.
      SourceError: the database does not answer, or fails on the way.
    """
    url = context.secrets.resolve(settings.url, f"{context.where}: url")
    scheme = url.partition(":")[0].lower()
    if "://" not in url or scheme not in DRIVERS:
        raise ConfigError(
            f"{context.where}: url: expected one that begins with {', '.join(f'{name}://' for name in DRIVERS)}. "
            f"Received another from {settings.url!r}."
        )
    driver = DRIVERS[scheme]
    query = fill(settings.query, driver.literal(moment_text(period.begin)), driver.literal(moment_text(period.end)))
    if scheme == "sqlite":
        url = f"sqlite:///{(context.folder / url.removeprefix('sqlite:///')).absolute()}"
    dbapi = context.require(f"{driver.module}.dbapi", "sql", driver.package)
    cursors: list[Any] = []

    def rows() -> Iterator[pa.RecordBatch]:
        with driver.connect(dbapi, url) as connection, connection.cursor() as cursor:
            if driver.read_only:
                cursor.execute(driver.read_only)
            cursor.adbc_statement.set_options(**dict(driver.options))
            cursors.append(cursor)
            cursor.execute(query)
            yield from cursor.fetch_record_batch()

    with _explained(context, dbapi):
        yield from in_background(rows, lambda: cursors[0].adbc_cancel())


@contextlib.contextmanager
def _explained(context: Context, dbapi: Any) -> Iterator[None]:
    """Turns a driver's errors into ours, without the secrets that they may repeat."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{context.where}: {error}") from None
    except dbapi.ProgrammingError as error:
        raise ConfigError(f"{context.where}: the database refuses the query: {_said(context, error)}.") from None
    except (dbapi.Error, OSError, pa.ArrowException) as error:
        said = _said(context, error)
        hint = " Give the column one type in the query: CAST(... AS ...)." if "Type mismatch" in said else ""
        raise SourceError(f"{context.where}: the database fails: {said}.{hint}") from None


def _said(context: Context, error: Exception) -> str:
    return " ".join(context.secrets.redact(str(error)).split()).rstrip(".")[:_LONGEST_TEXT]
