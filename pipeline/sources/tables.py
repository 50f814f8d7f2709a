"""Files and tables in folders, object stores and lakes: Parquet, CSV, JSON lines, Delta and Iceberg."""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError, PipelineError
from pipeline.sources import places, web
from pipeline.sources.background import in_background
from pipeline.sources.config import FilesConfig
from pipeline.sources.errors import SourceError
from pipeline.sources.periods import Period, moment_text, with_moments
from pipeline.sources.reading import Context

_ARROW = {"INT": pa.int64(), "FLOAT": pa.float64(), "BYTES": pa.string()}


def read(settings: FilesConfig, period: Period, context: Context) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one span.

    Raises:
      ConfigError: the URL, the format or the column of the time is wrong.
      SourceError: the store does not answer, or a file is damaged.
    """
    url = with_moments(context.secrets.resolve(settings.url, f"{context.where}: url"), period)
    with _explained(context), contextlib.ExitStack() as opened:
        if settings.format == "iceberg":
            yield from _iceberg(url, settings, period, context)
            return
        if settings.format == "delta":
            table = _delta(url, context)
        else:
            if url.startswith(("https://", "http://")):
                folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="driftgate-"))
                url = web.download(url, Path(folder), context)
            table = _dataset(url, settings, context)
        if table is None:
            return
        chosen = _between(table.schema, settings, period, context)
        # In this thread a signal would have to wait for the store's answer.
        yield from in_background(lambda: table.to_batches(filter=chosen), lambda: None)


def _dataset(url: str, settings: FilesConfig, context: Context) -> Any:  # Any: pyarrow.dataset.Dataset.
    """Returns the files as one table, its Hive folders as columns; None where there are no files."""
    from pyarrow import csv, dataset

    system, path = places.open_place(url, context.folder)
    files = places.find(system, path)
    if not files and settings.time is not None:
        raise SourceError(f"{context.where}: there are no files at {settings.url}.")
    if not files:
        return None
    kind: Any = settings.format
    if settings.format == "csv":
        types = {name: _ARROW[wanted] for name, wanted in context.types.items()}
        options = csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
        kind = dataset.CsvFileFormat(convert_options=options)
    return dataset.dataset(files, filesystem=system, format=kind, partitioning="hive")


def _delta(url: str, context: Context) -> Any:
    deltalake = context.require("deltalake", "delta")
    try:
        place = url if "://" in url else str((context.folder / url).absolute())
        insecure = context.secrets.environment.get("AWS_ENDPOINT_URL", "").startswith("http://")
        return deltalake.DeltaTable(
            place, storage_options={"AWS_ALLOW_HTTP": "true"} if insecure else None
        ).to_pyarrow_dataset()
    except (deltalake.exceptions.DeltaError, OSError, ValueError) as error:
        raise SourceError(f"{context.where}: no Delta table could be read: {' '.join(str(error).split())}.") from None


def _iceberg(url: str, settings: FilesConfig, period: Period, context: Context) -> Iterator[pa.RecordBatch]:
    """Yields the rows of an Iceberg table, which chooses files by the time itself."""
    catalog, exceptions, expressions, table_of = (
        context.require(f"pyiceberg.{name}", "iceberg") for name in ("catalog", "exceptions", "expressions", "table")
    )
    try:
        # Where catalogs are is pyiceberg's own configuration: PYICEBERG_CATALOG__DEFAULT__URI and so on.
        table = (
            table_of.StaticTable.from_metadata(url, _s3_properties(context))
            if "/" in url
            else catalog.load_catalog().load_table(url)
        )
        schema = table.scan().projection().as_arrow()
        _column(schema, settings, context)
        time = str(settings.time)
        begin, end = (_as_iceberg(moment, schema.field(time).type) for moment in (period.begin, period.end))
        chosen = expressions.And(expressions.GreaterThanOrEqual(time, begin), expressions.LessThan(time, end))
        reader = table.scan(row_filter=chosen).to_arrow_batch_reader()
    except (exceptions.NoSuchTableError, exceptions.RESTError, OSError, ValueError, KeyError) as error:
        what = " ".join(str(error).split())
        raise SourceError(f"{context.where}: no Iceberg table could be read: {type(error).__name__}: {what}.") from None
    yield from in_background(lambda: iter(reader), lambda: None)


def _s3_properties(context: Context) -> dict[str, str]:
    """Returns S3's endpoint and region by pyiceberg's names, where the environment says them by AWS's."""
    names = {"s3.endpoint": "AWS_ENDPOINT_URL", "s3.region": "AWS_REGION"}
    return {
        key: context.secrets.environment[name] for key, name in names.items() if name in context.secrets.environment
    }


def _as_iceberg(moment: datetime.datetime, kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return f"{moment:%Y-%m-%d}"
    return moment.isoformat() if getattr(kind, "tz", None) else moment.replace(tzinfo=None).isoformat()


def _column(schema: pa.Schema, settings: FilesConfig, context: Context) -> pa.DataType:
    """Returns the type of the column that says a row's time."""
    if settings.time not in schema.names:
        raise ConfigError(
            f"{context.where}: time: there is no column {settings.time!r}. Columns: {', '.join(schema.names)}."
        )
    return schema.field(settings.time).type


def _between(schema: pa.Schema, settings: FilesConfig, period: Period, context: Context) -> Any:
    """Returns what chooses a span's rows, None for all. Row groups and Hive folders that hold none are not read.

    Whole numbers are seconds since 1970; texts are compared as texts, so they must be written as 2024-01-31 12:00:00.
    """
    if settings.time is None:
        return None
    from pyarrow import compute

    kind = _column(schema, settings, context)
    limits: list[Any] = [period.begin, period.end]
    if pa.types.is_timestamp(kind):
        limits = [moment if kind.tz else moment.replace(tzinfo=None) for moment in limits]
    elif pa.types.is_date(kind):
        limits = [moment.date() for moment in limits]
    elif pa.types.is_integer(kind):
        limits = [int(moment.timestamp()) for moment in limits]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        limits = [moment_text(moment) for moment in limits]
    else:
        raise ConfigError(
            f"{context.where}: time: expected a column of dates, moments, seconds since 1970, or texts such as "
            f"2024-01-31. Received: {settings.time!r}, which is {kind}."
        )
    begin, end = (pa.scalar(limit, kind) for limit in limits)
    field = compute.field(settings.time)
    return (field >= begin) & (field < end)


@contextlib.contextmanager
def _explained(context: Context) -> Iterator[None]:
    """Names the source in what a store or a reader says."""
    try:
        yield
    except PipelineError as error:
        if str(error).startswith(context.where):
            raise
        raise type(error)(f"{context.where}: {error}") from None
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{context.where}: cannot be read: {places.said(error)}.") from None
