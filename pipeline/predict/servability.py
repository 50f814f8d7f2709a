"""Asks a candidate, in a model server of its own process, the questions that clients will ask."""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.foreign_signature import ForeignSignature
from models.tasks import predictions_of
from pipeline import REPOSITORY

# A candidate that cannot be loaded ends the server; this is for a machine that has much else to do.
START_TIMEOUT_S = 300.0
REQUEST_TIMEOUT_S = 30.0
# Float32 sums differ in their last bits between batch sizes; more than this is another model.
TOLERANCE = 1e-5
# Below what Linux (from 32768) and macOS (from 49152) hand out by themselves.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True, kw_only=True)
class Servability:
    """How a served candidate answered.

    Attributes:
      servable: it loaded, and every answer equals the offline prediction.
      reason: in words, why or why not.
      p99_ms: 99th percentile of single-row requests, milliseconds; 0 where none was answered.
    """

    servable: bool
    reason: str
    p99_ms: float


@dataclass(frozen=True)
class Server:
    """The embedded server in a process of its own; `url` is the model's, and answers once `wait` has returned."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> None:
        """Waits until the model answers.

        Raises:
          ServerNotReadyError: the server ended or did not load the model in time; carries the last lines of its log.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url, timeout=REQUEST_TIMEOUT_S) as answer:
                    states = json.load(answer)["model_version_status"]
                if any(version["state"] == "AVAILABLE" for version in states):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.05)
        tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        status = self.process.poll()
        ended = f"ended with status {status}" if status is not None else "did not load it in time"
        raise ServerNotReadyError(f"the model server {ended}: {' / '.join(tail) or 'no output'}")


def free_port() -> int:
    """Returns a port of this machine that nobody listens on.

    Not one that the system would choose: a server binds its port seconds later, when its model is loaded, and by then
    the system may have given such a port to any connection.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port from {_PORTS[0]} to {_PORTS[-1]} of 127.0.0.1 is free")


@contextlib.contextmanager
def starting(base_path: Path, model_name: str, log: Path) -> Iterator[Server]:
    """Starts the server on a free port and lets it run until the block ends; does not wait until it has loaded.

    The server dies with this process, whatever ends it.
    """
    port = free_port()
    command = [sys.executable, "-m", "pipeline.parent", str(os.getpid()), "serving"]
    command += ["--server", "embedded", "--port", str(port), "--grpc-port", "0"]
    command += ["--model-name", model_name, "--model-base-path", str(base_path), "--load-retries", "0"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=REPOSITORY) as process,
    ):
        try:
            yield Server(f"http://127.0.0.1:{port}/v1/models/{model_name}", process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


class ServerNotReadyError(Exception):
    """The model server could not load the candidate."""


def ask(
    url: str, instances: Sequence[Mapping[str, Any]], foreign: ForeignSignature | None = None
) -> tuple[np.ndarray, float]:
    """Returns what the server predicted, as `Predictor.predict` answers it, and the request's seconds.

    Args:
      foreign: how the model is read, where its signature is not of this project's own.

    Raises:
      urllib.error.HTTPError: the server refused.
    """
    body = json.dumps({"instances": list(instances)}).encode()
    request = urllib.request.Request(f"{url}:predict", data=body, method="POST")
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
        predictions = json.load(answer)["predictions"]
    seconds = time.perf_counter() - started
    # With one output, the contract has the bare values.
    named = predictions if isinstance(predictions[0], dict) else [{foreign.output: p} for p in predictions if foreign]
    outputs = {name: np.array([prediction[name] for prediction in named]) for name in named[0]}
    return predictions_of(foreign.outputs(outputs) if foreign else outputs), seconds


def check(
    base_path: Path,
    model_name: str,
    instances: Sequence[Mapping[str, Any]],
    offline: Callable[[], np.ndarray],
    *,
    log: Path,
    max_p99_ms: float | None = None,
    foreign: ForeignSignature | None = None,
    explain: Callable[[], str] = lambda: "",
) -> Servability:
    """Serves the version below `base_path` and compares its answers with the offline ones, row by row.

    Args:
      instances: rows as a predict request has them; at least one.
      offline: returns what the same rows are predicted offline, float (len(instances), ...); asked while the server
        starts, which takes as long.
      log: where the server's output goes.
      max_p99_ms: limit on the latency of single-row requests; None for no limit.
      foreign: see `ask`.
      explain: asked why answers differ; a clause, or nothing.
    """
    try:
        with starting(base_path, model_name, log) as server:
            expected = offline()
            server.wait()
            together, _ = ask(server.url, instances, foreign)
            singly = [ask(server.url, [instance], foreign) for instance in instances]
    except ServerNotReadyError as error:
        return Servability(servable=False, reason=str(error), p99_ms=0.0)
    except urllib.error.HTTPError as error:
        reason = f"the server answered {error.code}: {error.read(400).decode(errors='replace')}"
        return Servability(servable=False, reason=reason, p99_ms=0.0)
    p99_ms = float(np.percentile([seconds for _, seconds in singly], 99) * 1000)
    alone = np.array([predictions[0] for predictions, _ in singly])
    unit = max(1.0, float(np.abs(expected).max()))  # Numbers may be large, and float32 has seven digits.
    worst = float(max(np.abs(together - expected).max(), np.abs(alone - expected).max())) / unit
    if not worst <= TOLERANCE:  # Also where it is NaN.
        why = explain()
        reason = f"served and offline predictions differ by up to {worst:.2g} (allowed: {TOLERANCE:g})"
        reason += f"; {why}" if why else ""
        return Servability(servable=False, reason=reason, p99_ms=p99_ms)
    if max_p99_ms is not None and p99_ms > max_p99_ms:
        reason = f"the p99 of single-row requests is {p99_ms:.1f} ms (allowed: {max_p99_ms:g} ms)"
        return Servability(servable=False, reason=reason, p99_ms=p99_ms)
    reason = f"{len(instances)} rows answered as offline, to {worst:.1g}; p99 {p99_ms:.1f} ms"
    return Servability(servable=True, reason=reason, p99_ms=p99_ms)
