"""Starts a server, loads it with h2load (Debian package nghttp2-client), and measures what its processes use."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.pages import REPOSITORY

Json = dict[str, Any]  # Any: JSON.


def free_ports(count: int) -> list[int]:
    """Returns different ports that nobody listens on now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextlib.contextmanager
def running(command: Sequence[str], url: str, environment: dict[str, str] | None = None) -> Iterator[Json]:
    """Runs a server until the block ends; yields its process and the seconds until it answered."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
        )
        try:
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{command[:4]} ended:\n{log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.02)
            yield {"process": psutil.Process(process.pid), "start_s": round(time.perf_counter() - started, 2)}
        finally:
            process.terminate()
            process.wait(30)


def used(process: psutil.Process) -> tuple[float, int]:
    """Returns the processor seconds and the resident bytes of a server's processes."""
    family = [process, *process.children(recursive=True)]
    times = [each.cpu_times() for each in family]
    return sum(each.user + each.system for each in times), sum(each.memory_info().rss for each in family)


def settle(process: psutil.Process) -> None:
    """Returns once the server does nothing more: one of two workers answers while the other still loads."""
    before, after = -1.0, used(process)[0]
    while after - before > 0.02:
        time.sleep(0.5)
        before, after = after, used(process)[0]


def load(
    process: psutil.Process, url: str, body: Path, connections: int, seconds: int, *, kind: str, rate: float = 0.0
) -> Json:
    """Asks for some seconds; returns the rate, the percentiles, and what the server's process used.

    Args:
      kind: `rest` or `grpc`.
      rate: requests a second, spread over the connections; 0 for as many as it takes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        command = ["h2load", "-t1", "-c", str(connections), "-m1", "-D", str(seconds), "-d", str(body)]
        command += ["--warm-up-time=300ms", f"--log-file={log}"]
        if kind == "rest":
            command += ["--h1", "-H", "content-type: application/json"]
        else:
            command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        if rate:
            command += [f"--rps={rate / connections:g}"]
        before = used(process)[0]
        started = time.perf_counter()
        done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
        wall = time.perf_counter() - started
        after, rss = used(process)
        if done.returncode or not log.exists():
            raise SystemExit(f"h2load failed:\n{done.stdout}{done.stderr}")
        table = np.loadtxt(log, dtype=np.int64, ndmin=2).reshape(-1, 3)
    answered = table[:, 1] == 200  # A refusal is quick, and no answer.
    micros, failed = table[answered, 2], int((~answered).sum())
    cores = (after - before) / wall
    return {
        "requests": len(table),
        "failed": failed,
        "rps": round(len(micros) / seconds, 1),
        "p50_ms": round(float(np.percentile(micros, 50)) / 1000, 3) if len(micros) else None,
        "p99_ms": round(float(np.percentile(micros, 99)) / 1000, 3) if len(micros) else None,
        "cpu_cores": round(cores, 2),
        "cpu_us": round(cores * seconds / len(micros) * 1e6, 1) if len(micros) else None,
        "rss_mb": round(rss / 2**20),
    }


def runtime_share(port: int, name: str, ask: Any) -> float:
    """Returns which share of the server's time for predict requests was spent in running the signature."""

    def sums() -> tuple[float, float]:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics").read().decode()
        values = dict(line.rpartition(" ")[::2] for line in text.splitlines() if "_sum{" in line)
        return (
            float(
                values.get(
                    f':tensorflow:serving:runtime_latency_sum{{model_name="{name}",API="Predict",runtime="TF1"}}', 0
                )
            ),
            float(
                values.get(
                    f':tensorflow:serving:request_latency_sum{{model_name="{name}",API="predict",entrypoint="REST"}}', 0
                )
            ),
        )

    before = sums()
    ask()
    after = sums()
    return (after[0] - before[0]) / (after[1] - before[1])
