"""Records how a rerun came to its end, on orchestrators that have no caller of ours to do so."""

from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import PushedModel

from pipeline.artifacts import GateDecision
from pipeline.state import span_records


@component
def RecordOutcome(
    decision: InputArtifact[GateDecision],
    pushed_model: InputArtifact[PushedModel],
    state_dir: Parameter[str],
    thresholds: Parameter[str],
) -> None:
    """Completes the span's record, so that the span is done: pushed, or not blessed.

    Args:
      state_dir: where the gate has written the record.
      thresholds: a hash of what the candidate was judged by; see span_records.reopened.
    """
    span_records.complete(
        state_dir,
        decision.get_int_custom_property("span"),
        decision.get_int_custom_property("version"),
        outcome="pushed" if pushed_model.get_int_custom_property("pushed") == 1 else "not_blessed",
        thresholds=thresholds,
    )
