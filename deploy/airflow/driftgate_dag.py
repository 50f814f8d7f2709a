"""An Airflow DAG around the pipeline's command, for Airflow 2.11 and 3. Copy this one file into the DAGs folder.

    next_span ──▶ gate ──▶ run
        └──────────┴────────┴──▶ report

next_span waits for the oldest span that was not processed, and leaves the worker between two looks. gate decides:
a span that needs nothing skips `run`, a blocked one fails and alerts. run trains and pushes. report comes whatever
happened. One DAG run at a time, one span per DAG run.

Airflow keeps its own environment, because its pins do not fit TFX's: this file imports Airflow and the standard
library only. All it knows of the pipeline is its command, `--json` and the exit statuses (docs/cli.md). What can
be set is in docs/airflow.md.
"""

from __future__ import annotations

import json
import logging
import shlex
import signal
import subprocess
import tempfile
import urllib.request
from collections import deque
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

try:  # Airflow 3
    from airflow.sdk import Param, PokeReturnValue, dag, task
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2.11
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
    from airflow.models.param import Param
    from airflow.sensors.base import PokeReturnValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow import DAG

log = logging.getLogger(__name__)

VARIABLE = "driftgate"
STOP_S = 30
"""How long the command may take to end once it was told to; it loses nothing if it is killed then."""


@dataclass(frozen=True)
class Settings:
    """The Airflow Variable `driftgate`, a JSON object; `{dataset}` in a value stands for the dataset's name.

    Attributes:
      command: how to call the pipeline, in shell words; `docker run ... IMAGE` where it is a container.
      root: the folder of metadata, artifacts and pushed models; the same one in every DAG run.
      data_root: the folder of the spans; empty for the ones that a shipped dataset brings.
      alert_webhook: where alerts are posted as JSON with a `text`, as Slack and Mattermost take them; empty for none.
    """

    command: str = "/opt/driftgate/.venv/bin/python /opt/driftgate/local_runner.py"
    root: str = "/var/lib/driftgate/{dataset}"
    data_root: str = ""
    alert_webhook: str = ""

    @classmethod
    def read(cls, context: Mapping[str, Any], dataset: str) -> Settings:
        """Reads the Variable when a task runs, never when the file is parsed.

        Raises:
          AirflowFailException: the Variable is not an object of the keys above with text values.
        """
        try:
            values = context["var"]["json"].get(VARIABLE, {})
            known = {field.name for field in fields(cls)}
            if not isinstance(values, dict) or values.keys() - known:
                raise ValueError(f"expected a JSON object with keys from {sorted(known)}")
            if not all(isinstance(value, str) for value in values.values()):
                raise ValueError("expected a text as each value")
        except ValueError as error:
            raise AirflowFailException(f"The Variable `{VARIABLE}` cannot be used: {error}.") from error
        name = PurePath(dataset).name
        return cls(**{key: value.replace("{dataset}", name) for key, value in {**vars(cls()), **values}.items()})


def call(context: Mapping[str, Any], dataset: str, name: str, *options: str) -> str:
    """Runs one of the pipeline's commands, its progress in the task's log, and returns what it printed.

    Raises:
      AirflowFailException: trying again cannot help: wrong configuration (2), a blocked span (3), a candidate that was
        not blessed (4).
      AirflowException: anything else, a busy root included; Airflow's retries are safe, the command carries on.
    """
    settings = Settings.read(context, dataset)
    command = [*shlex.split(settings.command), name, "--dataset", dataset, "--root", settings.root, *options]
    if settings.data_root and name != "report":
        command += ["--data-root", settings.data_root]
    log.info("$ %s", shlex.join(command))
    status, out, last = execute(command)
    if status == 0:
        return out
    message = (
        (explain(json.loads(out)) if out.strip() else "") or last or f"ended with status {status} and said nothing"
    )
    raise (AirflowFailException if status in (2, 3, 4) else AirflowException)(message)


def execute(command: list[str]) -> tuple[int, str, str]:
    """Returns the command's exit status, its standard output and its last line on standard error.

    It never outlives its task: SIGTERM, which Airflow sends to end a task, reaches it too.
    """
    last: deque[str] = deque([""], maxlen=1)
    with tempfile.TemporaryFile("w+") as out:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise AirflowFailException(f"{command[0]} cannot be started: {error.strerror}.") from error

        def end(*_: object) -> None:
            raise AirflowException("The task was told to end.")

        before = signal.signal(signal.SIGTERM, end)
        try:
            for line in process.stderr or ():
                log.info("%s", line.rstrip())
                last.append(line.strip() or last[0])
            process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
        out.seek(0)
        return process.returncode, out.read(), last[0]


