"""`[source]` of dataset.toml: what every source says, and what each kind of source says besides."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from models import settings
from models.settings import Form, Range
from pipeline.sources import secrets
from pipeline.sources.periods import Every, parse_moment
from pipeline.sources.query import check_query

Kind = Literal["sql", "http", "files", "module"]
_Text = Annotated[str, Form(r"[^\x00]+", "a text that is not empty")]
_Url = Annotated[str, Form(r"[^\x00]+", "a URL, or env:NAME")]
_Module = Annotated[str, Form(r"[^\W\d]\w*(\.[^\W\d]\w*)*", "a module's dotted name")]
_Date = Annotated[str, Form(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?", 'a date in quotes, such as "2024-01-31"')]


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """`[source]`: where spans come from, and which time each of them holds.

    Attributes:
      kind: sql, a query; http, pages of an API; files, files or tables in a folder, a store or a lake; module, Python
        that writes all spans at once, as the shipped datasets have it.
      every: how long a span is; `pull --every` says it where this does not.
      begin: a moment of the first span, in UTC; with `{SPAN}` in the pattern that is span 1.
      delay_hours: how long after its end a span is whole in the source.
      recheck: how many of the newest spans are asked for again with each pull; late rows make a new version of one.
    """

    kind: Kind
    every: Every | None = None
    begin: _Date | None = None
    delay_hours: Annotated[float, Range(0, 8_784, "hours")] = 0.0
    recheck: Annotated[int, Range(0, 1_000, "spans")] = 1

    def __post_init__(self) -> None:
        settings.check(self)
        if self.kind != "module" and self.begin is None:
            raise ValueError('begin is missing: a moment of the first span, such as begin = "2024-01-01".')
        if self.begin is not None:
            self.first  # noqa: B018 - raises for 2024-02-31.

    @property
    def first(self) -> datetime.datetime:
        """A moment of the first span."""
        try:
            return parse_moment(str(self.begin))
        except ValueError as error:
            raise ValueError(f"begin: {self.begin!r} is no date: {error}.") from error


@dataclass(frozen=True, kw_only=True)
class SqlConfig:
    """`[source]` of the kind sql.

    Attributes:
      url: sql: the database, such as `env:DATABASE_URL`; a password may stand only in the environment.
      query: sql: one SELECT, with `:begin` and `:end` where a span begins and ends.
    """

    url: _Url
    query: _Text

    def __post_init__(self) -> None:
        settings.check(self)
        refuse_password("url", self.url)
        check_query(self.query)


@dataclass(frozen=True, kw_only=True)
class HttpConfig:
    """`[source]` of the kind http.

    Attributes:
      url: http: where the first page is. `{begin}` and `{end}` in it or in `params` are where a span begins and ends:
        2024-01-31T00:00:00Z, `{begin:date}` 2024-01-31, `{begin:unix}` seconds since 1970.
      params: http: parameters of the query. `{env:NAME}` in a value is taken from the environment.
      headers: http: headers, such as `Authorization = "Bearer {env:API_TOKEN}"`.
      format: http: what a page is; CSV has a header on each page.
      rows: http: path of the rows in a page of JSON, such as `data.items`; "" where the page is the list itself.
      pages: http: how the next page is found. offset, by the rows so far, until a page has none; cursor, by what
        `cursor` leads to; link, by the header `Link` with `rel="next"`.
      page_size: http: rows that are asked for with each page of the kind offset.
      limit_param: http: parameter that says `page_size`.
      offset_param: http: parameter that says how many rows came before.
      cursor: http: path of the next cursor, or of the next page's URL, in a page of JSON, such as `meta.next`.
      cursor_param: http: parameter that says the cursor.
      key: http: columns that name a row; a row that comes again, on a page that shifted, is left out.
      tries: http: how often a request is made before it counts as failed.
      timeout_s: http: how long a server may be silent.
    """

    url: _Url
    params: Mapping[str, _Text] = field(default_factory=dict)
    headers: Mapping[str, _Text] = field(default_factory=dict)
    format: Literal["json", "csv"] = "json"
    rows: str = ""
    pages: Literal["none", "offset", "cursor", "link"] = "none"
    page_size: Annotated[int, Range(1, 1_000_000, "rows")] = 1_000
    limit_param: _Text = "limit"
    offset_param: _Text = "offset"
    cursor: _Text | None = None
    cursor_param: _Text = "cursor"
    key: tuple[_Text, ...] = ()
    tries: Annotated[int, Range(1, 100, "requests")] = 6
    timeout_s: Annotated[float, Range(0.1, 3_600, "seconds")] = 60.0

    def __post_init__(self) -> None:
        settings.check(self)
        refuse_password("url", self.url)
        if not secrets.reads_environment(self.url) and not self.url.startswith(("http://", "https://")):
            raise ValueError("url: expected one that begins with https:// or http://.")
        for table, values in (("params", self.params), ("headers", self.headers)):
            for name, value in values.items():
                if secrets.is_secret_name(name) and not secrets.reads_environment(value):
                    raise ValueError(f'{table}: {name} looks like a secret. Name it: {name} = "{{env:NAME}}".')
        texts = [self.url, *self.params.values(), *self.headers.values()]
        for name in ("begin", "end"):
            if not any(f"{{{name}" in text for text in texts):
                raise ValueError(
                    f"{{{name}}} is missing in url and params, so each span would have the same rows: "
                    f'params = {{ from = "{{begin}}", to = "{{end}}" }}.'
                )
        if (self.pages == "cursor") != (self.cursor is not None):
            raise ValueError('pages = "cursor" and cursor, where the next one is in a page, belong together.')
        if self.pages == "cursor" and self.format == "csv":
            raise ValueError('pages: a page of CSV holds no cursor. Use "offset" or "link".')


@dataclass(frozen=True, kw_only=True)
class FilesConfig:
    """`[source]` of the kind files.

    Attributes:
      url: files: files or a folder of them, below dataset.toml, in a store (s3, gs, abfss) or one file by https. `*`
        matches a part of a name; `{begin:%Y-%m-%d}` and the like are where a span begins.
      format: files: how they are written; delta and iceberg are tables.
      time: files: column that says a row's time, of the files or of Hive folders such as `day=2024-01-31`; not needed
        where `url` says which files a span has.
    """

    url: _Url
    format: Literal["parquet", "csv", "json", "delta", "iceberg"] = "parquet"
    time: _Text | None = None

    def __post_init__(self) -> None:
        settings.check(self)
        refuse_password("url", self.url)
        if self.time is None and "{begin" not in self.url:
            raise ValueError(
                'each span would have the same rows. Name the column that says a row\'s time, time = "started", or '
                'the files of a span: url = "trips/{begin:%Y-%m-%d}/*.parquet".'
            )
        if self.time is None and self.format in ("delta", "iceberg"):
            raise ValueError(f"time: a {self.format} table needs it: the column that says a row's time.")


@dataclass(frozen=True, kw_only=True)
class ModuleConfig:
    """`[source]` of the kind module.

    Attributes:
      module: module: dotted name of one whose `write_spans(data_root)` makes the spans.
    """

    module: _Module

    def __post_init__(self) -> None:
        settings.check(self)


Settings = SqlConfig | HttpConfig | FilesConfig | ModuleConfig
KINDS: Mapping[Kind, type[Settings]] = {
    "sql": SqlConfig,
    "http": HttpConfig,
    "files": FilesConfig,
    "module": ModuleConfig,
}
"""What declares the further keys of each kind."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checked `[source]`.

    Attributes:
      settings: an instance of the kind's class in KINDS.
      where: how messages name the table.
    """

    config: SourceConfig
    settings: Settings
    where: str = field(compare=False)

    @property
    def pulls(self) -> bool:
        """Whether spans are pulled one by one; a module writes all of them whenever they are looked for."""
        return self.config.kind != "module"


def refuse_password(key: str, text: str) -> None:
    """Raises ValueError for a password that stands in dataset.toml itself; does not repeat it."""
    if secrets.holds_password(text):
        raise ValueError(
            f"{key}: it has a secret written into it. Put the whole value into an environment variable and name that: "
            f'{key} = "env:NAME".'
        )
