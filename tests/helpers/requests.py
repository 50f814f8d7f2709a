"""Requests that the log helpers write."""

from tests.helpers import request_logs
from tests.monitoring.conftest import VERSION, answers

DAY = 86_400
MONDAY = 1_795_392_000  # 2026-11-23 00:00 UTC.
NOW = MONDAY + 3 * DAY


def requests(site, rows, *, time=MONDAY + 60, predictions=None, **metadata):
    predictions = answers(rows.num_rows, 7) if predictions is None else predictions
    return request_logs.requests(rows, site.features, predictions, time=time, **{"version": VERSION, **metadata})
