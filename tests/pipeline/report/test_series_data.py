"""A replay's files, read back: steps, summaries, and the heat map's rows."""

import dataclasses
import json
import re

import pytest

from pipeline.errors import ReportError
from pipeline.report import files, render, series_data
from tests.helpers import reports_of


def step(span, verdict, **values):
    plain = {"reason": "`fare` moved", "score": 0.9, "trained": False, "pushed": False, "seconds": 1.5}
    return {"span": span, "verdict": verdict, **plain, **values}


def replay(folder, steps=None):
    gate = [
        step(5, "rerun", score=None, trained=True, pushed=True),
        step(6, "skip"),
        step(7, "block", reason=reports_of.SCRIPT),
    ]
    never = [step(5, "rerun", score=None, trained=True, pushed=True), step(6, "rerun"), step(7, "rerun", score=0.8)]
    summary = {"trainings": 1, "pushes": 1, "seconds": 4.5, "mean_score": 0.9}
    value = {"dataset": "taxi", "steps": {"gate": gate, "never": never}, "summary": {"gate": summary, "never": summary}}
    (folder / "gate" / "reports").mkdir(parents=True)
    (folder / "replay.json").write_text(json.dumps(value))
    decision = reports_of.hostile().decision
    lines = []
    for span, excess in ((6, 0.5), (7, 3.0)):
        drift = decision.evidence.drift
        features = (
            dataclasses.replace(drift.features[0], feature="fare", distance=0.05 * excess, threshold=0.05),
            dataclasses.replace(drift.features[1], feature="always quiet", distance=0.01, threshold=0.05),
        )
        evidence = dataclasses.replace(
            decision.evidence,
            span=span,
            drift=dataclasses.replace(drift, features=features),
            findings=(),
            performance=(),
        )
        lines.append(json.dumps(dataclasses.replace(decision, evidence=evidence, notes=()).to_dict() | {"log": "x"}))
    (folder / "gate" / "decisions.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "gate" / "reports" / "span-6-2026-01-01T00-00-00.html").touch()
    return folder


def test_a_replay_is_read_from_its_own_files(tmp_path):
    found = series_data.build_series(replay(tmp_path))

    assert (found.dataset, found.spans) == ("taxi", (5, 6, 7))
    assert [series.policy for series in found.policies] == ["gate", "never"]
    assert [step.done for step in found.policies[0].steps] == ["rerun", "skip", "block"]
    # The gate would have rerun; this policy did not.
    assert [step.done for step in found.policies[1].steps] == ["rerun", "skip", "skip"]
    assert [step.report for step in found.policies[0].steps] == [
        None,
        "gate/reports/span-6-2026-01-01T00-00-00.html",
        None,
    ]
    assert [row.feature for row in found.heat] == ["fare", "always quiet"]
    assert found.heat[0].excess == (None, pytest.approx(0.5), pytest.approx(3.0))


def test_its_page_shows_strips_heat_and_lines(tmp_path):
    page = render.series_page(series_data.build_series(replay(tmp_path)))

    assert "span 7: 3.0\u00a0× its threshold" in page
    assert "span 5 rerun, pushed; span 6 skip; span 7 block" in page
    assert 'class="cell heat-4"' in page
    assert 'class="cell heat-1"' in page
    assert 'href="gate/reports/span-6-2026-01-01T00-00-00.html"' in page
    assert "gate: span 6 0.900, span 7 0.900" in page
    assert "<script" not in page


def test_days_are_named_by_their_dates(tmp_path):
    folder = replay(tmp_path)
    value = json.loads((folder / "replay.json").read_text()) | {"pattern": "{YYYY}/{MM}/{DD}/data.csv"}
    (folder / "replay.json").write_text(json.dumps(value))

    page = files.write_series(folder).read_text()

    # 5 days after 1970-01-01, and the two after.
    names = ["1970-01-06", "1970-01-07", "1970-01-08"]
    assert re.findall(r"<tr><td>([^<]+)</td>", page) == [*names, *names]
    for drawn in ("chart strip", "chart"):
        (ticks,) = {
            tuple(name for name in re.findall(r'class="tick"[^>]*>([^<]+)<', svg) if name.startswith("1970"))
            for svg in re.findall(rf'<svg[^>]*class="{drawn}"[^>]*>.*?</svg>', page, re.DOTALL)
            if 'class="tick"' in svg and "1970" in svg
        }
        assert ticks == tuple(names)
    assert "span 1970-01-06 rerun, pushed; span 1970-01-07 skip" in page
    assert "Spans 1970-01-06 to 1970-01-08" in page


def test_what_trainings_brought_stands_beside_what_was_expected(tmp_path):
    folder = replay(tmp_path)
    value = json.loads((folder / "replay.json").read_text())
    value["steps"]["gate"] = [
        step(5, "rerun", trained=True, pushed=True, expected=0.03),
        # Its model reaches 0.93 where the one before would have reached 0.91.
        step(6, "recalibrate", score=0.93, replaced=0.91, pushed=True, expected=0.001),
        step(7, "skip", score=0.92, replaced=0.9),
    ]
    (folder / "replay.json").write_text(json.dumps(value))

    found = series_data.build_series(folder)

    assert found.gains == ((5, 0.03, pytest.approx(0.02)),)
    assert [each.done for each in found.policies[0].steps] == ["rerun", "recalibrate", "skip"]
    assert "1 trainings: expected +0.0300 AUC on average, brought +0.0200" in render.series_page(found)


def test_one_span_without_a_live_model_still_has_a_page(tmp_path):
    folder = replay(tmp_path)
    value = json.loads((folder / "replay.json").read_text())
    value["steps"] = {"gate": value["steps"]["gate"][:1]}
    (folder / "replay.json").write_text(json.dumps(value))

    assert "No span met a live model." in render.series_page(series_data.build_series(folder))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"dataset": "taxi"}',
        '{"dataset": "taxi", "steps": {}}',
        '{"dataset": "taxi", "steps": {"gate": [{"span": 1}]}}',
    ],
)
def test_a_damaged_replay_is_named(tmp_path, text):
    (tmp_path / "replay.json").write_text(text)

    with pytest.raises(ReportError, match=r"replay\.json is not what a replay leaves .*Play the replay again"):
        series_data.build_series(tmp_path)


@pytest.mark.parametrize("line", ['{"layout": 1, "verd', '{"layout": 99}', "{}", "[]"])
def test_a_torn_or_foreign_decision_is_left_out_of_the_heat_map(tmp_path, line):
    folder = replay(tmp_path)
    with (folder / "gate" / "decisions.jsonl").open("a") as file:
        file.write(line)

    page = series_data.build_series(folder)

    assert page.heat[0].excess == (None, pytest.approx(0.5), pytest.approx(3.0))
