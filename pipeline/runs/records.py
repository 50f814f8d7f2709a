"""What runs leave in a root's journals: every decision in `decisions.jsonl`, how every run ended in `runs.jsonl`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files, json_values
from pipeline.gate.decision import Decision
from pipeline.state import journal
from pipeline.state.root import Root
from pipeline.state.version_folder import pushed_versions, read_rollback

BEGUN = "running.json"


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
      result: `outcome.Result`, or "failed", "interrupted" or "killed".
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


def begin_run(root: Root, span: int, serving_dir: Path, *, now: int) -> None:
    """Notes which run is at work, and which version was the newest before it. The caller holds the root's lock."""
    note = {"span": span, "started_at": now, "newest": max(pushed_versions(serving_dir), default=0)}
    files.write(str(root.path), BEGUN, json.dumps(note).encode())


def forget_begun_run(root: Root) -> None:
    """Ends the note, once the run is in its journal."""
    (root.path / BEGUN).unlink(missing_ok=True)


def end_killed_run(root: Root, serving_dir: Path, *, now: int) -> None:
    """Records the run that was killed before it could: as pushed where its version had become visible."""
    content = files.read(str(root.path), BEGUN)
    if content is None:
        return
    try:
        note = json.loads(content)
        span, started_at, newest = int(note["span"]), int(note["started_at"]), int(note["newest"])
    except (ValueError, LookupError, TypeError):
        forget_begun_run(root)
        return
    later = [n for n in pushed_versions(serving_dir) if n > newest and read_rollback(serving_dir / str(n)) is None]
    killed = EndedRun(
        span=span,
        started_at=started_at,
        ended_at=now,
        result="pushed" if later else "killed",
        seconds={},
        version=later[0] if later else None,
    )
    append_run(root, killed)
    forget_begun_run(root)
