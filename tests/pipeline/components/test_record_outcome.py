"""A span whose rerun ended on another orchestrator is done, by the one definition of it."""

import pytest
from tfx.types.standard_artifacts import PushedModel

from pipeline.artifacts import GateDecision
from pipeline.components.record_outcome import RecordOutcome
from pipeline.state import span_records
from pipeline.state.version_folder import LiveTraining
from tests.helpers.records import record

NONE_LIVE = LiveTraining(window=(), withdrawn=(), origin=0)


@pytest.mark.parametrize(("pushed", "outcome"), [(1, "pushed"), (0, "not_blessed")])
def test_a_rerun_that_came_to_its_end_is_done(tmp_path, pushed, outcome):
    span_records.write_record(str(tmp_path), record(5, 1, verdict="rerun"))
    (before,) = span_records.read_records(str(tmp_path))
    decision, pushed_model = GateDecision(), PushedModel()
    decision.set_int_custom_property("span", 5)
    decision.set_int_custom_property("version", 1)
    pushed_model.set_int_custom_property("pushed", pushed)

    RecordOutcome.test_call(decision=decision, pushed_model=pushed_model, state_dir=str(tmp_path), thresholds="strict")

    (after,) = span_records.read_records(str(tmp_path))
    assert (after.outcome, after.thresholds) == (outcome, "strict")
    assert not span_records.is_done(before, NONE_LIVE)
    assert span_records.is_done(after, NONE_LIVE)
