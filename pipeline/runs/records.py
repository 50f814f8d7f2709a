"""What runs leave in a root's journals: every decision in `decisions.jsonl`, how every run ended in `runs.jsonl`."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files, json_values
from pipeline.gate.decision import Decision
from pipeline.runs.outcome import Result
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
      run_id: the run's own in ML Metadata, by which its report is named; empty where an older release ran.
      log: the run's; empty where an older release ran.
      seconds: wall time of each component that ran.
      version: the model version that the run pushed; None where it pushed none.
    """

    span: int
    started_at: int
    ended_at: int
    result: Result
    seconds: Mapping[str, float]
    version: int | None = None
    run_id: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class BegunRun:
    """A run that has begun.

    Attributes:
      newest: the newest version before it; 0 where there was none.
      run_id, log: as of an ended run.
    """

    span: int
    started_at: int
    newest: int
    run_id: str = ""
    log: str = ""


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


def shorten(root: Root, lines: int) -> None:
    """Shortens both journals to so many of the newest lines. The caller holds the root's lock."""
    journal.shorten(root.decisions, lines, _decision_key)
    journal.shorten(root.runs, lines, lambda line: str(line["result"]))


def forgotten_decisions(root: Root) -> Counter[tuple[str, str]]:
    """Returns how many decisions the journal has lost by being shortened, by verdict and kind of the first reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for key, count in journal.forgotten(root.decisions).items():
        verdict, _, kind = key.partition(" ")
        counts[verdict, kind] += count
    return counts


def forgotten_runs(root: Root) -> Counter[str]:
    """Returns how many runs the journal has lost by being shortened, by result."""
    return journal.forgotten(root.runs)


def _decision_key(line: Mapping[str, Any]) -> str:  # Any: JSON.
    decision = DecisionRecord.from_dict(line).decision
    return f"{decision.verdict.value} {decision.reasons[0].kind if decision.reasons else 'none'}"


def begin_run(root: Root, run: BegunRun) -> None:
    """Notes which run is at work. The caller holds the root's lock."""
    files.write(str(root.path), BEGUN, json.dumps(dataclasses.asdict(run)).encode())


def read_begun_run(root: Root) -> BegunRun | None:
    """Returns the run that is at work, or was killed since the last one ended; None where there is none."""
    content = files.read(str(root.path), BEGUN)
    try:
        return None if content is None else json_values.from_json_values(BegunRun, json.loads(content))
    except ValueError:
        return None


def forget_begun_run(root: Root) -> None:
    """Ends the note, once the run is in its journal."""
    (root.path / BEGUN).unlink(missing_ok=True)


def end_killed_run(root: Root, serving_dir: Path, *, now: int) -> None:
    """Records the run that was killed before it could: as pushed where its version had become visible."""
    begun = read_begun_run(root)
    if begun is not None:
        versions = [number for number in pushed_versions(serving_dir) if number > begun.newest]
        pushed = [number for number in versions if read_rollback(serving_dir / str(number)) is None]
        killed = EndedRun(
            span=begun.span,
            started_at=begun.started_at,
            ended_at=now,
            result=Result.PUSHED if pushed else Result.KILLED,
            seconds={},
            version=pushed[0] if pushed else None,
            run_id=begun.run_id,
            log=begun.log,
        )
        append_run(root, killed)
    forget_begun_run(root)
