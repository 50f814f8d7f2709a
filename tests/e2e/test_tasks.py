"""Models of several classes and of numbers go the whole way: trained, judged, served, asked, and held to new spans."""

import json
from pathlib import Path

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pyarrow import csv
from sklearn import metrics as sk
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    model_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from models.predictor import Predictor
from tests.e2e.conftest import run
from tests.helpers import task_datasets
from tests.helpers.model_server import launch, stop, wait_for

pytestmark = pytest.mark.e2e

ANSWER = {
    "regression": ("value", "lower", "upper"),
    "multiclass": ("probabilities", "classes", "class"),
}
LEARNER = {"regression": "trees", "multiclass": "linear"}
"""Networks go the same way in test_pipeline.py."""
BESIDE = {"regression": ["r_squared", "interval_coverage"], "multiclass": ["top_3_accuracy", "f1_macro"]}
TOLD = {"regression": "members of", "multiclass": "The model is a sum"}
MAIN = {"regression": "mean_absolute_error", "multiclass": "sparse_categorical_accuracy"}
MAIN_TITLE = {"regression": "mean absolute error", "multiclass": "accuracy"}
WORSE = {"regression": "the live model's mean absolute error", "multiclass": "the live model's log loss"}


def check_served(task, offline, where, version, folder):
    """A server answers as the version does offline: `predict`, and the APIs on examples, over REST and gRPC."""
    names = ("--model-name", task, "--model-base-path", version.parent)
    server = launch(folder, *map(str, (*names, "--log-dir", folder / "log")))
    try:
        url = f"{wait_for(server, task).url}/v1/models/{task}"
        asked = run("predict", *where, folder / "row.csv", "--url", url, "--json")
        assert asked.status == 0, asked.err
        online = asked.json["prediction"]
        assert set(online) == set(ANSWER[task])
        for name in ANSWER[task]:
            close = name not in ("class", "classes")
            assert online[name] == (pytest.approx(offline[name], rel=1e-4) if close else offline[name])

        example = {"distance": 30.0, "line": "red"}
        if task == "regression":
            method, expected = "regress", online["value"]
        else:
            method, expected = "classify", dict(zip(online["classes"], online["probabilities"], strict=True))
        reply = server.ask(f"/v1/models/{task}:{method}", {"signature_name": method, "examples": [example]})
        assert reply.status == 200, reply.body
        (result,) = reply.json["results"]
        assert (result if task == "regression" else dict(result)) == pytest.approx(expected, rel=1e-6)
        assert grpc_result(server, task, method, example) == pytest.approx(expected, rel=1e-6)
        requests = pq.read_table(folder / "spans" / "span-2" / "data.parquet").select(["distance", "line"])
        csv.write_csv(requests, folder / "requests.csv")
        asked = run("predict", *where, folder / "requests.csv", "--url", url, "--json")
        assert asked.status == 0, asked.err
        return [json.loads(line)["prediction"] for line in asked.out.splitlines()]
    finally:
        assert stop(server) == 0


def check_monitored(task, answers, where, folder):
    """The monitor reads what was asked, and holds it to labels that have come, each as heavy as its row."""
    data, metrics = folder / "spans", folder / "metrics.prom"
    looked = run(
        *("monitor", *where, "--log-dir", folder / "log", "--once", "--judge-open", "--labels", data, "--json"),
        *("--metrics-file", metrics),
    )

    assert looked.status == 0, looked.err
    (window,) = looked.json["windows"]
    # The row that was asked alone, three times, has no label.
    assert (window["rows"], window["performance"]["labelled"]) == (803, 800)
    measured, truth = window["performance"]["metrics"], pq.read_table(data / "span-2" / "data.parquet")
    if task == "regression":
        late, riders = truth["minutes late"].to_numpy(), truth["riders"].to_numpy()
        value, lower, upper = ([answer[name] for answer in answers] for name in ANSWER[task])
        expected = sk.mean_absolute_error(late, value, sample_weight=riders)
        covered = np.average((lower <= late) & (late <= upper), weights=riders)
        assert measured["interval_coverage"] == pytest.approx(covered, abs=1e-4)
    else:
        expected = sk.accuracy_score(truth["how it went"].to_pylist(), [answer["class"] for answer in answers])
        means = np.mean([answer["probabilities"] for answer in answers], axis=0)
        classes = window["prediction"]["classes"]
        assert [item["name"] for item in classes] == ["on time", "late", "not at all"]
        assert [item["mean"]["value"] for item in classes] == pytest.approx(means, abs=5e-3)  # Three rows more.
        assert [item["mean_at_push"]["value"] for item in classes] == pytest.approx(means, abs=0.1)
    assert measured[MAIN[task]] == pytest.approx(expected, rel=1e-4)
    assert window["alerts"] == []
    page = Path(looked.json["report"]).read_text(encoding="utf-8")
    assert "nothing moved" in page
    assert f"{MAIN_TITLE[task]} by window" in page
    assert f'driftgate_served_metric{{dataset="{task}",metric="{MAIN[task]}"}} ' in metrics.read_text()


def grpc_result(server, task, method, values):
    """The same over gRPC, in REST's words."""
    example = tf.train.Example()
    example.features.feature["distance"].float_list.value.append(values["distance"])
    example.features.feature["line"].bytes_list.value.append(values["line"].encode())
    given = input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example]))
    spec = model_pb2.ModelSpec(name=task, signature_name=method)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        if method == "regress":
            answer = stub.Regress(regression_pb2.RegressionRequest(model_spec=spec, input=given), timeout=60)
            return answer.result.regressions[0].value
        answer = stub.Classify(classification_pb2.ClassificationRequest(model_spec=spec, input=given), timeout=60)
        return {one.label: one.score for one in answer.result.classifications[0].classes}


