"""One root, both engines in turn: each reads what the other has made, the live model and its baseline included."""

import csv
import json
import re
from pathlib import Path

import pytest

from data.taxi import source as taxi
from tests.e2e.conftest import run

# Few columns and no intervals: the stock Transform and TFMA take most of the time, and both grow with these.
SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1 min_count: 1 } }
feature { name: "payment_type" type: BYTES presence { min_fraction: 1 min_count: 1 } }
feature { name: "tips" type: FLOAT }
"""
DATASET = """
name = "small"
schema = "schema.pbtxt"
[spans]
pattern = "span-{SPAN}/data.csv"
window = 2
[label]
expression = "tips > 0.2 * fare"
[features]
numeric = ["fare"]
categorical = ["payment_type"]
[model]
learners = ["network", "trees"]
[training]
ensemble_size = 2
trees = 40
[evaluation]
slices = [["payment_type"]]
min_auc = 0.6
max_calibration_error = 0.5
max_slice_auc_drop = 1.0
bootstraps = 0
[serving]
model_name = "small"
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three taxi spans, cut down to the columns above."""
    taxi.write_spans(tmp_path / "whole")
    for span in (1, 2, 3):
        target = tmp_path / "data" / f"span-{span}" / "data.csv"
        target.parent.mkdir(parents=True)
        with (tmp_path / "whole" / f"span-{span + 4}" / "data.csv").open() as source, target.open("w") as out:
            writer = csv.DictWriter(out, ("fare", "payment_type", "tips"), extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(csv.DictReader(source))
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    (tmp_path / "dataset.toml").write_text(DATASET)
    return tmp_path


def test_a_run_may_switch_engines_between_spans(dataset):
    def step(span, *options):
        where = ("--dataset", dataset, "--data-root", dataset / "data", "--root", dataset / "root", "--json")
        return run("run", "--span", span, *where, *options)

    local = step(1)
    assert local.status == 0, local.err
    assert local.json["result"] == "pushed"
    (report,) = (dataset / "root" / "reports").glob("span-1-*.html")
    (learners,) = re.findall(r'aria-label="The learners".*?</table>', report.read_text(encoding="utf-8"), re.DOTALL)
    assert re.findall(r'<th scope="row">(\w+)', learners) == ["network", "trees", "blend"]
    assert learners.count(">chosen<") == 1

    # The Beam engine compares with, evaluates against and starts from what the local engine has made.
    on_beam = step(2, "--force", "--engine", "beam")
    assert on_beam.status == 0, on_beam.err
    assert on_beam.json["result"] == "pushed"
    assert on_beam.json["decision"]["evidence"]["live"]["window"] == [1]
    assert on_beam.json["decision"]["evidence"]["drift"]
    (overall,) = [row for row in on_beam.json["evaluation"]["slices"] if not row["slice"]]
    assert overall["live"] > 0.6
    versions = sorted((dataset / "root" / "serving" / "small").glob("[0-9]*"))
    assert len(versions) == 2
    assert json.loads((versions[1] / "assets.extra" / "baseline" / "window.json").read_text()) == [1, 2]

    # And the reverse, as far as the decision: Evaluator and Transform of both engines have parity tests of their own.
    back = step(3, "--explain")
    assert back.status == 0, back.err
    assert back.json["decision"]["evidence"]["live"]["window"] == [1, 2]
    compared = back.json["decision"]["evidence"]["drift"]["features"]
    assert {feature["feature"] for feature in compared} >= {"fare", "payment_type"}
