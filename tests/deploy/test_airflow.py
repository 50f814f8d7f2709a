"""The DAG on real Airflow 3: imported, one span blocked, and the contract between the DAG and the command.

Both versions, a rerun, a skip and a backfill take minutes: `make prove-airflow`.
"""

import json
import re

import pytest

from benchmarks import airflow

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def alerts():
    with airflow.webhook() as (address, alerts):
        yield address, alerts


@pytest.fixture(scope="module")
def place(tmp_path_factory, alerts):
    return airflow.Workplace(tmp_path_factory.mktemp("airflow"), alerts[0])


@pytest.fixture(scope="module")
def airflow3(tmp_path_factory, place):
    return airflow.Airflow("3", tmp_path_factory.mktemp("home"), place.settings)


def test_the_dag_file_is_imported_without_an_error(airflow3):
    assert airflow.imported(airflow3) == {
        "errors": {},
        "dags": {
            "driftgate_taxi": {
                "max_active_runs": 1,
                "catchup": False,
                "sensor_mode": "reschedule",
                "retries": 3,
                "tasks": {
                    "next_span": ["gate", "report", "run"],
                    "gate": ["report", "run"],
                    "run": ["report"],
                    "report": [],
                },
            }
        },
    }


def test_a_span_that_cannot_be_read_fails_the_dag_run_and_alerts(airflow3, place, alerts):
    place.add(3, 3, broken=True)

    run = airflow3.dags_test("2024-02-01")

    assert (run["span"], run["state"]) == (3, "failed")
    assert run["tasks"] == {"next_span": "success", "gate": "failed", "run": "upstream_failed", "report": "success"}
    (alert,) = alerts[1]
    assert alert["text"].startswith("driftgate_taxi, gate: block span 3: ")
    assert "span-3/data.csv, line 101, column 'trip_start_hour': expected 17 fields" in alert["text"]
    assert (alert["dag_id"], alert["task_id"]) == ("driftgate_taxi", "gate")


CONTRACT = """
import json, os, signal, sys, threading
sys.path.insert(0, {dags!r})
import driftgate_dag as d

class Variables:
    def __init__(self, value): self.value = value
    def get(self, key, default): return self.value if key == "driftgate" else default

def outcome(variable):
    try:
        return ["value", json.loads(d.call({{"var": {{"json": Variables(variable)}}}}, "data/taxi", "run"))]
    except Exception as error:
        return [type(error).__name__, str(error)]

results = []
for status, printed in json.loads({cases!r}):
    script = f"import sys; print('progress', file=sys.stderr); print({{json.dumps(printed)!r}}); sys.exit({{status}})"
    results.append(outcome({{"command": d.shlex.join([sys.executable, "-c", script])}}))
results.append(outcome({{"command": "/nowhere/python x.py"}}))
results.append(outcome({{"commnad": "x"}}))
results.append(outcome({{"command": d.shlex.join([sys.executable, "-c", "import sys; sys.exit('error: bad key')"])}}))
echo = "import json, sys; print(json.dumps(sys.argv[1:]))"
places = {{"root": "/r/{{dataset}}", "data_root": "/d"}}
results.append(outcome({{"command": d.shlex.join([sys.executable, "-c", echo]), **places}}))

# SIGTERM, sent to the task once its command runs, ends the command too.
slow = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"
pids = []
def seen(_format, text):
    if text.isdecimal():
        pids.append(int(text))
        os.kill(os.getpid(), signal.SIGTERM)
d.log.info = seen
results.append(outcome({{"command": d.shlex.join([sys.executable, "-c", slow])}}))
try:
    os.kill(pids[0], 0)
    results.append("alive")
except ProcessLookupError:
    results.append("gone")
print("RESULT " + json.dumps(results))
"""


def test_every_exit_status_means_what_the_pipeline_says(airflow3):
    def printed(**values):
        empty = ("result", "span", "decision", "evaluation", "not_servable", "refusal", "pushed_version")
        return {**dict.fromkeys(empty), "span": 4, **values}

    block = {"verdict": "block", "reasons": [{"text": "no rows"}, {"text": "no fare"}]}
    rerun = {"verdict": "rerun", "reasons": [{"text": "drift"}]}
    cases = [
        (0, printed(result="skipped")),
        (3, printed(result="refused", decision=block, refusal="refused")),
        (3, printed(result="refused", decision=rerun, refusal="line 2 of span 3")),
        (4, printed(result="not_blessed", decision=rerun, evaluation={"reasons": ["AUC 0.6"]})),
        (4, printed(result="not_blessed", decision=rerun, not_servable="p99 above 10 ms")),
        (1, {"result": "failed", "error": "the disk is full"}),
        (137, {}),
    ]

    out = airflow3.python(CONTRACT.format(dags=str(airflow.DAGS), cases=json.dumps(cases)))

    (line,) = [line for line in out.splitlines() if line.startswith("RESULT ")]
    assert json.loads(line.removeprefix("RESULT ")) == [
        ["value", printed(result="skipped")],
        ["AirflowFailException", "block span 4: no rows; no fare"],
        ["AirflowFailException", "block span 4: line 2 of span 3"],
        ["AirflowFailException", "span 4 was trained on, and not pushed: AUC 0.6"],
        ["AirflowFailException", "span 4 was trained on, and not pushed: p99 above 10 ms"],
        ["AirflowException", "the disk is full"],
        ["AirflowException", "progress"],
        ["AirflowFailException", "/nowhere/python cannot be started: No such file or directory."],
        [
            "AirflowFailException",
            "The Variable `driftgate` cannot be used: expected a JSON object with keys from "
            "['alert_webhook', 'command', 'data_root', 'root'].",
        ],
        ["AirflowException", "error: bad key"],
        ["value", ["run", "--dataset", "data/taxi", "--root", "/r/taxi", "--data-root", "/d"]],
        ["AirflowException", "The task was told to end."],
        "gone",
    ]


def test_the_page_names_every_setting():
    page = (airflow.REPOSITORY / "docs" / "airflow.md").read_text(encoding="utf-8")
    source = (airflow.DAGS / "driftgate_dag.py").read_text(encoding="utf-8")
    settings = re.findall(r"^    (\w+): str = ", source, flags=re.MULTILINE)

    assert settings == ["command", "root", "data_root", "alert_webhook"]
    assert all(f"| `{name}` |" in page for name in settings)
