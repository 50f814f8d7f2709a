"""Which dated spans are over: a day that is not over may get more rows, and is not taken by itself."""

import datetime
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pipeline.config.dataset import Dataset
from pipeline.ingest import span_names
from pipeline.sources.periods import begin_of, index_of

T = TypeVar("T")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def end_of(span: int, dataset: Dataset) -> datetime.datetime | None:
    """Returns when a span's period ends, in UTC; None where the pattern has no dates, or nobody is to wait for it."""
    spans = dataset.spans
    if not span_names.is_dated(spans.pattern) or not spans.whole_periods:
        return None
    return begin_of(index_of(_EPOCH + datetime.timedelta(days=span), spans.every) + 1, spans.every)


def open_spans(spans: Iterable[int], dataset: Dataset, now: float) -> dict[int, datetime.datetime]:
    """Returns the spans whose period is not over at `now`, seconds since 1970, with its end."""
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    ends = ((span, end_of(span, dataset)) for span in spans)
    return {span: end for span, end in ends if end is not None and end > moment}


def whole(spans: Mapping[int, T], dataset: Dataset, now: float) -> dict[int, T]:
    """Returns the spans whose period is over."""
    still_open = open_spans(spans, dataset, now)
    return {span: files for span, files in spans.items() if span not in still_open}
