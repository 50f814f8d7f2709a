"""How fast does the embedded server answer, against its targets and against FastAPI with a call of the model?

    python -m benchmarks.serving --root runs/taxi

One run, one machine, the load generator (h2load, Debian package nghttp2-client) beside the server: 1, 32 and 1,000
rows; 1, 8 and 64 connections, each with one request under way; REST, gRPC, REST with batching (TensorFlow Serving's
defaults), and the peer's REST with one and two workers: with the graph that people export, which passes each column
through TFT's graph (benchmarks/plain_model.py), and with the pushed version's own. Each cell is asked in several
rounds, one server after the other. Then 200 requests a second, and the same with a hot swap in the middle. Rows are
those of the version's warm-up requests.

What a request costs is the processor time of the server's processes per answer, in the round in which that was least:
other work on the machine makes it dearer by what it does to caches. Results: benchmarks/results/serving.json and the
tables in docs/serving.md.
"""

import argparse
import contextlib
import functools
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks import pages
from benchmarks.http_load import Json, free_ports, load, running, runtime_share, settle, used
from benchmarks.pages import REPOSITORY, write_table

RESULTS = pages.RESULTS / "serving.json"
PAGE = pages.DOCS / "serving.md"
ROWS = (1, 32, 1000)
CONNECTIONS = (1, 8, 64)
ROUNDS = 3
FASTAPI = "fastapi==0.142.2"
UVICORN = "uvicorn==0.54.0"


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


def profile(version: Path, folder: Path) -> Json:
    """Returns the processor time of each part of a REST request inside the server, in µs, the least of several."""
    from serving.servables.loaded_model import LoadedModel
    from serving.values import json_writer

    model = LoadedModel(version)
    signature = model.signature("serving_default")
    parts: Json = {}
    for rows in ROWS:
        body = bytearray((folder / f"rest-{rows}").read_bytes())
        tensors = signature.rows.decode(body)
        assert tensors is not None, "the bodies are of plain rows"
        outputs = signature(tensors)
        parts[str(rows)] = {
            "read": _least_us(functools.partial(signature.rows.decode, body)),
            "run": _least_us(functools.partial(signature, tensors)),
            "write": _least_us(functools.partial(json_writer.rows, outputs)),
        }
    model.close()
    return parts


def _least_us(work: Callable[[], object]) -> float:
    least = math.inf
    for _ in range(20):
        started = time.process_time()
        for _ in range(10):
            work()
        least = min(least, (time.process_time() - started) / 10)
    return round(least * 1e6, 1)


class System(NamedTuple):
    """A server that is compared: its process, where it answers, and what its clients speak."""

    process: psutil.Process
    url: str
    protocol: str = "rest"


def measure(root: Path, seconds: int) -> Json:
    """Runs everything once; servers of one process are up together, and each cell asks one after the other."""
    name = "taxi"
    results: Json = {"cells": {}, "start_s": {}}
    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        folder = Path(scratch)
        versions = [entry for entry in (root / "serving" / name).iterdir() if entry.name.isdecimal()]
        newest = max(versions, key=lambda entry: int(entry.name))
        served, plain = folder / name, folder / "plain"
        served.mkdir()
        shutil.copytree(newest, served / "1")
        where = ["--root", str(root), "--version", str(newest), "--output", str(plain)]
        subprocess.run([sys.executable, "-m", "benchmarks.plain_model", *where], cwd=REPOSITORY, check=True)
        write_bodies(newest, name, folder)
        results["profile"] = profile(newest, folder)
        peers = {"plain": plain, "own": newest}
        with contextlib.ExitStack() as servers:
            systems = _start_ours(results, servers, served)
            for graph, model in peers.items():
                systems[f"fastapi-{graph}-1"] = _start_peer(results, servers, folder, model, workers=1)
            _measure_cells(results, systems, folder, seconds)
            _measure_steadiness(results, systems["rest"], folder, newest, served, seconds)
        for graph, model in peers.items():
            with contextlib.ExitStack() as servers:
                peer = _start_peer(results, servers, folder, model, workers=2)
                _measure_cells(results, {f"fastapi-{graph}-2": peer}, folder, seconds)
    return results


def _measure_cells(results: Json, systems: Mapping[str, System], folder: Path, seconds: int) -> None:
    """Keeps of each cell the round in which an answer cost least: other work on the machine makes all others dearer."""
    for rows in ROWS:
        for connections in CONNECTIONS:
            for _ in range(ROUNDS):
                for kind, (process, url, protocol) in systems.items():
                    body = folder / f"{protocol}-{rows}"
                    cell = load(process, url, body, connections, seconds, kind=protocol)
                    say(results, kind, rows, connections, cell)


