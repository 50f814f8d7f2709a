"""Labels that come after the requests: spans, as the pipeline reads them, found again by the request's key.

A span need hold no more than the key's features and the label's columns; an ordinary labelled span does. A label counts
for a version only if its span is later than the ones that the version was trained on.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from columnar.examples import flat_schema
from models.features import FeatureSpec
from models.label import NO_LABEL
from models.target import is_known
from monitoring import request_key
from pipeline import files
from pipeline.config.dataset import Dataset
from pipeline.gate import labels as gate_labels
from pipeline.ingest import spans as span_files
from pipeline.ingest.columns import Columns
from pipeline.ingest.errors import IngestError
from pipeline.ingest.reader import open_span

logger = logging.getLogger(__name__)

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]  # Any: int64, or float64 of a regression.


@dataclass(frozen=True, kw_only=True)
class SpanLabels:
    """The labels of one span.

    Attributes:
      keys: ascending, each once, int64 (keys,).
      labels: as `Target.evaluate` answers them, unknown where rows of one key have different labels, (keys,).
      weights: how much each counts, (keys,), of several rows of one key their mean; None where each counts one.
    """

    span: int
    keys: Integers
    labels: Labels
    weights: Floats | None = None


def of_table(span: int, table: pa.Table, key: Sequence[str], features: FeatureSpec) -> SpanLabels:
    """Returns the labels of a span's rows by key."""
    weights = gate_labels.weights(table, features.target)
    return _unique(span, request_key.keys(table, key, features), gate_labels.evaluate(table, features.target), weights)


def _unique(span: int, keys: Integers, labels: Labels, weights: Floats | None) -> SpanLabels:
    known = is_known(labels)
    order = np.flatnonzero(known)[np.argsort(keys[known], kind="stable")]
    keys, labels = keys[order], labels[order]
    distinct, starts, counts = np.unique(keys, return_index=True, return_counts=True)
    if len(distinct) == 0:
        return SpanLabels(span=span, keys=distinct, labels=labels)
    lowest, highest = np.minimum.reduceat(labels, starts), np.maximum.reduceat(labels, starts)
    return SpanLabels(
        span=span,
        keys=distinct,
        labels=np.where(lowest == highest, lowest, _unknown(labels)),
        weights=None if weights is None else np.add.reduceat(weights[order], starts) / counts,
    )


def _unknown(labels: Labels) -> float:
    return float("nan") if labels.dtype.kind == "f" else NO_LABEL


def lookup(keys: Integers, spans: Iterable[SpanLabels], window: Sequence[int]) -> tuple[Labels, Floats | None]:
    """Returns the label of each request, unknown where none has come, and how much it counts, (rows,) each.

    Weights are None where each counts one.

    Args:
      keys: of the requests; a key that was asked several times counts once, where it was asked first.
      window: the spans that the version was trained on; their labels do not count.
    """
    later = [item for item in spans if item.span > max(window, default=0) and len(item.keys)]
    if not later:
        return np.full(len(keys), NO_LABEL, np.int64), None
    weighted = [item.weights for item in later if item.weights is not None]
    merged = _unique(
        0,
        np.concatenate([i.keys for i in later]),
        np.concatenate([i.labels for i in later]),
        np.concatenate(weighted) if len(weighted) == len(later) else None,
    )
    result = np.full(len(keys), _unknown(merged.labels), merged.labels.dtype)
    distinct, first = np.unique(keys, return_index=True)
    place = np.minimum(np.searchsorted(merged.keys, distinct), len(merged.keys) - 1)
    matched = merged.keys[place] == distinct
    result[first[matched]] = merged.labels[place[matched]]
    if merged.weights is None:
        return result, None
    weights = np.ones(len(keys))
    weights[first[matched]] = merged.weights[place[matched]]
    return result, weights


class LabelFolder:
    """The labelled spans of a folder. It reads each span once and keeps its keys and labels in `cache`."""

    def __init__(self, root: str, cache: Path, dataset: Dataset, schema: schema_pb2.Schema) -> None:
        self._root, self._cache, self._dataset, self._schema = root, cache, dataset, schema
        self._key = request_key.key_columns(dataset.monitoring.key, dataset.features)
        self.faults: list[str] = []

    def read(self, after: int) -> list[SpanLabels]:
        """Returns the labels of every labelled span later than `after`.

        A span that cannot be read, perhaps because it is still being written, is left out until the next time: requests
        are judged without it. `faults` then says why.
        """
        self._cache.mkdir(parents=True, exist_ok=True)
        self.faults = []
        labels = []
        spans = self._dataset.spans
        for span, newest in span_files.newest_versions(self._root, spans.pattern, spans.marker).items():
            if span > after:
                try:
                    labels.append(self._read_span(span, [file.path for file in newest]))
                except (IngestError, OSError) as error:
                    self.faults.append(str(error))
                    logger.warning("The labels of span %d were not read: %s", span, error)
        return labels

    def _read_span(self, span: int, paths: list[str]) -> SpanLabels:
        signature = repr(self._dataset.features.target) + json.dumps(
            [[path, os.stat(path).st_size, os.stat(path).st_mtime_ns, *self._key] for path in paths]
        )
        cached = self._cache / f"span-{span}.npz"
        if cached.exists():
            with np.load(cached, allow_pickle=False) as arrays:
                if str(arrays["signature"]) == signature:
                    weights = arrays.get("weights")
                    return SpanLabels(span=span, keys=arrays["keys"], labels=arrays["labels"], weights=weights)
        read = self._read_files(span, paths)
        with files.replacing(cached) as unfinished, unfinished.open("wb") as file:
            weights = {} if read.weights is None else {"weights": read.weights}
            np.savez_compressed(file, keys=read.keys, labels=read.labels, signature=np.array(signature), **weights)
        return read

    def _read_files(self, span: int, paths: list[str]) -> SpanLabels:
        features = self._dataset.features
        label_only = features.label_columns - set(features.names)
        columns = Columns(
            flat=flat_schema(self._schema),
            required=(features.label_columns | set(self._key)) - label_only,
            label=features.label_columns,
            target=features.target,
            label_only=label_only,
        )
        opened = open_span(paths, self._dataset.spans.file_format, columns)
        if not opened.labelled:
            nothing = np.zeros(0, np.int64)
            return SpanLabels(span=span, keys=nothing, labels=nothing)
        return of_table(span, pa.Table.from_batches(opened.batches, opened.schema), self._key, features)
