"""The contract's metrics in Prometheus' text form, under TensorFlow Serving's own names."""

import threading
from collections import Counter
from itertools import accumulate, repeat

# Latency bounds in microseconds: 10, growing by 1.8, 33 of them.
BOUNDS = tuple(accumulate(repeat(1.8, 32), lambda bound, factor: bound * factor, initial=10.0))
REQUESTS = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"


class Metrics:
    """Counts of requests by model and status, and latencies of those that succeeded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._sums: Counter[tuple[str, str]] = Counter()

    def count(self, model: str, status: str) -> None:
        """Counts one request by its outcome; the model's name is empty where the URL named none."""
        with self._lock:
            self._requests[model, status] += 1

    def observe(self, model: str, api: str, microseconds: float) -> None:
        """Records the latency of one request that succeeded."""
        place = next((i for i, bound in enumerate(BOUNDS) if microseconds <= bound), len(BOUNDS))
        with self._lock:
            self._buckets.setdefault((model, api), [0] * (len(BOUNDS) + 1))[place] += 1
            self._sums[model, api] += int(microseconds)

    def text(self) -> bytes:
        """Returns every metric: a `# TYPE` line, then its samples."""
        with self._lock:
            lines = [f"# TYPE {REQUESTS} counter"]
            for (model, status), count in sorted(self._requests.items()):
                lines.append(f'{REQUESTS}{{model_name="{_escaped(model)}",status="{status}"}} {count}')
            lines.append(f"# TYPE {LATENCY} histogram")
            for (model, api), counts in sorted(self._buckets.items()):
                labels = f'model_name="{_escaped(model)}",API="{api}",entrypoint="REST"'
                bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
                for bound, cumulative in zip(bounds, accumulate(counts), strict=True):
                    lines.append(f'{LATENCY}_bucket{{{labels},le="{bound}"}} {cumulative}')
                lines.append(f"{LATENCY}_sum{{{labels}}} {self._sums[model, api]}")
                lines.append(f"{LATENCY}_count{{{labels}}} {sum(counts)}")
        return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
