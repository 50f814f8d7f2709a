"""The pipeline from outside: a span is pushed, repeated, drifted, broken; and a model that is not good enough."""

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, TIMEOUT_S, command, run

pytestmark = pytest.mark.e2e

PIPELINE = [
    *("ExampleGen", "SchemaImporter", "StatisticsGen", "ExampleValidator", "LiveModel", "RerunGate"),
    *(
        "TrainingWindow",
        "WindowStatistics",
        "Transform",
        "Trainer",
        "Evaluator",
        "BaselineGen",
        "InfraValidator",
        "Pusher",
    ),
]


def edit_span(root: Path, span: int, change, *, target: int | None = None) -> None:
    """Rewrites a span's rows; `change` takes the list of row dicts and returns the new one."""
    source = root / "data" / f"span-{span}" / "data.csv"
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows)
    path = root / "data" / f"span-{target or span}" / "data.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def only_version(root: Path) -> str:
    (version,) = (entry.name for entry in (root / "serving" / "taxi").iterdir())
    return version


def test_a_first_span_is_pushed_whole(pushed):
    root, done = pushed
    result = done.json

    assert (result["result"], result["span"], result["exit_status"]) == ("pushed", 5, 0)
    ran = [node["node"] for node in result["components"] if node["status"] == "ran"]
    assert sorted(ran) == sorted(PIPELINE)
    version = root / "serving" / "taxi" / str(result["pushed_version"])
    assert (version / "saved_model.pb").exists()
    assert (version / "assets.extra" / "baseline" / "baseline.json").exists()
    assert json.loads((version / "assets.extra" / "baseline" / "window.json").read_text()) == [2, 3, 4, 5]
    assert result["evaluation"]["blessed"] is True
    assert result["decision"]["verdict"] == "rerun"
    assert result["curl"].startswith('curl -d \'{"instances": [{')
    # TensorFlow's and Beam's noise is in the log and nowhere else.
    assert "oneDNN" not in done.err
    assert "Traceback" not in done.err
    assert Path(result["log"]).stat().st_size > 0


def test_the_same_span_again_is_skipped_in_a_table(root, monkeypatch):
    before = only_version(root)
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")

    again = run("run", "--span", 5, "--root", root)

    assert again.status == 0, again.err
    assert "SKIP span 5" in again.out
    assert "Trainer" not in again.out
    assert only_version(root) == before
    # A decision that ends before training imports nothing that only training, pushing to a cloud or serving needs.
    text = again.err + max((root / "logs").glob("run-*.log")).read_text(errors="replace")
    imported = set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", text, re.MULTILINE))
    assert "pipeline.gate.decision" in imported
    needless = {"models.training", "models.fitting", "models.network", "models.signatures", "models.warm_start"}
    needless |= {"google.cloud.aiplatform", "kfp", "tfx.orchestration.kubeflow"}
    assert imported & needless == set()
    assert not {name for name in imported if name.partition(".")[0] == "serving"}


def test_what_happened_can_be_looked_at(pushed):
    root, done = pushed

    status = run("status", "--root", root, "--json").json
    spans = {row["span"]: row for row in run("spans", "--root", root, "--json").json["spans"]}

    assert status["live_version"] == done.json["pushed_version"]
    assert status["trained_on"] == [2, 3, 4, 5]
    assert status["decisions"][0]["verdict"] == "rerun"
    assert (spans[5]["verdict"], spans[5]["trained_on"], spans[6]["verdict"]) == ("rerun", True, None)
    assert str(done.json["pushed_version"]) in run("status", "--root", root).out


def test_broken_data_is_refused_and_the_live_model_stays(root):
    before = only_version(root)
    # One fare in fifty is impossible: TFDV's own validation passes this.
    edit_span(root, 6, lambda rows: [{**row, "fare": "-99999"} if i % 50 == 0 else row for i, row in enumerate(rows)])

    refused = run("run", "--span", 6, "--root", root, "--json")

    assert refused.status == 3
    result = refused.json
    assert (result["result"], result["decision"]["verdict"]) == ("refused", "block")
    assert "`fare`" in result["refusal"]
    assert 'refused">refused' in Path(result["report"]).read_text()
    assert only_version(root) == before
    assert json.loads((root / "decisions.jsonl").read_text().splitlines()[-1])["verdict"] == "block"


def test_a_ragged_row_names_file_and_line(root):
    path = root / "data" / "span-6" / "data.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[10] = "1,2,3\n"
    path.write_text("".join(lines))

    refused = run("run", "--span", 6, "--root", root)

    assert refused.status == 3
    assert f"{path}, line 11" in refused.err
    (page,) = (root / "reports").glob("span-6-*.html")
    assert f"ExampleGen failed: {path}, line 11" in page.read_text()
    assert "Traceback" not in refused.err


def test_a_fare_in_another_unit_is_drift_and_reruns(root):
    before = only_version(root)
    edit_span(
        root, 6, lambda rows: [{**row, "fare": str(float(row["fare"]) * 1.6) if row["fare"] else ""} for row in rows]
    )

    done = run("run", "--span", 6, "--root", root, "--json")

    # Whether the candidate is blessed is the Evaluator's business; that it was trained is the gate's.
    assert done.status in (0, 4), done.err
    result = done.json
    assert result["decision"]["verdict"] == "rerun"
    moved = [item["feature"] for item in result["decision"]["evidence"]["drift"]["features"] if item["moved"]]
    assert "fare" in moved
    assert result["decision"]["evidence"]["live"]["version"] == before
    # What the span moved is kept, so that later spans can be added to it.
    since = json.loads((root / "state" / "since-push.json").read_text())
    assert (since["live_version"], [item["span"] for item in since["spans"]]) == (before, [6])


