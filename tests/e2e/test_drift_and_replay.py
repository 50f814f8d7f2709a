"""The two commands that look at several spans, on a dataset so small that a training takes seconds."""

import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import run

pytestmark = pytest.mark.e2e

ARCHIVE = Path(__file__).with_name("previous_layout") / "loans.tar.xz"


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """The dataset that lies in the archive beside the root."""
    folder = tmp_path_factory.mktemp("loans")
    with tarfile.open(ARCHIVE) as archive:
        members = [member for member in archive if member.name.startswith("loans/")]
        archive.extractall(folder, members, filter="data")
    return folder / "loans"


def test_a_span_is_compared_with_another_and_drawn(loans, tmp_path):
    done = run("drift", "--dataset", loans, "--root", tmp_path / "root", "--span", 3, "--against", 1,
               "--data-root", loans / "spans", "--json",
              "--plot", tmp_path / "drift.svg")  # fmt: skip

    assert done.status == 0, done.err
    assert (done.json["span"], done.json["against"], done.json["drift"]["rows"]) == (3, "span 1", 600)
    moved = {item["feature"]: item["distance"] for item in done.json["drift"]["features"] if item["moved"]}
    # 204 of 600 rows were `web` in the first span, 473 are in the third.
    assert moved["channel"] == pytest.approx((473 - 204) / 600)
    assert "channel" in (tmp_path / "drift.svg").read_text(encoding="utf-8")


def test_a_replay_plays_every_span_in_order(loans, tmp_path):
    done = run("replay", "--dataset", loans, "--data-root", loans / "spans", "--spans", "1-2",
               "--root", tmp_path / "replay", "--json")  # fmt: skip

    assert done.status == 0, done.err
    first, second = done.json["steps"]["gate"]
    assert (first["span"], first["verdict"], first["pushed"], first["score"]) == (1, "rerun", True, None)
    # `web` went from 204 to 311 of 600 rows, so the gate reruns, after the first model was scored on the span.
    assert (second["span"], second["verdict"], second["trained"]) == (2, "rerun", True)
    assert 0.5 < second["score"] < 1
    assert done.json["summary"]["gate"]["trainings"] == 2
    assert (tmp_path / "replay" / "replay.html").is_file()
    again = run("report", "--dataset", loans, "--root", tmp_path / "replay")
    assert again.status == 0, again.err