def _start_ours(results: Json, servers: contextlib.ExitStack, served: Path) -> dict[str, System]:
    name = served.name
    systems = {}
    for kind, options in (("rest", []), ("batching", ["--enable-batching"])):
        port, grpc_port = free_ports(2)
        url = f"http://127.0.0.1:{port}/v1/models/{name}"
        command = [sys.executable, "-m", "serving", "--server", "embedded", "--port", str(port)]
        command += ["--grpc-port", str(grpc_port), "--model-name", name, "--model-base-path", str(served), *options]
        server = servers.enter_context(running(command, url))
        systems[kind] = System(server["process"], f"{url}:predict")
        if not options:
            results["start_s"]["embedded"] = server["start_s"]
            results["idle_mb"] = round(used(server["process"])[1] / 2**20)
            grpc = f"http://127.0.0.1:{grpc_port}/tensorflow.serving.PredictionService/Predict"
            systems["grpc"] = System(server["process"], grpc, "grpc")
    return systems


def _start_peer(results: Json, servers: contextlib.ExitStack, folder: Path, model: Path, *, workers: int) -> System:
    libraries = folder / "fastapi"
    install = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--target", str(libraries)]
    if not libraries.exists():
        subprocess.run([*install, FASTAPI, UVICORN, "uvloop", "httptools"], check=True)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "benchmarks.fastapi_peer:app", "--port", str(port)]
    command += ["--no-access-log", "--workers", str(workers)]
    environment = {"MODEL_DIR": str(model), "PYTHONPATH": str(libraries), "TF_CPP_MIN_LOG_LEVEL": "3"}
    server = servers.enter_context(running(command, f"{url}/docs", environment))
    settle(server["process"])
    results["start_s"].setdefault("fastapi", server["start_s"])
    return System(server["process"], f"{url}/predict")


def _measure_steadiness(results: Json, ours: System, folder: Path, newest: Path, served: Path, seconds: int) -> None:
    process, predict, _ = ours
    url = predict.removesuffix(":predict")
    port = urllib.parse.urlsplit(url).port
    assert port is not None, "the server was started on one"
    one, thousand = folder / "rest-1", folder / "rest-1000"
    results["runtime_share_1000_rows"] = round(
        runtime_share(port, served.name, lambda: load(process, predict, thousand, 1, seconds, kind="rest")), 3
    )
    results["at_200_rps"] = load(process, predict, one, 8, 10, kind="rest", rate=200)
    swap = subprocess.Popen([sys.executable, "-c", SWAP, str(newest), str(served)])
    results["at_200_rps_with_swap"] = load(process, predict, one, 8, 10, kind="rest", rate=200)
    swap.wait()
    states: dict[str, str] = {}
    while states.get("2") != "AVAILABLE":
        answer = json.load(urllib.request.urlopen(url))["model_version_status"]
        states = {entry["version"]: entry["state"] for entry in answer}
        time.sleep(0.1)


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
    """Keeps the better of one cell's rounds, adds up what failed, and shows it as progress."""
    key = f"{kind}/{rows}/{connections}"
    print(f"{kind}, {rows} rows, {connections} connections: {json.dumps(cell)}", file=sys.stderr, flush=True)
    before = results["cells"].get(key)
    failed = cell["failed"] + (before["failed"] if before else 0)
    dearer = before and (cell["cpu_us"] is None or (before["cpu_us"] or math.inf) <= cell["cpu_us"])
    dearest = max([each["dearest_us"] for each in (before,) if each] + [cell["cpu_us"] or 0.0])
    results["cells"][key] = {**(before if dearer else cell), "failed": failed, "dearest_us": dearest}