@pytest.mark.parametrize("task", task_datasets.TASKS)
def test_a_model_is_pushed_asked_and_held_to_its_task(task, tmp_path):
    folder, root = task_datasets.write(tmp_path / task, task, spans=2, learner=LEARNER[task]), tmp_path / "root"
    task_datasets.write_span(folder, 3, later=4, rows=2_000)
    where = ("--dataset", folder, "--root", root)

    first = run("run", *where, "--span", 1, "--json")
    assert first.status == 0, first.err
    (overall, *slices) = first.json["evaluation"]["slices"]
    assert (first.json["evaluation"]["task"], overall["metric"]) == (task, MAIN[task])
    assert {item["slice"] for item in slices} == {"line=red", "line=blue", "line=green"}

    assert [one["metric"] for one in overall["beside"]] == BESIDE[task]
    # Of three classes the first three are all.
    assert [one["value"] is None for one in overall["beside"]] == [name == "top_3_accuracy" for name in BESIDE[task]]

    (report,) = (root / "reports").glob("span-1-*.html")
    page = report.read_text(encoding="utf-8")
    assert TOLD[task] in page
    assert "A model server loads it: 128 rows answered as offline" in page
    assert ("there are no more than three classes" in page) == (task == "multiclass")

    version = root / "serving" / task / str(first.json["pushed_version"])
    warm_up = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in tf.data.TFRecordDataset(
            str(version / "assets.extra" / "tf_serving_warmup_requests")
        ).as_numpy_iterator()
    ]
    # The server of `check_served` has replayed them before it answers.
    assert {(request.model_spec.name, *sorted(request.inputs)) for request in warm_up} == {(task, "distance", "line")}
    assert Predictor(str(version)).task == task
    # The run itself has asked the server for rows, and compared its answers with these.
    (folder / "row.csv").write_text("distance,line,riders\n30.0,red,1\n")
    asked = run("predict", *where, "--batch", folder / "row.csv", "--output", folder / "row.parquet")
    assert asked.status == 0, asked.err
    (answer,) = pq.read_table(folder / "row.parquet").to_pylist()
    assert set(answer) >= set(ANSWER[task])
    if task == "regression":
        # 30 - 12 + 6 = 24 minutes late, and 3 of noise: 80 % lie within 3.8 on either side.
        assert answer["lower"] < answer["value"] < answer["upper"]
        assert answer["value"] == pytest.approx(24, abs=5)
    else:
        assert answer["class"] == "not at all"
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)

    answers = check_served(task, answer, where, version, folder)
    check_monitored(task, answers, where, folder)

    # The second span is like the first. In the third all rides are later by four minutes: an offset repairs that, and
    # no training is needed for it.
    watched = run("watch", *where, "--once")
    assert watched.status == 0, watched.err
    known = run("status", *where, "--json")
    assert [step["verdict"] for step in known.json["decisions"]] == ["rerun", "skip", "recalibrate"]
    row = pq.read_table(folder / "row.parquet")
    (repaired,) = Predictor(str(version.parent / str(known.json["live_version"]))).predict(row).tolist()
    if task == "regression":
        # Far from the middle the slope moves it too.
        assert repaired[0] - answer["value"] == pytest.approx(4, abs=2)
    else:
        assert repaired[0] < answer["probabilities"][0]

    page = run("report", *where)
    assert "span 3: recalibrated and pushed" in Path(page.out.strip()).read_text(encoding="utf-8")
    compared = run("drift", *where, "--span", 3, "--against", 1, "--json")
    moved = [item["feature"].strip("`") for item in compared.json["drift"]["features"] if item["moved"]]
    assert moved == [{"regression": "minutes late", "multiclass": "how it went"}[task]]

    task_datasets.write_span(folder, 4, turned=True)
    turned = run("run", *where, "--span", 4, "--explain", "--json")
    assert turned.json["decision"]["verdict"] == "rerun"
    assert WORSE[task] in json.dumps(turned.json, ensure_ascii=False)

    back = run("rollback", *where, "--json")
    assert back.status == 0, back.err
    assert back.json["origin"] == first.json["pushed_version"]
    asked_again = Predictor(str(version.parent / str(back.json["version"]))).predict(row)
    expected = answer["probabilities"] if task == "multiclass" else [answer[name] for name in ANSWER[task]]
    assert asked_again[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_spans_are_played_again_by_the_metric_of_numbers(tmp_path):
    # Two classes: test_drift_and_replay.py. Each replay costs a dozen seconds of imports and trainings.
    folder = task_datasets.write(tmp_path / "regression", "regression", spans=1, learner="trees")
    task_datasets.write_span(folder, 2, turned=True)

    done = run("replay", "--dataset", folder, "--root", tmp_path / "replay", "--spans", "1-2", "--json")

    assert done.status == 0, done.err
    assert done.json["metric"] == MAIN["regression"]
    first, second = done.json["steps"]["gate"]
    assert (first["verdict"], first["pushed"], second["verdict"], second["trained"]) == ("rerun", True, "rerun", True)
    # The first model's, on rows whose late rides come early: it is off by twice what they are from the middle.
    assert 7 < second["score"] < 15
    assert MAIN_TITLE["regression"] in (tmp_path / "replay" / "replay.html").read_text(encoding="utf-8")
