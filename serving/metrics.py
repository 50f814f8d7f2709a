"""The contract's metrics in Prometheus' text form, under TensorFlow Serving's own names.

The names start with a colon and counters do not end in `_total`, which Prometheus' client library does not write.
"""

import threading
from bisect import bisect_left
from collections import Counter
from itertools import accumulate, repeat

# Latency bounds in microseconds: 10, growing by 1.8, 33 of them.
BOUNDS = tuple(accumulate(repeat(1.8, 32), lambda bound, factor: bound * factor, initial=10.0))
REQUESTS = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
RUNTIME = ":tensorflow:serving:runtime_latency"
WARMUP = ":tensorflow:serving:model_warmup_latency"
QUEUING = ":tensorflow:serving:batching_session:queuing_latency"
LOGGED = ":tensorflow:serving:request_log_count"

# Names in URLs are the clients' choice: beyond these the model is recorded as empty, so that nobody fills the memory.
MAX_SERIES = 10_000
MAX_NAME = 256

Labels = tuple[tuple[str, str], ...]


class _Histogram:
    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0


class Metrics:
    """Counters and histograms by name and labels; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, Counter[Labels]] = {REQUESTS: Counter()}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {LATENCY: {}, RUNTIME: {}}

    def count_request(self, model: str, status: str) -> None:
        """Counts one request by its outcome; the model's name is empty where the URL named none."""
        with self._lock:
            known = self._counters[REQUESTS]
            labels = (("model_name", model), ("status", status))
            if labels not in known and (len(known) >= MAX_SERIES or len(model) > MAX_NAME):
                labels = (("model_name", ""), ("status", status))
            known[labels] += 1

    def count(self, name: str, **labels: str) -> None:
        """Adds one to a counter."""
        with self._lock:
            self._counters.setdefault(name, Counter())[tuple(labels.items())] += 1

    def observe(self, name: str, microseconds: float, **labels: str) -> None:
        """Adds one value to a histogram."""
        place = bisect_left(BOUNDS, microseconds)
        with self._lock:
            series = self._histograms.setdefault(name, {})
            key = tuple(labels.items())
            histogram = series.get(key)
            if histogram is None:
                histogram = series[key] = _Histogram()
            histogram.buckets[place] += 1
            histogram.sum += microseconds

    def text(self) -> bytes:
        """Returns every metric: a `# TYPE` line, then its samples."""
        lines: list[str] = []
        with self._lock:
            for name, counter in self._counters.items():
                lines.append(f"# TYPE {name} counter")
                lines += [f"{name}{{{_text(labels)}}} {count}" for labels, count in sorted(counter.items())]
            for name, series in self._histograms.items():
                lines.append(f"# TYPE {name} histogram")
                for labels, histogram in sorted(series.items(), key=lambda item: item[0]):
                    lines += _samples(name, _text(labels), histogram)
        return ("\n".join(lines) + "\n").encode()


def _samples(name: str, labels: str, histogram: _Histogram) -> list[str]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    separator = "," if labels else ""
    lines = [
        f'{name}_bucket{{{labels}{separator}le="{bound}"}} {cumulative}'
        for bound, cumulative in zip(bounds, accumulate(histogram.buckets), strict=True)
    ]
    return [
        *lines,
        f"{name}_sum{{{labels}}} {histogram.sum:g}",
        f"{name}_count{{{labels}}} {sum(histogram.buckets)}",
    ]


def _text(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
