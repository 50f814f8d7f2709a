"""TFX's taxi template goes the whole way as docs/migration.md says, its files as `tfx template copy` leaves them."""

import csv
import itertools
import re
import shutil

import pyarrow.csv as pa_csv
import pytest

from data.taxi import source
from models.predictor import Predictor
from pipeline.config.dataset import SHIPPED
from tests.e2e.conftest import REPOSITORY, run

pytestmark = pytest.mark.e2e

ROWS = 400
FLOORS = "min_auc = 0.5\nmax_calibration_error = 1.0"
MODULE = "from models.keras_model.model import run_fn\nfrom models.preprocessing import preprocessing_fn\n"


def copy_template(folder):
    from tfx.tools.cli import labels
    from tfx.tools.cli.handler import template_handler

    template_handler.copy_template(
        {labels.MODEL: "taxi", labels.PIPELINE_NAME: "cabs", labels.DESTINATION_PATH: str(folder)}
    )


def page():
    return (REPOSITORY / "docs" / "migration.md").read_text(encoding="utf-8")


def dataset_of_the_page():
    (toml,) = re.findall(r"<!-- dataset\.toml -->\n```toml\n(.*?)```", page(), re.DOTALL)
    return toml


def write_long_trips_tip(source, target):
    """Writes taxi rows whose riders tip for more than two miles: what the template learns for sure."""
    with source.open(newline="") as read, target.open("w", newline="") as file:
        rows = csv.DictReader(read)
        writer = csv.DictWriter(file, rows.fieldnames)
        writer.writeheader()
        for row in itertools.islice(rows, ROWS):
            row["tips"] = 0.5 * float(row["fare"]) if float(row["trip_miles"] or 0) > 2 else 0
            writer.writerow(row)


def test_the_taxi_template_is_trained_judged_and_pushed_unchanged(tmp_path):
    cabs, all_spans = tmp_path / "cabs", tmp_path / "spans"
    copy_template(cabs)
    (cabs / "model.py").write_text(MODULE)
    assert MODULE in re.sub("^ +", "", page(), flags=re.MULTILINE)
    shutil.copy(SHIPPED / "taxi" / "schema.pbtxt", cabs)
    # Some steps teach the order of the rows, and not yet the size of the probabilities.
    short = dataset_of_the_page().replace("max_steps = 1000", "max_steps = 400").replace("min_auc = 0.5", FLOORS)
    (cabs / "dataset.toml").write_text(short)
    source.write_spans(all_spans)
    span = cabs / "spans" / "span-1" / "data.csv"
    span.parent.mkdir(parents=True)
    write_long_trips_tip(all_spans / "span-1" / "data.csv", span)

    done = run("run", "--dataset", cabs, "--root", tmp_path / "root", "--span", 1, "--json")

    assert done.status == 0, done.err
    version = tmp_path / "root" / "serving" / "cabs" / str(done.json["pushed_version"])
    predictor = Predictor(str(version))
    # What the template has exported: one input of serialized examples, one unnamed probability.
    assert [*predictor.input_specs] == ["examples"]
    assert [*predictor.output_specs] == ["outputs"]
    assert predictor.inputs == ("fare", "pickup_latitude", "trip_miles", "trip_start_hour")
    table = pa_csv.read_csv(span).select(predictor.inputs).slice(0, 20)
    predicted = predictor.predict(table)
    assert predicted.shape == (20,)
    assert ((predicted > 0) & (predicted < 1)).all()
