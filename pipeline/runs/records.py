"""What runs leave in a root's journals: every decision in `decisions.jsonl`, how every run ended in `runs.jsonl`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import json_values
from pipeline.gate.decision import Decision
from pipeline.state import journal
from pipeline.state.root import Root


@dataclass(frozen=True, kw_only=True)
class DecisionRecord:
    """A decision, and the log of the run that made it; empty where it is not known."""

    decision: Decision
    log: str = ""

    def to_dict(self) -> dict[str, Any]:  # Any: JSON.
        """Returns the line of the journal."""
        return {**self.decision.to_dict(), "log": self.log}

    @classmethod
    def from_dict(cls, line: Mapping[str, Any]) -> DecisionRecord:  # Any: JSON.
        """Reads a line of the journal.

        Raises:
          ValueError: not a decision, or one of another layout.
        """
        decision = Decision.from_dict({name: item for name, item in line.items() if name != "log"})
        return cls(decision=decision, log=str(line.get("log", "")))


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """How one run ended.

    Attributes:
      started_at, ended_at: seconds since 1970.
      result: one of `outcome.RESULTS`.
      seconds: wall time of each component that ran.
      version: the model version that the run pushed; None where it pushed none.
    """

    span: int
    started_at: int
    ended_at: int
    result: str
    seconds: Mapping[str, float]
    version: int | None = None


def append_decision(root: Root, decision: Decision, log: str) -> None:
    """Appends a decision to its journal."""
    journal.append(root.decisions, DecisionRecord(decision=decision, log=log).to_dict())


def read_decisions(root: Root) -> list[DecisionRecord]:
    """Returns every decision, oldest first."""
    return journal.read(root.decisions, DecisionRecord.from_dict)


def append_run(root: Root, run: EndedRun) -> None:
    """Appends how a run ended to its journal."""
    journal.append(root.runs, dataclasses.asdict(run))


def read_runs(root: Root) -> list[EndedRun]:
    """Returns how every run ended, oldest first."""
    return journal.read(root.runs, lambda line: json_values.from_json_values(EndedRun, line))