def targets(results: Json) -> list[tuple[str, str, bool]]:
    """Returns each target with what was measured and whether it is met."""
    cells, steady, swap = results["cells"], results["at_200_rps"], results["at_200_rps_with_swap"]

    def cheaper(graph: str, rows: int, connections: int) -> float:
        """How many times a request's processor time the peer needs, with one worker."""
        mine = cells[f"rest/{rows}/{connections}"]["cpu_us"]
        return float(cells[f"fastapi-{graph}-1/{rows}/{connections}"]["cpu_us"] / mine)

    one, one_own = cheaper("plain", 1, 8), cheaper("own", 1, 8)
    thousand = min(cheaper("plain", 1000, connections) for connections in (1, 8))
    outside = 1 - results["runtime_share_1000_rows"]
    added = swap["p99_ms"] - steady["p99_ms"]
    return [
        ("a row at 4 times FastAPI's rate for the same processor time, with its usual graph", f"{one:.1f}", one >= 4),
        ("the same at 2.5 times, with our graph", f"{one_own:.1f}", one_own >= 2.5),
        ("1,000 rows at 1.5 times FastAPI's, on 1 and 8 connections", f"{thousand:.1f}", thousand >= 1.5),
        ("1,000 rows: less than a third outside TensorFlow", f"{outside:.0%}", outside < 1 / 3),
        ("p99 below 5 ms at 200 requests a second", f"{steady['p99_ms']:.1f} ms", steady["p99_ms"] < 5),
        ("an idle server below 350 MB", f"{results['idle_mb']} MB", results["idle_mb"] < 350),
        (
            "a hot swap loses nothing and adds less than 50 ms to the p99",
            f"{swap['failed']} lost, {added:+.1f} ms",
            swap["failed"] == 0 and added < 50,
        ),
    ]


NAMES = {
    "rest": "embedded, REST",
    "grpc": "embedded, gRPC",
    "batching": "embedded, REST, batching",
    "fastapi-plain-1": "FastAPI, usual graph",
    "fastapi-plain-2": "FastAPI, usual graph, 2 workers",
    "fastapi-own-1": "FastAPI, our graph",
    "fastapi-own-2": "FastAPI, our graph, 2 workers",
}


def _figure(value: float | None, digits: int) -> str:
    """Returns a figure; "-" where nothing was answered in time."""
    return "-" if value is None else f"{value:,.{digits}f}"


def table(results: Json) -> str:
    """Returns the results as the docs show them."""
    lines = ["| target | measured | |", "|---|---|---|"]
    lines += [f"| {target} | {value} | {'met' if met else '**missed**'} |" for target, value, met in targets(results)]
    columns = ("rows", "connections", "", "answers/s", "failed", "CPU µs an answer (dearest round)", "p50 ms", "p99 ms")
    lines += ["", f"| {' | '.join(columns)} | cores | memory, MB |", "|---|---|---|---|---|---|---|---|---|---|"]
    for rows in ROWS:
        for connections in CONNECTIONS:
            for kind, label in NAMES.items():
                cell = results["cells"][f"{kind}/{rows}/{connections}"]
                cost = f"{_figure(cell['cpu_us'], 0)} ({_figure(cell['dearest_us'], 0)})"
                lines.append(
                    f"| {rows:,} | {connections} | {label} | {cell['rps']:,.0f} | {cell['failed']:,} | {cost} | "
                    f"{_figure(cell['p50_ms'], 2)} | {_figure(cell['p99_ms'], 2)} | {cell['cpu_cores']:.2f} | "
                    f"{cell['rss_mb']:,} |"
                )
    lines += ["", "| rows | reading, µs | running, µs | writing, µs |", "|---|---|---|---|"]
    for rows, parts in results.get("profile", {}).items():
        lines.append(f"| {int(rows):,} | {parts['read']:,.0f} | {parts['run']:,.0f} | {parts['write']:,.0f} |")
    start, environment = results["start_s"], results["environment"]
    lines += ["", f"Start to first answer: embedded {start['embedded']:.1f} s, FastAPI {start['fastapi']:.1f} s. "
              f"{environment['cores']} cores, shared with the load generator (load average before the run: "
              f"{environment['load_average']:g}); Python {environment['python']}, "
              f"TensorFlow {environment['packages']['tensorflow']}, {environment['packages']['fastapi']}."]  # fmt: skip
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the results and the table. Exit status: 0 measured, 2 wrong usage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=REPOSITORY / "runs" / "taxi", help="of a run that pushed taxi")
    parser.add_argument("--seconds", type=int, default=1, help="of load in each round of a cell (default: 1)")
    parser.add_argument("--table", action="store_true", help="only remake the table from the results")
    args = parser.parse_args(argv)
    if args.table:
        results = json.loads(RESULTS.read_text())
    else:
        if shutil.which("h2load") is None:
            parser.error("h2load is not on the path. Install it: apt-get install nghttp2-client")
        if not (args.root / "serving" / "taxi").is_dir():
            parser.error(f"there is no folder {args.root / 'serving' / 'taxi'}. Push a model first: make run")
        measured_on = pages.environment("tensorflow", "grpcio", "orjson", "msgspec", "httptools", "uvloop")
        measured_on["packages"]["fastapi"] = FASTAPI.replace("==", " ")
        results = measure(args.root.absolute(), args.seconds) | {"environment": measured_on}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    text = table(results)
    write_table(PAGE, "serving", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