def test_a_decision_alone_leaves_no_trace(root):
    records = sorted((root / "state").iterdir())

    done = run("run", "--span", 6, "--root", root, "--explain", "--json")

    assert done.status == 0, done.err
    assert done.json["result"] == "explained"
    assert sorted((root / "state").iterdir()) == records


def test_a_changed_feature_and_an_own_model_train_anew_on_the_span_that_is_live(root, pushed, tmp_path):
    dataset = tmp_path / "improved"
    dataset.mkdir()
    source = REPOSITORY / "data" / "taxi"
    (dataset / "schema.pbtxt").write_text((source / "schema.pbtxt").read_text())
    text = (source / "dataset.toml").read_text()
    assert text.count('"dropoff_census_tract"') == 1
    (dataset / "dataset.toml").write_text(
        text.replace(', "dropoff_census_tract"', "").replace('"dropoff_census_tract", ', "")
    )
    named = run("own-model", "--dataset", dataset)
    assert named.status == 0, named.err
    same = ("--dataset", dataset, "--root", root, "--data-root", pushed[0] / "data", "--span", 5)
    reasons = [
        f"not as in the live model: {change}"
        for change in (
            "[features] categorical: - dropoff_census_tract",
            '[model] module "" → "model.py"',
            "own code: model.py added",
        )
    ]

    tried = run("run", *same, "--no-push", "--json")

    assert (tried.status, tried.json["result"], tried.json["pushed_version"]) == (0, "not_pushed", None), tried.err
    assert [item["text"] for item in tried.json["decision"]["reasons"]] == reasons
    assert tried.json["evaluation"]["blessed"]
    assert len(list(root.glob("serving/taxi/[0-9]*"))) == 1

    done = run("run", *same)

    assert done.status == 0, done.err
    assert "RERUN span 5" in done.out
    assert all(reason in done.out for reason in reasons)
    assert len(list(root.glob("serving/taxi/[0-9]*"))) == 2

    again = run("run", *same, "--json")

    assert (again.status, again.json["result"], again.json["decision"]["row"]) == (0, "skipped", 4), again.err

    model = dataset / "model.py"
    model.write_text(model.read_text().replace('activation="gelu"', 'activation="relu"'))
    edited = run("run", *same, "--explain", "--json")

    assert [item["text"] for item in edited.json["decision"]["reasons"]] == [
        "not as in the live model: own code: model.py changed"
    ]


def test_a_model_below_its_floor_is_not_pushed_until_the_floor_is_lower(pushed, tmp_path):
    dataset = tmp_path / "strict"
    dataset.mkdir()
    source = REPOSITORY / "data" / "taxi"
    (dataset / "schema.pbtxt").write_text((source / "schema.pbtxt").read_text())
    text = (source / "dataset.toml").read_text()
    assert "min_auc = 0.85" in text
    (dataset / "dataset.toml").write_text(text.replace("min_auc = 0.85", "min_auc = 0.999"))

    where = ("--dataset", dataset, "--root", tmp_path / "root", "--data-root", pushed[0] / "data")

    def span_3_is_done() -> bool:
        return {row["span"]: row["done"] for row in run("spans", *where, "--json").json["spans"]}[3]

    assert run("run", *where, "--span", 3, "--decide", "--json").json["result"] == "decided"
    assert not span_3_is_done()
    done = run("run", *where, "--span", 3, "--json")

    assert done.status == 4, done.err
    assert done.json["result"] == "not_blessed"
    assert any("AUC" in reason for reason in done.json["evaluation"]["reasons"])
    assert not list((tmp_path / "root").glob("serving/taxi/[0-9]*"))
    assert span_3_is_done()
    again = run("run", *where, "--span", 3)
    assert again.status == 0
    why = "a model that was trained up to span 3 was not blessed; other thresholds judge it again, --force trains again"
    assert why in again.out.replace("\n", " ")

    (dataset / "dataset.toml").write_text(text)
    assert not span_3_is_done()
    done = run("run", *where, "--span", 3, "--json")

    assert (done.status, done.json["result"]) == (0, "pushed"), done.err
    status = {node["node"]: node["status"] for node in done.json["components"]}
    assert [node for node in status if status[node] == "ran"] == ["Evaluator", "Pusher"]
    assert {status[node] for node in ("RerunGate", "TrainingWindow", "Transform", "Trainer")} == {"cached"}
    assert span_3_is_done()


def test_a_dataset_without_a_schema_gets_one_to_curate(pushed, tmp_path):
    dataset = tmp_path / "new"
    dataset.mkdir()
    text = (REPOSITORY / "data" / "taxi" / "dataset.toml").read_text()
    (dataset / "dataset.toml").write_text(text.replace('schema = "schema.pbtxt"\n', ""))

    done = run("run", "--dataset", dataset, "--root", tmp_path / "root", "--data-root", pushed[0] / "data", "--span", 1)

    assert done.status == 0, done.err
    assert "There is no schema yet" in done.out
    assert 'name: "payment_type"' in (tmp_path / "root" / "inferred_schema.pbtxt").read_text()


def test_two_runs_on_one_root_exclude_each_other(root):
    with subprocess.Popen(
        command("run", "--span", 6, "--root", root, "--explain"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stderr.readline().startswith("taxi: starting")

        second = run("run", "--span", 6, "--root", root)

        _, err = first.communicate(timeout=TIMEOUT_S)
    assert second.status == 5
    assert f"process {first.pid}) is at work on {root}" in second.err
    assert first.returncode == 0, err
