import json
import time

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from models.features import FeatureSpec
from pipeline.gate import drift, performance, yardstick
from pipeline.gate.baseline import Baseline, BaselineError, build_baseline
from pipeline.gate.policy import GatePolicy
from tests.helpers.windows import FEATURES, SCHEMA, rows, window

POLICY = GatePolicy(exclude=("month",))


def build(tables=None, *, features=FEATURES, **given):
    given = {"evaluation": None, "statistics": None, **given}
    return build_baseline(tables or window(), SCHEMA, features, POLICY, **given)


@pytest.fixture(scope="module")
def baseline():
    evaluation = performance.evaluate(np.array([0, 1, 1, 0]), np.array([0.1, 0.7, 0.4, 0.2]))
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    statistics.datasets.add(num_examples=3200)
    return build(
        evaluation=evaluation,
        span_results=[result for span in (3, 4) for result in performance.results_of(span, evaluation, POLICY)],
        statistics=statistics,
        created_at=1_700_000_000,
    )


def test_it_holds_what_later_spans_are_compared_with(baseline):
    assert baseline.window == (1, 2, 3, 4)
    assert [feature.name for feature in baseline.bins] == [
        "area",
        "fare",
        "fare (missing)",
        "miles",
        "miles (missing)",
        "payment",
        "tips > 0.2 * fare",
    ]
    assert baseline.rows == 3200
    assert baseline.known["payment"] == ("Card", "Cash")
    assert [rows for _, rows in baseline.label_spans] == [800, 800, 800, 800]


def test_save_and_load_keep_everything(baseline, tmp_path):
    baseline.save(str(tmp_path))

    loaded = Baseline.load(str(tmp_path))

    for name in (
        "created_at",
        "window",
        "label",
        "bins",
        "known",
        "label_spans",
        "evaluation",
        "span_results",
        "statistics",
    ):
        assert getattr(loaded, name) == getattr(baseline, name), name
    assert loaded.not_compared == baseline.not_compared
    span = rows(1000, 9, card=0.4)
    assert drift.compare(span, loaded, FEATURES, POLICY).drift == drift.compare(span, baseline, FEATURES, POLICY).drift


