"""The two commands that look at several spans, on a dataset so small that a training takes seconds."""

import json
import shutil
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


def test_rows_that_come_in_groups_are_no_drift_once_the_dataset_file_names_the_group(loans, tmp_path):
    # The rows of the test above, as offices sent them: 30 each, of one channel, so 20 answers in place of 600.
    copy = tmp_path / "loans"
    shutil.copytree(loans, copy)
    for path in sorted(copy.glob("spans/span-*/data.csv")):
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        lines.sort(key=lambda line: line.split(",")[1])
        told = [f"{line},{path.parent.name} office {place // 30}" for place, line in enumerate(lines)]
        path.write_text("\n".join([f"{header},office", *told]) + "\n", encoding="utf-8")
    with (copy / "schema.pbtxt").open("a", encoding="utf-8") as schema:
        schema.write('feature { name: "office" type: BYTES value_count { min: 1 max: 1 } }\n')
    settings = (copy / "dataset.toml").read_text(encoding="utf-8").replace("window = 2", "window = 1")
    (copy / "dataset.toml").write_text(f'{settings}[gate]\ncluster = "office"\n', encoding="utf-8")

    done = run("replay", "--dataset", copy, "--data-root", copy / "spans", "--spans", "1-2",
               "--root", tmp_path / "replay", "--json")  # fmt: skip

    assert done.status == 0, done.err
    second = done.json["steps"]["gate"][1]
    assert (second["span"], second["verdict"], second["trained"]) == (2, "skip", False)
    lines = (tmp_path / "replay" / "gate" / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    evidence = json.loads(lines[1])["evidence"]
    (channel,) = [item for item in evidence["drift"]["features"] if item["feature"] == "channel"]
    # 204 to 311 of 600 rows are `web`. Of rows alone, 1.96 * sqrt(0.34 * 0.66 / 400 + 0.52 * 0.48 / 600) = 0.06 is
    # chance; of 20 offices each, 1.96 * sqrt(2 * 0.34 * 0.66 / 20) = 0.29, in one column.
    assert channel["distance"] > 0.15
    assert channel["noise"] > 0.29
    assert evidence["label"]["current"]["rows"] < 600
