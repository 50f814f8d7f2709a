"""Assembles what a model is trained on: train rows of the last K spans, held-out rows of the newest."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from columnar import split_files
from columnar.examples import split_paths
from pipeline.errors import ConfigError, DataError
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.errors import ColumnsError, IngestError
from pipeline.ingest.reader import open_span
from pipeline.ingest.span_to_examples import converted, write_examples

_SHARD_NAME = re.compile(r"span-0*(\d+)-")


@dataclass(frozen=True, kw_only=True)
class WindowSpan:
    """One span of a window.

    Attributes:
      span: its number.
      paths: its raw files; read where `examples_uri` is None.
      examples_uri: an Examples artifact of it, whose shards are taken as they are.
    """

    span: int
    paths: tuple[str, ...] = ()
    examples_uri: str | None = None


def write_window(spans: Sequence[WindowSpan], config: IngestConfig, output_uri: str) -> Mapping[str, int | None]:
    """Writes `Split-train` with the train rows of all `spans` and `Split-eval` with the eval rows of the newest.

    A row's split depends on its content alone, so no row that any span holds out is ever in `Split-train` of a window.

    Args:
      config: how raw files are read.
      output_uri: the Examples artifact to write.

    Returns:
      Examples by split, as far as they were counted: None where shards were taken over.

    Raises:
      ConfigError: no spans, or one twice.
      IngestError: a raw file is at fault, or a raw span has no labels to train on.
    """
    numbers = [span.span for span in spans]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ConfigError(f"A window needs one or more different spans. Received: {numbers}.")
    totals: dict[str, int | None] = {"train": 0, "eval": 0}
    for span in sorted(spans, key=lambda span: span.span):
        wanted = ["train", "eval"] if span.span == max(numbers) else ["train"]
        try:
            written = _write_span(span, config, output_uri, wanted)
        except IngestError as error:
            raise blamed(error, span.span, max(numbers)) from error
        for split in wanted:
            total, count = totals[split], written.get(split)
            totals[split] = None if total is None or count is None else total + count
    return totals


def blamed(error: IngestError, span: int, newest: int) -> DataError:
    """Returns the error for a run of `newest`, saying whose file is at fault where it is another span's."""
    if span == newest:
        return error
    return DataError(
        f"Span {newest} is trained together with span {span}, whose file is at fault: {error} "
        f"Correct that file of span {span}, or lower [spans] window so that span {span} is left out."
    )


def shard_prefix(span: int) -> str:
    """Returns how the names of a span's shards begin; the baseline tells the spans of a window apart by it."""
    return f"span-{span:05d}"


def span_of_shard(path: str) -> int:
    """Returns the span that a shard of a window came from, by its name."""
    match = _SHARD_NAME.match(os.path.basename(path))
    assert match is not None, f"{path} is not named by its span; shard_prefix names a window's shards"
    return int(match.group(1))


def by_span(paths: Iterable[str]) -> dict[int, list[str]]:
    """Returns the shards of each span of a window, spans ascending."""
    found: dict[int, list[str]] = {}
    for path in paths:
        found.setdefault(span_of_shard(path), []).append(path)
    return dict(sorted(found.items()))


def _write_span(span: WindowSpan, config: IngestConfig, output_uri: str, splits: list[str]) -> Mapping[str, int]:
    prefix = shard_prefix(span.span)
    if span.examples_uri is not None:
        _take_over(span.examples_uri, splits, output_uri, prefix)
        return {}
    columns = config.columns(list(span.paths))
    if not open_span(span.paths, config.format, columns).labelled:
        what = f"span {span.span} has no labels to train on. Wait for them, or train on other spans."
        raise ColumnsError(what, path=span.paths[0], column=min(columns.label_only))
    conversion = converted(span.paths, config.format, columns)
    if conversion is not None:
        _take_over(conversion.output_uri, splits, output_uri, prefix)
    else:
        conversion = write_examples(span.paths, config.format, columns, output_uri, only=splits, prefix=prefix)
    return {split: conversion.num_examples[split] for split in splits}


def _take_over(examples_uri: str, splits: Sequence[str], output_uri: str, prefix: str) -> None:
    for split in splits:
        _link(split_paths(examples_uri, split), split_files.folder(output_uri, split), prefix)


def _link(shards: Sequence[str], folder: str, prefix: str) -> None:
    """Links or copies shards; artifacts are never changed once written, so both see the same bytes for good."""
    names = [f"{prefix}-{index:05d}-of-{len(shards):05d}.gz" for index in range(len(shards))]
    if "://" in folder or any("://" in shard for shard in shards):
        from tfx.dsl.io import fileio

        fileio.makedirs(folder)
        for shard, name in zip(shards, names, strict=True):
            fileio.copy(shard, os.path.join(folder, name), overwrite=True)
        return
    os.makedirs(folder, exist_ok=True)
    for shard, name in zip(shards, names, strict=True):
        try:
            os.link(shard, os.path.join(folder, name))
        except OSError:  # Another file system, or one without links.
            shutil.copyfile(shard, os.path.join(folder, name))