def test_building_twice_writes_the_same_files(tmp_path):
    for folder in ("a", "b"):
        build().save(str(tmp_path / folder))

    for name in ("baseline.json", "statistics.pb"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_saving_over_an_older_one_replaces_it(baseline, tmp_path):
    build(window(300)).save(str(tmp_path))
    baseline.save(str(tmp_path))

    assert Baseline.load(str(tmp_path)).rows == 3200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.npz", "baseline.json", "statistics.pb"]


def test_a_folder_without_the_file_written_last_is_no_baseline(baseline, tmp_path):
    baseline.save(str(tmp_path))
    (tmp_path / "baseline.json").unlink()

    with pytest.raises(BaselineError, match=r"There is no complete baseline in .*: baseline.json is missing. Run with"):
        Baseline.load(str(tmp_path))


@pytest.mark.parametrize("name", ["arrays.npz", "statistics.pb"])
def test_a_damaged_file_is_named(baseline, tmp_path, name):
    baseline.save(str(tmp_path))
    (tmp_path / name).write_bytes(b"half of it")

    with pytest.raises(BaselineError, match=f"{name} is not what baseline.json describes: the baseline is damaged"):
        Baseline.load(str(tmp_path))


def test_a_missing_file_is_named(baseline, tmp_path):
    baseline.save(str(tmp_path))
    (tmp_path / "arrays.npz").unlink()

    with pytest.raises(BaselineError, match=r"arrays.npz is missing: the baseline is damaged"):
        Baseline.load(str(tmp_path))


def test_a_baseline_remembers_where_its_yardstick_came_from(tmp_path):
    evaluation = performance.evaluate(np.array([0, 1]), np.array([0.1, 0.7]))
    origin = yardstick.Origin(source="held_out", span=3, version="77")
    build(evaluation=evaluation, origin=origin).save(str(tmp_path))

    assert Baseline.load(str(tmp_path)).yardstick == yardstick.Yardstick(evaluation=evaluation, origin=origin)


def test_a_baseline_from_before_that_was_kept_was_measured_out_of_time(baseline, tmp_path):
    baseline.save(str(tmp_path))
    manifest = json.loads((tmp_path / "baseline.json").read_text())
    del manifest["baseline"]["origin"], manifest["baseline"]["span_results"]
    (tmp_path / "baseline.json").write_text(json.dumps(manifest))

    found = Baseline.load(str(tmp_path)).yardstick
    assert (found.origin, found.spans) == (yardstick.Origin(source="out_of_time", span=4), ())


def test_another_format_is_refused(baseline, tmp_path):
    baseline.save(str(tmp_path))
    manifest = json.loads((tmp_path / "baseline.json").read_text())
    (tmp_path / "baseline.json").write_text(json.dumps({**manifest, "format": 2}))

    with pytest.raises(BaselineError, match=r"expected a baseline of format 1. Received: 2"):
        Baseline.load(str(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": {}, "baseline": {}}'])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    (tmp_path / "baseline.json").write_text(text)

    with pytest.raises(BaselineError):
        Baseline.load(str(tmp_path))


def test_too_few_rows_are_refused():
    with pytest.raises(BaselineError, match=r"at least 25 training rows. Received 20 in spans \[1\]"):
        build({1: rows(20, 1)})


def test_no_rows_are_refused():
    with pytest.raises(BaselineError, match=r"Received 0 in spans \[1, 2\]"):
        build({1: rows(0, 1), 2: rows(0, 2)})


def test_a_window_of_one_span_has_no_variation():
    assert np.isnan(build({1: rows(800, 1)}).variation).all()


def test_variation_is_what_the_windows_spans_do_among_each_other():
    moving = build({span: rows(3000, span, card=share) for span, share in enumerate((0.2, 0.3, 0.4, 0.5), start=1)})
    payment = [feature.name for feature in moving.bins].index("payment")

    # The first span has 20 % cards, the others together 40 %: a distance of 0.2.
    assert np.sqrt(moving.variation[payment]) == pytest.approx(0.2, abs=0.02)
    assert np.sqrt(build().variation[payment]) < 0.03


def test_a_feature_that_the_rows_lack_is_said():
    features = FeatureSpec(label="tips > 0.2 * fare", numeric=("fare", "altitude"))

    (gap,) = build(features=features).not_compared

    assert (gap.feature, gap.text) == ("altitude", "`altitude` is not compared: not in the schema")


def test_a_feature_without_a_value_is_said_and_its_missing_share_compared():
    tables = {span: table.set_column(1, "miles", pa.nulls(800, pa.float64())) for span, table in window().items()}

    made = build(tables)

    assert [gap.feature for gap in made.not_compared] == ["miles"]
    found = drift.compare(rows(1000, 9), made, FEATURES, POLICY)
    assert {item.feature for item in found.drift.moved} == {"miles", "miles (missing)"}


def test_rows_without_labels_are_said():
    tables = {span: table.drop_columns(["tips"]) for span, table in window().items()}

    (gap,) = build(tables).not_compared

    assert (gap.subject, gap.text) == ("label", "the label is not compared: the training rows have none")


def test_calibration_for_the_rows_of_four_months_takes_less_than_five_seconds():
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(18)]
    tables = {
        span: pa.table(
            {
                **{name: rng.normal(size=27_000) for name in names},
                "y": pa.array(rng.integers(0, 300, 27_000).astype(str)),
                "late": rng.integers(0, 2, 27_000),
            }
        )
        for span in (1, 2, 3, 4)
    }
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name=name) for name in (*names, "y", "late")])
    features = FeatureSpec(label="late", numeric=tuple(names), categorical=("y",))

    start = time.process_time()
    build_baseline(tables, schema, features, POLICY, evaluation=None, statistics=None)

    assert time.process_time() - start < 5.0
