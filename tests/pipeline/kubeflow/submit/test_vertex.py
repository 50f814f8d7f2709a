"""Submission to Vertex, as Google's client library sends it. Source: Vertex AI API v1, pipelineJobs and schedules."""

import json
import re
import socket

import pytest

import kubeflow_runner
from pipeline.kubeflow.submit import vertex

JOBS = "/v1/projects/my-project/locations/europe-west4/pipelineJobs"
SCHEDULES = "/v1/projects/my-project/locations/europe-west4/schedules"
NAME = "projects/123/locations/europe-west4/pipelineJobs/taxi-1"


def submit(backend, file, *more):
    argv = ["submit", "--to", "vertex", "--pipeline", str(file), "--project", "my-project", "--region", "europe-west4"]
    return kubeflow_runner.main([*argv, "--api-endpoint", backend.url, "--json", "--poll", "0.01", *more])


def job(state, **tasks):
    details = [{"taskName": name, "state": value} for name, value in tasks.items()]
    return {"name": NAME, "state": f"PIPELINE_STATE_{state}", "jobDetail": {"taskDetails": details}}


def test_the_whole_file_is_sent_with_the_runs_parameters(backend, vertex_file, vertex_package, capsys):
    backend.on("POST", JOBS, (200, job("PENDING")))

    status = submit(backend, vertex_file, "--param", "span=7", "--service-account", "pipeline@my-project.iam")

    assert status == 0
    sent = backend.sent("POST", JOBS)
    assert sent["pipelineSpec"] == json.loads(json.dumps(vertex_package.spec))
    assert sent["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/taxi"
    assert sent["runtimeConfig"]["parameterValues"] == {"span": 7.0}
    assert sent["serviceAccount"] == "pipeline@my-project.iam"
    assert (sent["displayName"], sent["labels"]["tfx_version"]) == ("taxi", "1-21-0")
    ((_, _, query, _, headers),) = backend.requests
    assert re.fullmatch(r"taxi-\d{8}-\d{6}", query["pipelineJobId"][0])
    # A local server is asked without credentials.
    assert "Authorization" not in headers
    result = json.loads(capsys.readouterr().out)
    assert result["run"] == NAME
    assert result["page"].startswith(
        "https://console.cloud.google.com/vertex-ai/locations/europe-west4/pipelines/runs/"
    )


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (job("SUCCEEDED", ExampleGen="SUCCEEDED", Trainer="NOT_TRIGGERED"), 0),
        (job("FAILED", RerunGate="SUCCEEDED", RefuseSpan="FAILED"), 3),
        (job("FAILED", Trainer="FAILED"), 1),
        (job("CANCELLED"), 1),
    ],
)
def test_waiting_ends_with_the_runs_outcome(backend, vertex_file, capsys, end, status):
    backend.on("POST", JOBS, (200, job("PENDING")))
    path = f"/v1/{NAME}"
    backend.on("GET", path, (200, job("RUNNING", ExampleGen="RUNNING")), (503, {"error": {"code": 503}}), (200, end))

    assert submit(backend, vertex_file, "--wait") == status

    out, err = capsys.readouterr()
    assert json.loads(out)["exit_status"] == status
    assert "ExampleGen         RUNNING" in err


def test_a_schedule_runs_one_at_a_time(backend, vertex_file, capsys):
    made = {"name": "projects/123/locations/europe-west4/schedules/5"}
    backend.on("POST", SCHEDULES, (200, made))

    assert submit(backend, vertex_file, "--schedule", "TZ=Europe/Zurich 0 6 * * *") == 0

    sent = backend.sent("POST", SCHEDULES)
    assert sent["cron"] == "TZ=Europe/Zurich 0 6 * * *"
    assert (sent["maxConcurrentRunCount"], sent["allowQueueing"]) == ("1", True)
    request = sent["createPipelineJobRequest"]
    assert request["parent"] == "projects/my-project/locations/europe-west4"
    assert request["pipelineJob"]["runtimeConfig"]["parameterValues"] == {"span": -1.0}
    assert json.loads(capsys.readouterr().out)["schedule"] == made["name"]


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (403, "Permission 'aiplatform.pipelineJobs.create' denied.", "error: Vertex refused (403): "),
        (404, "Project my-project was not found.", "and that aiplatform.googleapis.com is enabled."),
        (429, "Quota exceeded for quota metric 'Pipeline jobs'.", "A quota is used up"),
        (400, "Invalid service account.\nMore of it.", "error: Vertex refused (400): Invalid service account."),
        (503, "The service is currently unavailable.", "error: Vertex did not answer: 503"),
    ],
)
def test_a_refusal_is_one_clear_line(backend, vertex_file, capsys, code, message, expected):
    backend.on("POST", JOBS, (code, {"error": {"code": code, "message": message}}))

    status = submit(backend, vertex_file)

    err = capsys.readouterr().err
    assert status == 1
    assert expected in err
    assert message.splitlines()[0] in err
    assert len(err.splitlines()) == 1


def test_no_answer_is_one_clear_line(backend, vertex_file, capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # It accepts, and never answers.
        backend.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(vertex, "TIMEOUT_S", 0.2)

        status = submit(backend, vertex_file)

    err = capsys.readouterr().err
    assert status == 1
    assert err.startswith("error: Vertex did not answer: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--param", "span=newest"], "--param: 'span' is a NUMBER_INTEGER. Received: 'newest'."),
        (["--param", "epochs=3"], "--param: there is no parameter 'epochs'. There are: span."),
        (["--param", "span"], "--param: expected NAME=VALUE. Received: 'span'."),
        (["--schedule", "daily"], "--schedule: expected five fields, such as '0 6 * * *'. Received: 'daily'."),
        (["--schedule", "0 6 * * *", "--wait"], "--wait: a schedule has no end to wait for."),
        (["--project", ""], "submit --to vertex needs --project PROJECT and --region REGION."),
    ],
)
def test_wrong_options_send_nothing(backend, vertex_file, capsys, more, message):
    assert submit(backend, vertex_file, *more) == 2

    assert message in capsys.readouterr().err
    assert backend.requests == []


def test_a_file_for_the_other_backend_is_refused(backend, kubeflow_file, capsys):
    assert submit(backend, kubeflow_file) == 2

    assert "was compiled for kubeflow. Compile it with --target vertex." in capsys.readouterr().err


def test_a_file_for_a_rehearsal_is_refused(backend, vertex_file, capsys):
    text = vertex_file.read_text().replace('"gcsOutputDirectory": "gs://bucket/taxi"', '"gcsOutputDirectory": "/here"')
    vertex_file.write_text(text)

    assert submit(backend, vertex_file) == 2

    assert "no cluster reaches /here. Compile it with --pipeline-root gs://BUCKET/PATH." in capsys.readouterr().err
