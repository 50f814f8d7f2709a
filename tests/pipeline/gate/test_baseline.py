import json

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.gate import drift, evidence, performance, yardstick
from pipeline.gate.baseline import Baseline, BaselineError
from pipeline.gate.measuring import build_baseline
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
    origin = evidence.Origin(source="held_out", span=3, version="77")
    build(evaluation=evaluation, origin=origin).save(str(tmp_path))

    assert Baseline.load(str(tmp_path)).yardstick == yardstick.Yardstick(evaluation=evaluation, origin=origin)


def test_a_baseline_from_before_that_was_kept_was_measured_out_of_time(baseline, tmp_path):
    baseline.save(str(tmp_path))
    manifest = json.loads((tmp_path / "baseline.json").read_text())
    del manifest["baseline"]["origin"], manifest["baseline"]["span_results"]
    (tmp_path / "baseline.json").write_text(json.dumps(manifest))

    found = Baseline.load(str(tmp_path)).yardstick
    assert (found.origin, found.spans) == (evidence.Origin(source="out_of_time", span=4), ())


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
