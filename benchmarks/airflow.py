"""Does the DAG do on real Airflow, 2.11 and 3, what docs/airflow.md says?

    python -m benchmarks.airflow [2.11] [3]

For each version, in an environment of its own below .venv: the DAG file is imported; `airflow dags test` takes a first
span that is trained on and pushed, a second with the same content that is skipped, and a third that cannot be read and
is blocked with an alert. Then Airflow's own backfill takes three more spans, oldest first, in four DAG runs of which
the last finds nothing. Spans, models and Airflow's SQLite database are made in a temporary folder. What every task did
comes from that database. Results: benchmarks/results/airflow.json and the table in docs/airflow.md.
"""

import contextlib
import hashlib
import http.server
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.pages import REPOSITORY, write_table

RESULTS = pages.RESULTS / "airflow.json"
PAGE = pages.DOCS / "airflow.md"
DAGS = REPOSITORY / "deploy" / "airflow"
DAG_ID = "driftgate_taxi"
VERSIONS = ("2.11", "3")
TASKS = ("next_span", "gate", "run", "report")
LIMIT_S = 1_800


def environment(version: str) -> Path:
    """Returns the folder of an environment with this Airflow, made from its lock where it does not exist yet.

    It lies below .venv, so it goes when that is made anew.
    """
    from pipeline.environment import bootstrap

    lock = DAGS / f"airflow-{version}.lock"
    folder = bootstrap.VENV / f"airflow-{version}"
    stamp = folder / "complete"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    uv = str(bootstrap.VENV / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", bootstrap.base_python(), folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, "-r", lock], check=True)
    stamp.write_text(wanted)
    return folder


class Airflow:
    """One Airflow with its home, its SQLite database and the Variable that the DAG reads."""

    def __init__(self, version: str, home: Path, settings: dict[str, str]) -> None:
        self.version = version
        self.home = home
        self.bin = environment(version) / "bin"
        self.env = {
            # Nothing of this process's own: Airflow keeps to its environment.
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))},
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW_VAR_DRIFTGATE": json.dumps(settings),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        home.mkdir(parents=True, exist_ok=True)
        self.command("db", "migrate")

    def command(self, *arguments: str, check: bool = True) -> str:
        """Runs `airflow ARGUMENTS`; returns all that it printed.

        Raises:
          RuntimeError: it failed and `check` is true; carries the last lines.
        """
        return self._run([str(self.bin / "airflow"), *arguments], check=check)

    def python(self, script: str) -> str:
        """Runs a Python script in Airflow's environment; returns all that it printed."""
        return self._run([str(self.bin / "python"), "-c", script], check=True)

    def _run(self, command: list[str], *, check: bool) -> str:
        done = subprocess.run(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[:4])}: status {done.returncode}\n{done.stdout[-3000:]}")
        return done.stdout

    def dags_test(self, day: str) -> dict[str, Any]:
        """Runs `airflow dags test` for a logical date; returns the new DAG run."""
        known = len(self.dag_runs())
        out = self.command("dags", "test", DAG_ID, day, check=False)
        runs = self.dag_runs()
        if len(runs) != known + 1:
            raise RuntimeError(f"`airflow dags test` left no DAG run:\n{out[-3000:]}")
        return runs[-1]

    def dag_runs(self) -> list[dict[str, Any]]:
        """Returns every DAG run with its state, its tasks' states and its span, in order of their gates' start."""
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as db:
            runs = db.execute("select run_id, run_type, state from dag_run order by start_date, id").fetchall()
            tasks = db.execute("select run_id, task_id, state, start_date from task_instance").fetchall()
            spans = dict(db.execute("select run_id, value from xcom where task_id = 'next_span'").fetchall())
        found = [
            {
                "run_type": run_type,
                "state": state,
                # SQLite gives a number where the column is JSON (3), and its text as bytes where it is binary (2.11).
                "span": int(spans[run_id]) if run_id in spans else None,
                "tasks": {task: state for owner, task, state, _ in tasks if owner == run_id},
                "started": min((start for owner, _, _, start in tasks if owner == run_id and start), default=""),
            }
            for run_id, run_type, state in runs
        ]
        return sorted(found, key=lambda run: str(run["started"]))


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yields the address of a server on loopback, and the alerts it was sent."""
    alerts: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alerts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/alert", alerts
        server.shutdown()


class Workplace:
    """The spans and the root of a proof, and the settings that lead the DAG there."""

    def __init__(self, folder: Path, alert_webhook: str) -> None:
        from data.taxi import source

        self.shipped = folder / "shipped"
        source.write_spans(self.shipped)
        self.data = folder / "data"
        self.data.mkdir()
        self.settings = {
            "command": f"{sys.executable} {REPOSITORY / 'local_runner.py'}",
            "root": str(folder / "roots" / "{dataset}"),
            "data_root": str(self.data),
            "alert_webhook": alert_webhook,
        }

    def add(self, span: int, *contents: int, broken: bool = False) -> None:
        """Puts the rows of the shipped spans `contents` there as `span`, one row cut short where it is to be broken."""
        texts = [(self.shipped / f"span-{content}" / "data.csv").read_text() for content in contents]
        text = "".join([texts[0], *(rest.partition("\n")[2] for rest in texts[1:])])
        if broken:
            lines = text.splitlines(keepends=True)
            text = "".join([*lines[:100], "1,2,3\n", *lines[100:]])
        folder = self.data / f"span-{span}"
        folder.mkdir()
        (folder / "data.csv").write_text(text)


def imported(airflow: Airflow) -> dict[str, Any]:
    """Returns what Airflow's DagBag makes of the DAG folder."""
    script = (
        "import json, sys\n"
        "try:\n    from airflow.dag_processing.dagbag import DagBag\n"
        "except ImportError:\n    from airflow.models.dagbag import DagBag\n"
        f"bag = DagBag({str(DAGS)!r})\n"
        "dags = {name: {'max_active_runs': dag.max_active_runs, 'catchup': dag.catchup,\n"
        "    'tasks': {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},\n"
        "    'sensor_mode': dag.get_task('next_span').mode, 'retries': dag.get_task('run').retries}\n"
        "    for name, dag in bag.dags.items()}\n"
        "print('RESULT ' + json.dumps({'errors': bag.import_errors, 'dags': dags}))\n"
    )
    (line,) = [line for line in airflow.python(script).splitlines() if line.startswith("RESULT ")]
    value: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return value


