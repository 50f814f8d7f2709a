"""A root that the program left before its modules moved: read, reported and carried on by the program of today.

`previous_layout/loans.tar.xz` holds the root of two runs of commit e4e1a7a on a made-up dataset, and the dataset with a
third span: everything that ML Metadata, TFX and the journals remember, the logs left out. Its paths begin with
/previous, as an absolute path does on the machine of a run.
"""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e

ARCHIVE = Path(__file__).with_name("previous_layout") / "loans.tar.xz"
OLD = "/previous/root"
LIVE = 1795941150


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder with the root and the dataset; the root's paths name where it lies now."""
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    root = folder / "root"
    for path in root.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".html"):
            path.write_bytes(path.read_bytes().replace(OLD.encode(), str(root).encode()))
    with closing(sqlite3.connect(root / "metadata.sqlite")) as store, store:
        for table, column in (
            ("Artifact", "uri"),
            ("ArtifactProperty", "string_value"),
            ("ExecutionProperty", "string_value"),
        ):
            store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (OLD, str(root)))
    return folder


def on(home, *command):
    return run(*command, "--dataset", home / "loans", "--root", home / "root")


def test_status_reads_its_versions_its_decisions_and_its_report(home):
    done = on(home, "status", "--json")

    assert done.status == 0, done.err
    assert done.json["versions"][-1] == LIVE
    assert [decision["evidence"]["span"] for decision in done.json["decisions"]] == [1, 2]


def test_its_report_is_made_again_from_its_artifacts(home, tmp_path):
    done = on(home, "report", "--span", 2, "--output", tmp_path / "again.html")

    assert done.status == 0, done.err
    page = (tmp_path / "again.html").read_text(encoding="utf-8")
    assert f"Version {LIVE} is live" in page
    assert "share of <code>web</code> 0.34 → 0.52" in page


def test_the_next_span_is_compared_with_its_live_model_and_pushed(home):
    # By itself the gate says that what moved is not worth a training here.
    done = on(home, "run", "--span", 3, "--force", "--data-root", home / "loans" / "spans", "--json")

    assert (done.status, done.json["result"]) == (0, "pushed"), done.err
    evidence = done.json["decision"]["evidence"]
    assert (evidence["live"]["version"], evidence["live"]["window"]) == (str(LIVE), [1, 2])
    (channel,) = [item for item in evidence["drift"]["features"] if item["feature"] == "channel"]
    assert channel["moved"]
    # `web` in the files: 204 + 311 of 1,200 rows, then 473 of 600. The model saw two thirds of the former.
    assert channel["distance"] == pytest.approx(473 / 600 - 515 / 1200, abs=0.03)
    assert done.json["evaluation"]["slices"][0]["live"] is not None
    assert int(done.json["pushed_version"]) > LIVE
    lines = (home / "root" / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["evidence"]["span"] for line in lines] == [1, 2, 3]