def explain(value: Mapping[str, Any]) -> str:
    """Returns in a line what `run --json` came to."""
    if "span" not in value:
        return str(value.get("error", ""))
    if value["result"] == "not_blessed":
        why = [value["not_servable"]] if value["not_servable"] else value["evaluation"]["reasons"]
        return f"span {value['span']} was trained on, and not pushed: {'; '.join(why)}"
    if value["result"] == "refused" and (value["decision"] or {}).get("verdict") != "block":
        return f"block span {value['span']}: {value['refusal']}"
    decision = value["decision"] or {"verdict": value["result"], "reasons": []}
    text = f"{decision['verdict']} span {value['span']}: {'; '.join(why['text'] for why in decision['reasons'])}"
    return f"{text}; pushed version {value['pushed_version']}" if value["pushed_version"] else text


def alert(context: Mapping[str, Any], dataset: str) -> None:
    """Says that a task has failed for good, in the log and to the webhook. A team may put its notifier here."""
    instance = context["ti"]
    text = f"{instance.dag_id}, {instance.task_id}: {context.get('exception')}"
    log.error("alert: %s", text)
    settings = Settings.read(context, dataset)
    if not settings.alert_webhook:
        return
    body = {"text": text, "dag_id": instance.dag_id, "task_id": instance.task_id, "run_id": instance.run_id}
    request = urllib.request.Request(
        settings.alert_webhook, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10):
        log.info("alert posted")


def driftgate_dag(
    dataset: str,
    *,
    schedule: str | None = "@hourly",
    poll: timedelta = timedelta(minutes=2),
    patience: timedelta = timedelta(minutes=50),
) -> DAG:
    """Returns the DAG `driftgate_NAME` of one dataset.

    Args:
      dataset: what `--dataset` takes: a shipped dataset's name, or a folder with a dataset.toml.
      schedule: how often a DAG run may begin.
      poll: how long the worker is free between two looks for a span.
      patience: after this long without a span the DAG run ends as skipped, and lets others begin.
    """

    @dag(
        dag_id=f"driftgate_{PurePath(dataset).name}",
        description="Each new span: block, skip or rerun; then train, evaluate, push.",
        schedule=schedule,
        start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - Airflow may run on an older Python
        catchup=False,
        max_active_runs=1,
        default_args={
            "retries": 3,
            "retry_delay": timedelta(minutes=5),
            "max_active_tis_per_dag": 1,  # Airflow 3 does not count a backfill's runs in max_active_runs.
            "on_failure_callback": lambda context: alert(context, dataset),
        },
        params={
            "span": Param(None, type=["null", "integer"], minimum=0, description="this span, instead of the next one"),
            "force": Param(False, type="boolean", description="rerun even where nothing asks for it"),
        },
        doc_md=__doc__,
        tags=["driftgate"],
    )
    def pipeline() -> None:
        @task.sensor(mode="reschedule", poke_interval=poll, timeout=patience, soft_fail=True)
        def next_span(**context: Any) -> PokeReturnValue:
            wanted = context["params"]["span"]
            try:
                found = json.loads(call(context, dataset, "spans", "--json"))
            except AirflowFailException as error:
                raise AirflowException(str(error)) from error  # A sensor with soft_fail would skip, not fail.
            if wanted is None:
                span = found["next"]["span"] if found["next"] else None
            else:
                span = wanted if any(row["span"] == wanted and row["files"] for row in found["spans"]) else None
            run_type = context["dag_run"].run_type
            if span is None and getattr(run_type, "value", run_type) == "backfill":
                raise AirflowSkipException("No span is left; a backfill does not wait for new ones.")
            return PokeReturnValue(is_done=span is not None, xcom_value=span)

        @task.short_circuit()
        def gate(span: int, **context: Any) -> str | None:
            outcome = json.loads(call(context, dataset, "run", "--json", "--decide", *which(span, context)))
            log.info("%s", explain(outcome))
            return "rerun" if outcome["result"] == "decided" else None

        @task
        def run(span: int, **context: Any) -> dict[str, Any]:
            outcome = json.loads(call(context, dataset, "run", "--json", *which(span, context)))
            log.info("%s", explain(outcome))
            return {key: outcome[key] for key in ("result", "span", "pushed_version", "report", "log")}

        @task
        def report(span: int | None, **context: Any) -> None:
            if span is None:
                raise AirflowSkipException("There was no span.")
            log.info("report: %s", call(context, dataset, "report", "--span", str(span)).strip())

        def which(span: int, context: Mapping[str, Any]) -> list[str]:
            return ["--span", str(span), *(["--force"] if context["params"]["force"] else [])]

        span = next_span()
        decided, ran, reported = gate(span), run(span), report(span)
        # A teardown runs after a skip and after a failure too, and does not hide the failure from the DAG run's state.
        decided >> ran >> reported.as_teardown()
        decided >> reported

    return pipeline()


# One line per dataset. In another file of the DAGs folder: `from driftgate_dag import driftgate_dag`.
taxi = driftgate_dag("taxi")
