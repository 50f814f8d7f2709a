"""A rollback from outside: the server follows it, and the next run compares with what is live."""

import json
import shutil
import time
import urllib.request

import pytest
import tensorflow as tf

from pipeline.predict import servability
from pipeline.state import publish
from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e


class Doubles(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)], autograph=False)
    def __call__(self, x):
        return {"y": 2 * x}


def test_the_server_follows_a_rollback_and_the_next_run_compares_with_the_live_version(root, tmp_path):
    serving = root / "serving" / "taxi"
    (good,) = (int(entry.name) for entry in serving.iterdir())
    # A later version that answers other questions altogether.
    tf.saved_model.save(Doubles(), str(tmp_path / "bad"))
    bad = int(publish.push(tmp_path / "bad", serving, good + 1).name)
    # As if the later one had been trained on one span more.
    shutil.copytree(serving / str(good) / "assets.extra" / "baseline", serving / str(bad) / "assets.extra" / "baseline")
    (serving / str(bad) / "assets.extra" / "baseline" / "window.json").write_text("[2, 3, 4, 5, 6]")
    sample = json.loads((serving / str(good) / "assets.extra" / "sample_request.json").read_text())

    with servability.starting(serving, "taxi", tmp_path / "server.log") as server:
        server.wait()
        url = server.url
        assert available(url) == [bad]

        done = run("rollback", "--root", root, "--json")

        assert done.status == 0, done.err
        again = done.json["version"]
        assert (done.json["origin"], done.json["instead_of"], done.json["withdrawn_spans"]) == (good, bad, [6])
        deadline = time.monotonic() + 60
        while available(url) != [again]:
            assert time.monotonic() < deadline, "the server did not follow"
            time.sleep(0.05)
        probabilities, _ = servability.ask(url, sample["instances"])
        assert 0 < probabilities[0] < 1

    status = run("status", "--root", root)
    assert f"live, rollback: {good} again, instead of {bad}" in status.out

    compared = run("run", "--span", 6, "--force", "--root", root, "--json")
    assert compared.status in (0, 4), compared.err
    live = compared.json["decision"]["evidence"]["live"]
    assert (live["version"], live["window"]) == (str(again), [2, 3, 4, 5])
    assert compared.json["decision"]["reasons"][0]["kind"] == "forced"
    assert all(row["live"] is not None for row in compared.json["evaluation"]["slices"][:1])


def available(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        entries = json.load(answer)["model_version_status"]
    return [int(entry["version"]) for entry in entries if entry["state"] == "AVAILABLE"]
