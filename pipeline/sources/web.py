"""HTTP APIs: pages of JSON or CSV, asked for again where a server fails or wants to be left alone for a while."""

from __future__ import annotations

import csv
import datetime
import email.utils
import hashlib
import io
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError, clipped
from pipeline.sources.config import HttpConfig
from pipeline.sources.errors import SourceError
from pipeline.sources.periods import Period, with_moments
from pipeline.sources.reading import Context
from pipeline.sources.rows import Row, Rows, flattened

# Statuses that pass: RFC 9110 and 6585. Any other one is an answer.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_OK = 200
_LONGEST_WAIT_S = 600.0
_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 30.0
_SHOWN_BODY = 200
_DOWNLOAD_TRIES, _DOWNLOAD_TIMEOUT_S = 6, 60.0

sleep = time.sleep
"""What waiting is; tests put something else here."""


def read(settings: HttpConfig, period: Period, context: Context) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one span, of all its pages.

    Raises:
      ConfigError: the server refuses the request, or its answer is not what the settings say.
      SourceError: the server fails or throttles as often as `tries` says, or pages without end.
      DataError: a value is not of the type that the dataset's schema wants.
    """
    httpx = context.require("httpx", "http")
    context.require("tenacity", "http")
    for name in ("httpx", "httpcore"):  # They log whole URLs, and those may hold secrets.
        logging.getLogger(name).setLevel(logging.WARNING)
    with (
        httpx.Client(timeout=settings.timeout_s, headers=_filled(settings.headers, period, context)) as client,
        Rows(settings.key, texts=settings.format == "csv") as rows,
    ):
        asking = _Asking(client, settings.url, settings.tries, context)
        for page in _pages(asking, settings, period):
            for row in page:
                rows.add(row)
        yield from rows.batches(context.types)


def download(url: str, folder: Path, context: Context) -> str:
    """Returns the path of a file that was fetched into `folder`, tried as pages are; its name says how it is packed.

    Raises:
      ConfigError: the server refuses the request.
      SourceError: it fails each time.
    """
    httpx = context.require("httpx", "http")
    context.require("tenacity", "http")
    path = folder / PurePosixPath(httpx.URL(url).path).name
    with httpx.Client(timeout=_DOWNLOAD_TIMEOUT_S) as client:
        _Asking(client, url, _DOWNLOAD_TRIES, context).get(url, None, path)
    return str(path)


@dataclass(frozen=True)
class _Asking:
    """What each request needs.

    Attributes:
      client: httpx's. Any: the extra may not be installed.
      named: how messages name what is asked.
      tries: how often.
    """

    client: Any
    named: str
    tries: int
    context: Context

    def get(self, url: str, params: Mapping[str, str] | None, path: Path | None = None) -> Any:  # Any: a response.
        """Returns the answer to one request, tried as often as it takes and the settings allow.

        Args:
          path: the file that takes the body of an answer that is one; None to have it in memory.

        Raises:
          ConfigError: it is refused.
          SourceError: it fails too often.
        """
        import httpx
        import tenacity

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _PassingError)),
            stop=tenacity.stop_after_attempt(self.tries),
            wait=self._wait,
            sleep=sleep,
            reraise=True,
        )
        try:
            answer = retrying(self._once, url, params, path)
        except _PassingError as error:
            raise SourceError(self._said(f"answers {error} each time, {self.tries} times")) from None
        except httpx.RequestError as error:
            why = f"{type(error).__name__}: {error}".strip(": ")
            raise SourceError(self._said(f"does not answer: {why}, {self.tries} times")) from None
        except (httpx.InvalidURL, ValueError) as error:
            raise ConfigError(self._said(f"cannot be asked: {error}")) from None
        if answer.status_code != _OK:
            begin = _begin_of(answer, self.context)
            raise ConfigError(self._said(f"answers {answer.status_code} {answer.reason_phrase}: {begin}"))
        return answer

    def _once(self, url: str, params: Mapping[str, str] | None, path: Path | None) -> Any:
        with self.client.stream("GET", url, params=params) as answer:
            if answer.status_code in _PASSING:
                raise _PassingError(answer)
            if path is None or answer.status_code != _OK:
                answer.read()
            else:
                with path.open("wb") as file:
                    file.writelines(answer.iter_bytes())
        return answer

    def _wait(self, state: Any) -> float:  # Any: tenacity's RetryCallState.
        """Returns seconds: what the server asks for (RFC 9110: seconds or a date), else longer each time."""
        error = state.outcome.exception()
        asked = error.retry_after if isinstance(error, _PassingError) else None
        seconds = _seconds(asked, datetime.datetime.now(datetime.UTC)) if asked else None
        if seconds is None:
            return float(min(_FIRST_WAIT_S * 2 ** (state.attempt_number - 1), _MOST_WAIT_S))
        if seconds > _LONGEST_WAIT_S:
            raise SourceError(self._said(f"asks to be left alone for {seconds:,.0f} s; pull again then"))
        return seconds

    def _said(self, what: str) -> str:
        return f"{self.context.where}: {self.named} {what}."


class _PassingError(Exception):
    """An answer that a later request may not get. `retry_after` is the server's header."""

    def __init__(self, answer: Any) -> None:
        super().__init__(f"{answer.status_code} {answer.reason_phrase}")
        self.retry_after: str | None = answer.headers.get("Retry-After")


