"""Ends the run on a span that must not be used."""

import os

from tfx.dsl.component.experimental.annotations import InputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.utils import io_utils

from pipeline.artifacts import GateDecision
from pipeline.errors import DataError
from pipeline.gate.decision import DECISION_FILE, Decision, describe


@component
def RefuseSpan(decision: InputArtifact[GateDecision]) -> None:
    """Fails with the gate's reasons; runs only where the gate blocks, after the decision has been recorded.

    Raises:
      DataError: always.
    """
    text = io_utils.read_string_file(os.path.join(decision.uri, DECISION_FILE))
    raise DataError(describe(Decision.from_json(text)))
