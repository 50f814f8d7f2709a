"""A compiled pipeline, rehearsed where a model is live. The whole proof: `make prove-rehearsal`."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.e2e.conftest import REPOSITORY, TIMEOUT_S

pytestmark = pytest.mark.e2e

BEFORE_THE_GATE = ["ExampleGen", "ExampleValidator", "LiveModel", "RerunGate", "SchemaImporter", "StatisticsGen"]


def run(*args):
    done = subprocess.run(
        [sys.executable, os.fspath(REPOSITORY / "kubeflow_runner.py"), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_span_that_was_trained_on_is_skipped_as_by_the_local_runner(pushed, tmp_path):
    root, live = pushed
    for name in ("serving", "state"):
        shutil.copytree(root / name, tmp_path / name)
    file = tmp_path / "pipeline.json"
    where = [
        "--data-root",
        root / "data",
        "--serving-dir",
        tmp_path / "serving" / "taxi",
        "--state-dir",
        tmp_path / "state",
    ]
    run("compile", "--pipeline-root", f"file://{tmp_path}/root", *where, "--output", file, "--json")

    first = run("rehearse", "--pipeline", file, "--param", "span=5", "--json")

    assert first["result"] == "skipped"
    evidence = first["decision"]["evidence"]
    assert (evidence["span"], evidence["repeats"]) == (5, [5, 0])
    assert evidence["live"]["version"] == str(live.json["pushed_version"])
    assert evidence["fingerprint"] == live.json["decision"]["evidence"]["fingerprint"]
    assert sorted(task["task"] for task in first["tasks"] if task["status"] == "ran") == BEFORE_THE_GATE
    assert "Pusher" in [task["task"] for task in first["tasks"] if task["status"] == "skipped"]
    assert sorted(path.parent.name for path in tmp_path.glob("root/rehearsals/taxi-1/*/log")) == BEFORE_THE_GATE
