"""The contract's metrics in Prometheus' text form, under TensorFlow Serving's own names.

prometheus_client would append `_total` to the counters and change names that dashboards know.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import accumulate, repeat

# Bounds in microseconds: 10, growing by 1.8, 33 of them.
BOUNDS = tuple(accumulate(repeat(1.8, 32), lambda bound, factor: bound * factor, initial=10.0))
_TEXT_BOUNDS = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")
PREFIX = ":tensorflow:serving:"
REQUESTS = f"{PREFIX}request_count"
REQUEST_LATENCY = f"{PREFIX}request_latency"
RUNTIME_LATENCY = f"{PREFIX}runtime_latency"
WARM_UP_LATENCY = f"{PREFIX}model_warmup_latency"
QUEUING_LATENCY = f"{PREFIX}batching_session:queuing_latency"
REQUEST_LOG = ":driftgate:serving:request_log_count"  # TensorFlow Serving has no such counter.
MAX_UNKNOWN_NAMES = 1000  # Clients choose the names in their URLs; memory must not grow with them.

Labels = tuple[tuple[str, str], ...]


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0


class Metrics:
    """Counts of requests by model and status, and latencies of those that succeeded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._unknown: set[str] = set()
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}
        self._log_counts: Callable[[], Mapping[str, int]] | None = None

    def show_log(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Adds the request log's counts by outcome, as they are when the metrics are read."""
        self._log_counts = counts

    def count(self, model: str, status: str, *, known: bool = True) -> None:
        """Counts one request by its outcome.

        Args:
          model: empty where the URL named none.
          known: the model is a configured one; of other names only the first 1,000 are told apart.
        """
        with self._lock:
            if model and not known and model not in self._unknown:
                if len(self._unknown) >= MAX_UNKNOWN_NAMES:
                    model = ""
                else:
                    self._unknown.add(model)
            self._requests[model, status] += 1

    def observe(self, name: str, labels: Labels, microseconds: float) -> None:
        """Records one latency in a histogram of this module."""
        place = bisect_left(BOUNDS, microseconds)
        with self._lock:
            series = self._histograms.setdefault(name, {})
            histogram = series.get(labels) or series.setdefault(labels, _Histogram())
            histogram.counts[place] += 1
            histogram.sum += int(microseconds)

    def text(self) -> bytes:
        """Returns every metric: a `# TYPE` line, then its samples."""
        with self._lock:
            lines = [f"# TYPE {REQUESTS} counter"]
            for (model, status), count in sorted(self._requests.items()):
                lines.append(f'{REQUESTS}{{model_name="{_escaped(model)}",status="{status}"}} {count}')
            for name, series in sorted(self._histograms.items()):
                lines.append(f"# TYPE {name} histogram")
                for labels, histogram in sorted(series.items()):
                    lines += _samples(name, labels, histogram)
        if self._log_counts is not None:
            lines.append(f"# TYPE {REQUEST_LOG} counter")
            lines += [
                f'{REQUEST_LOG}{{outcome="{outcome}"}} {count}' for outcome, count in sorted(self._log_counts().items())
            ]
        return ("\n".join(lines) + "\n").encode()


def _samples(name: str, labels: Labels, histogram: _Histogram) -> list[str]:
    text = "".join(f'{key}="{_escaped(value)}",' for key, value in labels)
    cumulative = list(accumulate(histogram.counts))
    lines = [
        f'{name}_bucket{{{text}le="{bound}"}} {count}' for bound, count in zip(_TEXT_BOUNDS, cumulative, strict=True)
    ]
    text = f"{{{text[:-1]}}}" if text else ""
    return [*lines, f"{name}_sum{text} {histogram.sum}", f"{name}_count{text} {cumulative[-1]}"]


def _escaped(value: str) -> str:
    printable = value.encode("utf-8", errors="replace").decode()
    return printable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