def backfill(airflow: Airflow, runs: int) -> None:
    """Has Airflow's own backfill make `runs` hourly DAG runs, and waits for their end."""
    last = f"2024-03-01T{runs - 1:02}:00:00"
    dates = ("2024-03-01T00:00:00", last)
    if airflow.version == "2.11":
        command = ("dags", "backfill", DAG_ID, "--continue-on-failures", "-s", dates[0], "-e", dates[1])
        airflow.command(*command, check=False)
        return
    with scheduler(airflow):
        airflow.command("dags", "unpause", DAG_ID)
        airflow.command(
            *("backfill", "create", "--dag-id", DAG_ID, "--from-date", dates[0], "--to-date", dates[1]),
            *("--max-active-runs", "1"),
        )
        wait(
            lambda: (
                sum(
                    run["run_type"] == "backfill" and run["state"] in ("success", "failed")
                    for run in airflow.dag_runs()
                )
                == runs
            )
        )


@contextlib.contextmanager
def scheduler(airflow: Airflow) -> Iterator[None]:
    """Runs what Airflow 3 needs to work through DAG runs: API server, DAG processor and scheduler, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    airflow.env |= {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": hashlib.sha256(os.urandom(32)).hexdigest(),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        # No run of the DAG's own schedule, which would take spans beside the backfill.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    with contextlib.ExitStack() as stack:
        for name in ("api-server", "dag-processor", "scheduler"):
            log = stack.enter_context((airflow.home / f"{name}.log").open("w"))
            command = [str(airflow.bin / "airflow"), name]
            process = subprocess.Popen(command, env=airflow.env, stdout=log, stderr=log, start_new_session=True)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        # Built at the first request, which takes longer than a task waits for it where the machine is busy.
        wait(lambda: answers(f"http://127.0.0.1:{port}/execution/health"))
        wait(lambda: DAG_ID in airflow.command("dags", "list", "--output", "json", check=False))
        yield


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(url, timeout=120):
            return True
    except OSError:
        return False


def wait(condition: Any) -> None:
    """Waits until `condition()` is true.

    Raises:
      TimeoutError: it was not within LIMIT_S.
    """
    end = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("Airflow did not come to an end")
        time.sleep(2)


def prove(version: str, folder: Path) -> dict[str, Any]:
    """Plays the whole story on one version of Airflow."""
    with webhook() as (address, alerts):
        place = Workplace(folder, address)
        airflow = Airflow(version, folder / "home", place.settings)
        found = imported(airflow)
        print(f"Airflow {version}: imported {list(found['dags'])}", file=sys.stderr)
        place.add(5, 2, 3, 4, 5)
        place.add(6, 2, 3, 4, 5)
        place.add(7, 7, broken=True)
        for day in ("2024-02-01", "2024-02-02", "2024-02-03"):
            print(f"Airflow {version}: {airflow.dags_test(day)}", file=sys.stderr)
        place.add(8, 6)
        place.add(9, 6)
        place.add(10, 7, broken=True)
        backfill(airflow, runs=4)
        runs = [run for run in airflow.dag_runs() if run["run_type"] in ("manual", "backfill")]
        for run in runs[3:]:
            print(f"Airflow {version}: {run}", file=sys.stderr)
        installed = airflow.python("import airflow; print(airflow.__version__)").split()[-1]
        serving = folder / "roots" / "taxi" / "serving" / "taxi"
        return {
            "airflow": installed,
            "python": platform.python_version(),
            "imported": found,
            "runs": [{key: value for key, value in run.items() if key != "started"} for run in runs],
            "alerts": [alert["text"].replace(str(folder), "") for alert in alerts],
            "pushed_versions": len(list(serving.iterdir())),
        }


def check(result: dict[str, Any]) -> None:
    """Raises AssertionError unless the story went as docs/airflow.md tells it."""
    assert result["imported"]["errors"] == {}
    told = [
        ("success", ["success", "success", "success", "success"], 5),
        ("success", ["success", "success", "skipped", "success"], 6),
        ("failed", ["success", "failed", "upstream_failed", "success"], 7),
        ("success", ["success", "success", "success", "success"], 8),
        ("success", ["success", "success", "skipped", "success"], 9),
        ("failed", ["success", "failed", "upstream_failed", "success"], 10),
        ("success", ["skipped", "skipped", "skipped", "skipped"], None),
    ]
    seen = [(run["state"], [run["tasks"][task] for task in TASKS], run["span"]) for run in result["runs"]]
    assert seen == told, seen
    assert [run["run_type"] for run in result["runs"]] == ["manual"] * 3 + ["backfill"] * 4
    assert [alert.split(":")[:2] for alert in result["alerts"]] == [
        [f"{DAG_ID}, gate", " block span 7"],
        [f"{DAG_ID}, gate", " block span 10"],
    ], result["alerts"]
    assert result["pushed_versions"] == 2


def table(results: dict[str, Any]) -> str:
    """Returns the docs' table: one row per DAG run and version."""
    lines = ["| Airflow | DAG run | span | " + " | ".join(TASKS) + " | DAG run's state |", "|---" * 8 + "|"]
    for result in results.values():
        for run in result["runs"]:
            kind = "`dags test`" if run["run_type"] == "manual" else "backfill"
            states = " | ".join(run["tasks"][task] for task in TASKS)
            lines.append(f"| {result['airflow']} | {kind} | {run['span'] or '-'} | {states} | {run['state']} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 everything went as told."""
    versions = list(sys.argv[1:] if argv is None else argv) or list(VERSIONS)
    results = {}
    for version in versions:
        folder = Path(tempfile.mkdtemp(prefix="airflow-"))
        result = prove(version, folder)
        check(result)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[version] = result
        RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
        shutil.rmtree(folder)
    write_table(PAGE, "airflow", table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
