"""How fast does the embedded server answer, against its targets and against FastAPI with a call of the model?

    python -m benchmarks.serving --model-base-path runs/taxi/serving/taxi

One run, one machine, the load generator (h2load, Debian package nghttp2-client) beside the server: 1, 32 and 1,000
rows; 1, 8 and 64 connections, each with one request under way; REST, gRPC, REST with batching (TensorFlow Serving's
defaults), and the peer's REST. Then 200 requests a
second, and the same with a hot swap in the middle. Rows are those of the version's warm-up requests. Results:
benchmarks/results/serving.json and the table in docs/serving.md.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import pages
from benchmarks.pages import REPOSITORY, write_table

RESULTS = pages.RESULTS / "serving.json"
PAGE = pages.DOCS / "serving.md"
ROWS = (1, 32, 1000)
CONNECTIONS = (1, 8, 64)
FASTAPI = "fastapi==0.142.2"
UVICORN = "uvicorn==0.54.0"
Json = dict[str, Any]  # Any: JSON.


def warm_up_rows(version: Path) -> list[Json]:
    """Returns the rows of a version's warm-up requests, as instances."""
    from serving import protos

    protos.install()
    from tensorflow_serving.apis import prediction_log_pb2

    from serving import messages
    from serving.log.tfrecord import whole_records

    rows: list[Json] = []
    with (version / "assets.extra" / "tf_serving_warmup_requests").open("rb") as file:
        for record, _ in whole_records(file):
            tensors = messages.tensors(prediction_log_pb2.PredictionLog.FromString(record).predict_log.request)
            columns = {name: tensor.array.tolist() for name, tensor in tensors.items()}
            rows += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [
        {
            k: v.decode() if isinstance(v, bytes) else float(str(np.float32(v))) if isinstance(v, float) else v
            for k, v in row.items()
        }
        for row in rows
    ]


