"""What commands give, as values that a notebook shows."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas

Json = Mapping[str, Any]  # Any: JSON.


@dataclass(frozen=True)
class Run:
    """A run of the pipeline, or a look at what it would decide.

    Attributes:
      result: how it ended, in a word: `pushed`, `skipped`, `refused`, `not_blessed`, `explained` and the others of
        docs/pipeline.md.
      verdict: the gate's: `block`, `skip` or `rerun`; None where it had nothing to decide.
      reasons: why, in sentences.
      pushed_version: None where nothing was pushed.
      report: the page of the run; None of one that only explained.
      value: all that `run --json` prints.
    """

    result: str
    span: int
    verdict: Literal["block", "skip", "rerun"] | None
    reasons: tuple[str, ...]
    pushed_version: int | None
    report: Path | None
    value: Json = field(repr=False)

    @property
    def features(self) -> pandas.DataFrame:
        """How far each feature moved, the largest excess over its threshold first; empty where nothing was compared."""
        evidence = (self.value.get("decision") or {}).get("evidence") or {}
        return frame((evidence.get("drift") or {}).get("features", ()), "feature")

    @property
    def evaluation(self) -> pandas.DataFrame:
        """The candidate beside the live model, overall and by slice; empty where nothing was trained."""
        return frame((self.value.get("evaluation") or {}).get("slices", ()), "slice")

    @property
    def components(self) -> pandas.DataFrame:
        """What each component did, and its seconds."""
        return frame(self.value["components"], "node")

    def _repr_html_(self) -> str:
        if self.report is not None and self.report.is_file():
            return framed(self.report.read_text(encoding="utf-8"))
        said = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        moved = self.features
        table = moved.to_html(max_rows=20) if len(moved) else ""
        verdict = (self.verdict or self.result).upper()
        return f"<p><b>{html.escape(verdict)} span {self.span}</b></p><ul>{said}</ul>{table}"


@dataclass(frozen=True)
class Drift:
    """A span compared with what the live model was trained on, or with another span.

    Attributes:
      against: the name of the other side.
      not_compared: what could not be compared, in sentences.
      value: all that `drift --json` prints.
      picture: the report's own drawing of what moved most, an SVG document; "" where there is nothing to draw.
    """

    span: int
    against: str
    not_compared: tuple[str, ...]
    value: Json = field(repr=False)
    picture: str = field(repr=False)

    @property
    def features(self) -> pandas.DataFrame:
        """How far each feature moved, the largest excess over its threshold first."""
        return frame(self.value["drift"]["features"], "feature")

    @property
    def moved(self) -> tuple[str, ...]:
        """The features that moved beyond their thresholds."""
        return tuple(item["feature"] for item in self.value["drift"]["features"] if item["moved"])

    def _repr_html_(self) -> str:
        return framed(self.picture, height=480) if self.picture else str(self.features.to_html(max_rows=20))


@dataclass(frozen=True)
class Replay:
    """A dataset's spans, played in order on a fresh root.

    Attributes:
      report: the page of the whole series.
      value: all that `replay --json` prints.
    """

    report: Path | None
    value: Json = field(repr=False)

    @property
    def steps(self) -> pandas.DataFrame:
        """What each span brought, by policy and span."""
        listed = [{"policy": policy, **step} for policy, steps in self.value["steps"].items() for step in steps]
        return frame(listed, ("policy", "span"))

    @property
    def summary(self) -> pandas.DataFrame:
        """What each policy cost, and how good its live models were."""
        return frame([{"policy": policy, **said} for policy, said in self.value["summary"].items()], "policy")

    def _repr_html_(self) -> str:
        if self.report is not None and self.report.is_file():
            return framed(self.report.read_text(encoding="utf-8"))
        return str(self.summary.to_html())


@dataclass(frozen=True)
class Look:
    """What was asked of a server, compared with the training rows of the version that answered.

    Attributes:
      new_records: requests that no earlier look had seen.
      value: all that `monitor --json` prints.
    """

    new_records: int
    value: Json = field(repr=False)

    @property
    def windows(self) -> pandas.DataFrame:
        """The windows that are judged, this look's and earlier ones: version, rows, alerts; times in UTC."""
        import pandas

        listed = [
            {
                "begin": pandas.Timestamp(one["start"], unit="s", tz="UTC"),
                "end": pandas.Timestamp(one["end"], unit="s", tz="UTC"),
                "version": one["version"],
                "rows": one["rows"],
                "alerts": [alert["text"] for alert in one["alerts"]],
            }
            for one in self.value["windows"]
        ]
        return frame(listed, "begin")

    @property
    def waiting(self) -> pandas.DataFrame:
        """Rows that wait for the end of their window, or for more of them, by version."""
        return frame(self.value["waiting"], "version")

    def _repr_html_(self) -> str:
        windows = self.windows
        if len(windows):
            return str(windows.to_html(max_rows=20))
        waits = sum(one["rows"] for one in self.value["waiting"])
        return f"<p>{self.new_records} new requests; no window is judged yet, {waits} rows wait.</p>"


def frame(rows: Sequence[Json], index: str | tuple[str, ...]) -> pandas.DataFrame:
    """Returns rows as a data frame; an empty one where there are none."""
    import pandas

    made = pandas.DataFrame(list(rows))
    names = [index] if isinstance(index, str) else list(index)
    return made.set_index(names if len(names) > 1 else names[0]) if set(names) <= set(made) else made


def framed(page: str, height: int = 640) -> str:
    """Returns a whole page or a drawing as part of a notebook, its styles kept apart from the notebook's."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="" loading="lazy" '
        f'style="width: 100%; height: {height}px; border: 0"></iframe>'
    )
