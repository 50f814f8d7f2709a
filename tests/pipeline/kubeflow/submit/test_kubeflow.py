"""Submission to Kubeflow, as its own client sends it. Source: Kubeflow Pipelines API v2beta1."""

import json
import socket

import pytest

import kubeflow_runner
from pipeline.kubeflow.submit import kubeflow

API = "/apis/v2beta1"
EXPERIMENT = {"experiment_id": "e-1", "display_name": "taxi"}


@pytest.fixture
def cluster(backend):
    backend.on("GET", f"{API}/healthz", (200, {"multi_user": False}))
    backend.on("GET", f"{API}/experiments", (200, {}))
    backend.on("POST", f"{API}/experiments", (200, EXPERIMENT))
    backend.on("POST", f"{API}/runs", (200, {"run_id": "r-1", "display_name": "taxi"}))
    return backend


def submit(backend, file, *more):
    argv = ["submit", "--to", "kubeflow", "--pipeline", str(file), "--host", backend.url, "--json", "--poll", "0.01"]
    return kubeflow_runner.main([*argv, *more])


def run(state, **tasks):
    details = [{"display_name": name, "state": value} for name, value in tasks.items()]
    return {"run_id": "r-1", "state": state, "run_details": {"task_details": details}}


def test_the_whole_file_is_sent_with_the_runs_parameters(cluster, kubeflow_file, kubeflow_package, tmp_path, capsys):
    (tmp_path / "token").write_text("secret\n")

    status = submit(cluster, kubeflow_file, "--param", "span=7", "--token-file", str(tmp_path / "token"))

    assert status == 0
    sent = cluster.sent("POST", f"{API}/runs")
    assert sent["pipeline_spec"] == kubeflow_package.spec
    assert sent["runtime_config"] == {"parameters": {"span": 7}, "pipeline_root": "gs://bucket/taxi"}
    assert sent["experiment_id"] == "e-1"
    assert cluster.sent("POST", f"{API}/experiments")["display_name"] == "taxi"
    assert {request[4].get("authorization") for request in cluster.requests} == {"Bearer secret"}
    result = json.loads(capsys.readouterr().out)
    assert (result["run"], result["page"]) == ("r-1", f"{cluster.url}/#/runs/details/r-1")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (run("SUCCEEDED", ExampleGen="SUCCEEDED", Trainer="SKIPPED"), 0),
        (run("FAILED", RefuseSpan="FAILED", root="FAILED"), 3),
        (run("FAILED", Trainer="FAILED", root="FAILED"), 1),
        (run("CANCELED"), 1),
    ],
)
def test_waiting_ends_with_the_runs_outcome(cluster, kubeflow_file, capsys, end, status):
    states = [(200, run("RUNNING", ExampleGen="RUNNING")), (502, {"error": "bad gateway"}), (200, end)]
    cluster.on("GET", f"{API}/runs/r-1", *states)

    assert submit(cluster, kubeflow_file, "--wait") == status

    out, err = capsys.readouterr()
    assert json.loads(out)["exit_status"] == status
    assert "ExampleGen         RUNNING" in err


def test_a_schedule_runs_one_at_a_time(cluster, kubeflow_file, capsys):
    cluster.on("POST", f"{API}/recurringruns", (200, {"recurring_run_id": "rr-1"}))

    assert submit(cluster, kubeflow_file, "--schedule", "0 6 * * *") == 0

    sent = cluster.sent("POST", f"{API}/recurringruns")
    # Kubeflow's cron has seconds in front.
    assert sent["trigger"]["cron_schedule"]["cron"] == "0 0 6 * * *"
    assert (sent["max_concurrency"], sent["no_catchup"], sent["mode"]) == (1, True, "ENABLE")
    assert json.loads(capsys.readouterr().out)["schedule"] == "rr-1"


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (403, {"error": "User is not authorized", "code": 7}, "Kubeflow refused (403): User is not authorized"),
        (404, {"message": "no such route"}, "Check --host: it must be the address of the Kubeflow Pipelines API."),
        (429, {"error": "quota"}, "Kubeflow refused (429): quota"),
        (401, {"error": "who?"}, "Give a token: --token-file FILE."),
        (500, {"error": "boom"}, "Kubeflow did not answer (500): boom"),
    ],
)
def test_a_refusal_is_one_clear_line(cluster, kubeflow_file, capsys, code, body, expected):
    cluster.on("POST", f"{API}/runs", (code, body))

    status = submit(cluster, kubeflow_file)

    lines = capsys.readouterr().err.splitlines()
    assert status == 1
    assert [line for line in lines if expected in line and line.startswith("error: ")]
    assert "Traceback" not in "".join(lines)


def test_no_answer_is_one_clear_line(cluster, kubeflow_file, capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # It accepts, and never answers.
        cluster.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(kubeflow, "TIMEOUT_S", 0.2)

        status = submit(cluster, kubeflow_file)

    err = capsys.readouterr().err
    assert status == 1
    assert "error: Kubeflow did not answer: " in err
    assert "Traceback" not in err


def test_wrong_options_send_nothing(cluster, kubeflow_file, tmp_path, capsys):
    assert submit(cluster, kubeflow_file, "--host", "") == 2
    assert submit(cluster, kubeflow_file, "--token-file", str(tmp_path / "none")) == 2

    err = capsys.readouterr().err
    assert "submit --to kubeflow needs --host URL." in err
    assert "--token-file: " in err
    assert cluster.requests == []
