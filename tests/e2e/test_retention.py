"""A root stays bounded under `watch`, and what is left of it still serves, reports, rolls back and trains."""

import json
import os

import pytest

from benchmarks import tiny_dataset
from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e

RETENTION = """
[retention]
artifacts = 1
runs = 2
versions = 2
reports = 2
logs = 2
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A root on which `watch` has trained on three spans, and the arguments that name it."""
    folder = tmp_path_factory.mktemp("tiny")
    dataset = tiny_dataset.write_dataset(folder / "tiny", RETENTION)
    for span in (1, 2, 3):
        tiny_dataset.write_span(folder / "data", span)
    named = ("--dataset", dataset, "--root", folder / "root")
    done = run("watch", *named, "--data-root", folder / "data", "--once")
    assert done.out.count("pushed version") == 3, done.err
    return folder, named


def test_only_what_is_kept_is_there(watched):
    folder, named = watched
    root = folder / "root"

    assert len(os.listdir(root / "serving" / "tiny")) == 2
    assert len(os.listdir(root / "reports")) == 2
    assert len(list((root / "logs").glob("run-*.log"))) == 2
    assert len(os.listdir(root / "artifacts" / "Trainer" / "model")) == 1
    assert not (root / "trash").exists()
    # Journals are kept whole.
    assert len((root / "decisions.jsonl").read_text().splitlines()) == 3
    assert run("clean", *named, "--dry-run", "--json").json["removals"] == []


def test_a_model_is_stored_once(watched):
    root = watched[0] / "root"
    newest = max((root / "serving" / "tiny").iterdir(), key=lambda version: int(version.name))
    (trained,) = (root / "artifacts" / "Trainer" / "model").iterdir()

    assert (newest / "saved_model.pb").samefile(trained / "Format-Serving" / "saved_model.pb")


def test_a_report_is_there_or_says_why_it_is_not(watched):
    folder, named = watched

    kept = run("report", *named, "--span", 2)
    assert kept.status == 0, kept.err
    again = run("report", *named, "--span", 2, "--output", folder / "again.html")
    assert again.status == 1
    assert "have been removed" in again.err
    assert "[retention] artifacts" in again.err


def test_the_root_goes_on(watched):
    folder, named = watched

    back = run("rollback", *named, "--json")
    assert back.status == 0, back.err
    tiny_dataset.write_span(folder / "data", 4)
    done = run("run", *named, "--data-root", folder / "data", "--json")

    assert done.status == 0, done.err
    assert done.json["result"] == "pushed"
    versions = sorted(int(name) for name in os.listdir(folder / "root" / "serving" / "tiny"))
    assert versions[-1] == done.json["pushed_version"]
    assert json.loads(run("status", *named, "--json").out)["live_version"] == versions[-1]