def write_bodies(version: Path, name: str, folder: Path) -> None:
    """Writes each request body as `rest-ROWS` and `grpc-ROWS`."""
    from serving import messages
    from serving.servables import loaded_model
    from serving.values import json_reader, json_tensor

    model = loaded_model.LoadedModel(version)
    inputs = model.signature("serving_default").inputs
    rows = warm_up_rows(version)
    for count in ROWS:
        body = json.dumps({"instances": [rows[index % len(rows)] for index in range(count)]}).encode()
        (folder / f"rest-{count}").write_bytes(body)
        tensors = json_tensor.decode(json_reader.parse(body, max_values=10**8), inputs).tensors
        spec = messages.model_spec(name, 0, "serving_default")
        spec.ClearField("version")
        message = messages.predict_request(spec, tensors).SerializeToString()
        (folder / f"grpc-{count}").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    model.close()


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
        command += ["--warm-up-time=1", f"--log-file={log}"]
        if kind == "rest":
            command += ["--h1", "-H", "content-type: application/json"]
        else:
            command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        if rate:
            command += [f"--rps={rate / connections:g}"]
        before = process.cpu_times()
        started = time.perf_counter()
        done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
        wall = time.perf_counter() - started
        after = process.cpu_times()
        if done.returncode or not log.exists():
            raise SystemExit(f"h2load failed:\n{done.stdout}{done.stderr}")
        table = np.loadtxt(log, dtype=np.int64, ndmin=2)
    answered = table[:, 1] == 200  # A refusal is quick, and no answer.
    micros, failed = table[answered, 2], int((~answered).sum())
    if not len(micros):
        raise SystemExit(f"None of {len(table)} requests was answered: {url}")
    cpu = (after.user + after.system) - (before.user + before.system)
    return {
        "requests": len(table),
        "failed": failed,
        "rps": round(len(micros) / seconds, 1),
        "p50_ms": round(float(np.percentile(micros, 50)) / 1000, 3),
        "p99_ms": round(float(np.percentile(micros, 99)) / 1000, 3),
        "max_ms": round(float(micros.max()) / 1000, 3),
        "cpu_cores": round(cpu / wall, 2),
        "rss_mb": round(process.memory_info().rss / 2**20),
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


def measure(base_path: Path, seconds: int) -> Json:
    """Runs everything once."""
    name = base_path.name
    results: Json = {"cells": {}}
    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        folder = Path(scratch)
        versions = sorted((entry for entry in base_path.iterdir() if entry.name.isdecimal()), key=lambda e: int(e.name))
        newest = versions[-1]
        served = folder / name
        served.mkdir()
        shutil.copytree(newest, served / "1")
        write_bodies(newest, name, folder)
        port, grpc_port, peer_port = free_ports(3)
        url = f"http://127.0.0.1:{port}/v1/models/{name}"
        command = [sys.executable, "-m", "serving", "--server", "embedded", "--port", str(port)]
        command += ["--grpc-port", str(grpc_port), "--model-name", name, "--model-base-path", str(served)]
        with running(command, url) as server:
            process = server["process"]
            results["start_s"] = {"embedded": server["start_s"]}
            targets = {
                "rest": f"{url}:predict",
                "grpc": f"http://127.0.0.1:{grpc_port}/tensorflow.serving.PredictionService/Predict",
            }
            for kind, target in targets.items():
                for rows in ROWS:
                    for connections in CONNECTIONS:
                        cell = load(process, target, folder / f"{kind}-{rows}", connections, seconds, kind=kind)
                        say(results, kind, rows, connections, cell)
            results["runtime_share_1000_rows"] = round(
                runtime_share(
                    port, name, lambda: load(process, targets["rest"], folder / "rest-1000", 1, seconds, kind="rest")
                ),
                3,
            )
            one = folder / "rest-1"
            results["at_200_rps"] = load(process, targets["rest"], one, 8, 10, kind="rest", rate=200)
            swap = subprocess.Popen(
                [sys.executable, "-c", SWAP, str(newest), str(served)],
            )
            results["at_200_rps_with_swap"] = load(process, targets["rest"], one, 8, 10, kind="rest", rate=200)
            swap.wait()
            states = {}
            while states.get("2") != "AVAILABLE":
                answer = json.load(urllib.request.urlopen(url))["model_version_status"]
                states = {entry["version"]: entry["state"] for entry in answer}
                time.sleep(0.1)
        with running([*command, "--enable-batching"], url) as server:
            for rows in ROWS:
                for connections in CONNECTIONS:
                    body = folder / f"rest-{rows}"
                    cell = load(server["process"], targets["rest"], body, connections, seconds, kind="rest")
                    say(results, "batching", rows, connections, cell)
        libraries = folder / "fastapi"
        subprocess.run(
            [
                str(Path(sys.executable).with_name("uv")),
                "pip",
                "install",
                "--quiet",
                "--target",
                str(libraries),
                FASTAPI,
                UVICORN,
            ],
            check=True,
        )
        peer = [
            sys.executable,
            "-m",
            "uvicorn",
            "benchmarks.fastapi_peer:app",
            "--port",
            str(peer_port),
            "--no-access-log",
        ]
        environment = {"MODEL_DIR": str(newest), "PYTHONPATH": str(libraries), "TF_CPP_MIN_LOG_LEVEL": "3"}
        peer_url = f"http://127.0.0.1:{peer_port}"
        with running(peer, f"{peer_url}/docs", environment) as server:
            results["start_s"]["fastapi"] = server["start_s"]
            for rows in ROWS:
                for connections in CONNECTIONS:
                    cell = load(
                        server["process"],
                        f"{peer_url}/predict",
                        folder / f"rest-{rows}",
                        connections,
                        seconds,
                        kind="rest",
                    )
                    say(results, "fastapi", rows, connections, cell)
    return results


# In a process of its own, so that the copying does not hold up the one that measures.
SWAP = """
import shutil, sys, time
from pathlib import Path
time.sleep(4)
newest, served = Path(sys.argv[1]), Path(sys.argv[2])
shutil.copytree(newest, served / ".pushing")
(served / ".pushing").rename(served / "2")
"""


def say(results: Json, kind: str, rows: int, connections: int, cell: Json) -> None:
    """Keeps one cell and shows it as progress."""
    results["cells"][f"{kind}/{rows}/{connections}"] = cell
    print(f"{kind}, {rows} rows, {connections} connections: {json.dumps(cell)}", file=sys.stderr, flush=True)


def targets(results: Json) -> list[tuple[str, str, bool]]:
    """Returns each target with what was measured and whether it is met."""
    cells, steady, swap = results["cells"], results["at_200_rps"], results["at_200_rps_with_swap"]
    ours, peer = cells["rest/1/8"]["rps"], cells["fastapi/1/8"]["rps"]
    batching = cells["batching/1/8"]["rps"]
    outside = 1 - results["runtime_share_1000_rows"]
    added = swap["p99_ms"] - steady["p99_ms"]
    return [
        ("at least 1,500 single-row requests a second", f"{ours:,.0f}", ours >= 1500),
        ("at least 3 times FastAPI's, 8 connections", f"{ours / peer:.1f} times", ours >= 3 * peer),
        ("the same with --enable-batching", f"{batching / peer:.1f} times", batching >= 3 * peer),
        ("p99 below 10 ms at 200 requests a second", f"{steady['p99_ms']:.1f} ms", steady["p99_ms"] < 10),
        ("1,000 rows: less than a third outside TensorFlow", f"{outside:.0%}", outside < 1 / 3),
        (
            "a hot swap loses nothing and adds less than 50 ms to the p99",
            f"{swap['failed']} lost, {added:+.1f} ms",
            swap["failed"] == 0 and added < 50,
        ),
    ]


def _ms(value: float | None) -> str:
    """Returns a latency; "-" where failures were measured among the answers and cannot be told apart any more."""
    return "-" if value is None else f"{value:.2f}"


def table(results: Json) -> str:
    """Returns the results as the docs show them."""
    lines = ["| target | measured | |", "|---|---|---|"]
    lines += [f"| {target} | {value} | {'met' if met else '**missed**'} |" for target, value, met in targets(results)]
    lines += ["", "| rows | connections | | answers/s | failed | p50 ms | p99 ms | server's cores | memory, MB |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    names = {
        "rest": "embedded, REST",
        "grpc": "embedded, gRPC",
        "batching": "embedded, REST, batching",
        "fastapi": "FastAPI",
    }
    for rows in ROWS:
        for connections in CONNECTIONS:
            for kind, label in names.items():
                cell = results["cells"][f"{kind}/{rows}/{connections}"]
                lines.append(
                    f"| {rows:,} | {connections} | {label} | {cell['rps']:,.0f} | {cell['failed']:,} | "
                    f"{_ms(cell['p50_ms'])} | {_ms(cell['p99_ms'])} | {cell['cpu_cores']:.2f} | {cell['rss_mb']:,} |"
                )
    start, environment = results["start_s"], results["environment"]
    lines += ["", f"Start to first answer: embedded {start['embedded']:.1f} s, FastAPI {start['fastapi']:.1f} s. "
              f"{environment['cores']} cores, shared with the load generator (load average before the run: "
              f"{environment['load_average']:g}); Python {environment['python']}, "
              f"TensorFlow {environment['packages']['tensorflow']}, {environment['packages']['fastapi']}."]  # fmt: skip
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the results and the table. Exit status: 0 measured, 2 wrong usage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model-base-path", type=Path, default=REPOSITORY / "runs" / "taxi" / "serving" / "taxi")
    parser.add_argument("--seconds", type=int, default=4, help="of load in each cell (default: 4)")
    parser.add_argument("--table", action="store_true", help="only remake the table from the results")
    args = parser.parse_args(argv)
    if args.table:
        results = json.loads(RESULTS.read_text())
    else:
        if shutil.which("h2load") is None:
            parser.error("h2load is not on the path. Install it: apt-get install nghttp2-client")
        if not args.model_base_path.is_dir():
            parser.error(f"there is no folder {args.model_base_path}. Push a model first: make run")
        measured_on = pages.environment("tensorflow", "grpcio", "orjson", "httptools", "uvloop")
        measured_on["packages"]["fastapi"] = FASTAPI.replace("==", " ")
        results = measure(args.model_base_path, args.seconds) | {"environment": measured_on}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    text = table(results)
    write_table(PAGE, "serving", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
