"""What the monitor tells the gate: a file that counts for one version."""

import pytest

from pipeline.errors import PipelineError
from pipeline.gate import serving_evidence
from pipeline.gate.evidence import ServingAlert
from pipeline.gate.serving_evidence import ServingEvidence

FARE = ServingAlert(kind="skew", feature="fare", text="`fare`: median 8 → 800")


def evidence(*alerts, version="7"):
    return ServingEvidence(version=version, start=0, end=86_400, rows=900, alerts=alerts)


def test_alerts_count_for_the_version_that_answered(tmp_path):
    assert serving_evidence.alerts(str(tmp_path), "7") is None
    serving_evidence.write(str(tmp_path), evidence(FARE))

    assert serving_evidence.read(str(tmp_path)) == evidence(FARE)
    assert serving_evidence.alerts(str(tmp_path), "7") == (FARE,)
    assert serving_evidence.alerts(str(tmp_path), "8") is None


def test_the_gate_decides_anew_when_alerts_change_and_only_then(tmp_path):
    tokens = [serving_evidence.token(str(tmp_path))]
    for found in (evidence(), evidence(FARE), evidence(FARE), evidence(FARE, version="8")):
        serving_evidence.write(str(tmp_path), found)
        tokens.append(serving_evidence.token(str(tmp_path)))

    assert tokens[0] == tokens[1] == ""
    assert tokens[2] == tokens[3]
    assert len({tokens[0], tokens[2], tokens[4]}) == 3


@pytest.mark.parametrize("text", ["", "[]", '{"layout": 2}', '{"layout": 1, "version": 7}'])
def test_a_file_of_another_kind_is_named(tmp_path, text):
    (tmp_path / "serving.json").write_text(text)

    with pytest.raises(PipelineError, match=r"serving.json is not what the monitor writes"):
        serving_evidence.read(str(tmp_path))
    # The gate says so and decides all the same.
    (alert,) = serving_evidence.alerts(str(tmp_path), "7")
    assert "serving.json is not what the monitor writes" in alert.text
    assert serving_evidence.token(str(tmp_path)) != ""