def _seconds(retry_after: str, now: datetime.datetime) -> float | None:
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or datetime.UTC) - now).total_seconds())


def _pages(asking: _Asking, settings: HttpConfig, period: Period) -> Iterator[list[Row]]:
    """Yields the rows of each page, in order.

    Raises:
      SourceError: a page leads to one that came before, or is the same as the page before.
    """
    context = asking.context
    first = context.secrets.resolve(with_moments(settings.url, period), f"{context.where}: url")
    params = _filled(settings.params, period, context)
    url, extra, rows_so_far = first, _first_params(settings), 0
    seen, before = set[str](), b""
    while True:
        place = f"{url} {sorted(extra.items())}"
        if place in seen:
            raise SourceError(f"{context.where}: a page leads back to an earlier one, and there would be no end.")
        seen.add(place)
        # A link holds its parameters itself.
        answer = asking.get(url, {**params, **extra} if url == first else None)
        digest = hashlib.sha256(answer.content).digest()
        value = _json(answer, context) if settings.format == "json" else None
        page = _json_rows(value, settings, context) if settings.format == "json" else _csv_rows(answer.text, context)
        if page and digest == before and not settings.key:
            raise SourceError(
                f"{context.where}: two pages in a row are the same {len(page)} rows. Either the server repeats pages: "
                'name the columns that tell rows apart, key = ["id"]. Or it does not know the parameters of `pages`.'
            )
        before = digest
        yield page
        rows_so_far += len(page)
        following = _following(settings, answer, value, page, rows_so_far)
        if following is None:
            return
        if isinstance(following, str):
            url, extra = _same_server(first, str(answer.url.join(following)), context), {}
        else:
            extra = following


def _first_params(settings: HttpConfig) -> dict[str, str]:
    if settings.pages != "offset":
        return {}
    return {settings.offset_param: "0", settings.limit_param: str(settings.page_size)}


def _following(
    settings: HttpConfig, answer: Any, value: Any, page: list[Row], rows_so_far: int
) -> dict[str, str] | str | None:
    """Returns the parameters of the next page, or its URL; None after the last. Any: a response, JSON."""
    if settings.pages == "link":
        link = answer.links.get("next", {}).get("url")
        return str(link) if link else None
    if settings.pages == "offset":
        if not page:
            return None
        return {settings.offset_param: str(rows_so_far), settings.limit_param: str(settings.page_size)}
    if settings.pages == "cursor":
        cursor = _at(value, str(settings.cursor))
        if cursor in (None, "", False):
            return None
        text = str(cursor)
        return text if text.startswith(("http://", "https://")) else {settings.cursor_param: text}
    return None


def _same_server(first: str, url: str, context: Context) -> str:
    """Returns the URL of a next page. Another server would be sent the headers, and the secrets in them."""
    import httpx

    old, new = httpx.URL(first), httpx.URL(url)
    if (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port):
        raise SourceError(f"{context.where}: the next page is on another server, {new.host}, and is not asked for.")
    return url


def _json(answer: Any, context: Context) -> Any:  # Any: a response; JSON.
    try:
        return json.loads(answer.content)
    except ValueError:
        raise ConfigError(f"{context.where}: expected JSON. Received: {_begin_of(answer, context)!r}.") from None


def _begin_of(answer: Any, context: Context) -> str:  # Any: a response.
    """Returns how an answer's body begins; secrets go before the rest does, or half of one could stay."""
    return clipped(" ".join(context.secrets.redact(answer.text).split()), _SHOWN_BODY)


def _at(value: Any, path: str) -> Any:  # Any: JSON.
    """Returns what a path such as `meta.next` leads to; None where it leads nowhere."""
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _json_rows(value: Any, settings: HttpConfig, context: Context) -> list[Row]:  # Any: JSON.
    rows = _at(value, settings.rows)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        where = f"at {settings.rows!r}" if settings.rows else "as the whole page"
        names = f" Its keys: {', '.join(value)}." if isinstance(value, dict) else ""
        raise ConfigError(f"{context.where}: rows: expected a list of objects {where}.{names}")
    return [flattened(row) for row in rows]


def _csv_rows(text: str, context: Context) -> list[Row]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    header = next(reader, [])
    rows: list[Row] = []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise ConfigError(
                f"{context.where}: expected CSV of {len(header)} columns. Received a row of {len(row)}: "
                f"{clipped(','.join(row))!r}."
            )
        rows.append({name: value or None for name, value in zip(header, row, strict=True)})
    return rows


def _filled(texts: Mapping[str, str], period: Period, context: Context) -> dict[str, str]:
    """Returns headers or parameters with their moments and secrets."""
    return {
        name: context.secrets.resolve(with_moments(text, period), f"{context.where}: {name}")
        for name, text in texts.items()
    }
