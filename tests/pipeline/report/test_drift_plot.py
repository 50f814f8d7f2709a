import io

import pytest
from rich.console import Console

from pipeline.gate import drift
from pipeline.gate.baseline import build_baseline
from pipeline.gate.policy import GatePolicy
from pipeline.report import drift_plot
from tests.helpers.windows import FEATURES, SCHEMA, rows, window

POLICY = GatePolicy(exclude=("month",))
SPAN = rows(2000, 76, card=0.42, fare=2.0)


@pytest.fixture(scope="module")
def baseline():
    return build_baseline(window(areas=30), SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)


@pytest.fixture(scope="module")
def found(baseline):
    return drift.compare(SPAN, baseline, FEATURES, POLICY).drift


@pytest.mark.parametrize(("name", "start"), [("drift.png", b"\x89PNG"), ("drift.svg", b"<?xml")])
def test_the_distributions_that_moved_most_are_drawn(found, baseline, tmp_path, name, start):
    drawn = drift_plot.plot_drift(str(tmp_path / name), found, SPAN, baseline, most=3)

    assert drawn[0] == "fare"
    assert len(drawn) == 3
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_share_of_missing_values_is_drawn_among_the_values_of_its_column(baseline, tmp_path):
    span = rows(3000, 66, missing=0.3)
    compared = drift.compare(span, baseline, FEATURES, POLICY).drift

    drawn = drift_plot.plot_drift(str(tmp_path / "drift.png"), compared, span, baseline)

    assert drawn[0] == "miles"
    assert len(set(drawn)) == len(drawn)


def test_the_same_comparison_draws_the_same_picture(found, baseline, tmp_path):
    for name in ("a.png", "b.png"):
        drift_plot.plot_drift(str(tmp_path / name), found, SPAN, baseline, most=1)

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_another_ending_is_refused(found, baseline, tmp_path):
    with pytest.raises(ValueError, match=r"ends in .png or .svg. Received: .*drift.pdf"):
        drift_plot.plot_drift(str(tmp_path / "drift.pdf"), found, SPAN, baseline)


def test_the_table_shows_every_feature_and_what_moved(found):
    text = io.StringIO()
    Console(file=text, width=160).print(drift_plot.drift_table(found, title="span 5 against spans 1 to 4"))

    lines = text.getvalue().splitlines()
    assert lines[0].strip() == "span 5 against spans 1 to 4"
    assert lines[2].split()[0] == "fare"
    assert "moved" in lines[2]
    assert "median" in lines[2]
    assert len(lines) == 2 + len(found.features)
