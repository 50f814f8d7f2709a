"""Follows a run to its end, whatever runs it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.components import nodes
from pipeline.errors import PipelineError
from pipeline.runs.outcome import Result

State = Literal["running", "succeeded", "failed", "cancelled"]

# A run takes hours and a client's connection does not: so many answers in a row may be missing.
MAX_LOST_ANSWERS = 5


_RESULTS: Mapping[State, Result] = {
    "succeeded": Result.DONE,
    "failed": Result.FAILED,
    "cancelled": Result.KILLED,
}


class UnreachableError(PipelineError):
    """The backend could not be asked this time; it may answer the next."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What the backend says of a run.

    Attributes:
      tasks: the backend's own word for each task's state.
      failed: the tasks that have failed.
      message: the backend's error, where it gives one.
    """

    state: State
    tasks: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    message: str = ""

    @property
    def result(self) -> Result | None:
        """How the run ended; None while it has not."""
        if self.state == "failed" and self.failed == (nodes.REFUSE_SPAN,):
            return Result.REFUSED
        return _RESULTS.get(self.state)


def follow(
    ask: Callable[[], RunState],
    *,
    poll_s: float,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Result, RunState]:
    """Asks until the run has ended, and says each task's new state; returns how it ended, and what was said last.

    Raises:
      UnreachableError: the backend has not answered MAX_LOST_ANSWERS times in a row.
    """
    known: dict[str, str] = {}
    lost = 0
    while True:
        try:
            seen = ask()
        except UnreachableError as error:
            lost += 1
            if lost == MAX_LOST_ANSWERS:
                raise
            say(f"  no answer ({error}); asking again")
        else:
            lost = 0
            for task, state in sorted(seen.tasks.items()):
                if known.get(task) != state:
                    say(f"  {task:18} {state}")
                    known[task] = state
            if seen.result is not None:
                return seen.result, seen
        sleep(poll_s)
