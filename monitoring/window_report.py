"""The report on one window of requests that one version answered, as plain values and as a file."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from columnar import split_files
from monitoring.predictions import PredictionChange
from pipeline import files, json_values
from pipeline.gate.evidence import Drift, Finding, MetricChange, NotCompared, ServingAlert
from pipeline.gate.performance import Evaluation

logger = logging.getLogger(__name__)

LAYOUT = 1
REPORT = "report.json"


@dataclass(frozen=True, kw_only=True)
class Performance:
    """The answers of a window against the labels that came for them.

    Attributes:
      labelled: answers whose label has come; evaluation: of those.
      changes: against the model's out-of-time evaluation at push; empty where that is not known.
      metrics: of those, overall, by the names of pipeline/evaluation/registry.py; those that are defined.
    """

    labelled: int
    evaluation: Evaluation
    changes: tuple[MetricChange, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WindowReport:
    """A judged window.

    Attributes:
      start, end: seconds since 1970; earlier windows that had too few rows are part of it.
      version: of the model that answered.
      rows: of the window.
      skew: features against the training rows; None where nothing was compared.
      findings: what is wrong with the values, as in the gate.
      performance: None while no labels have come.
      alerts: what someone should look at, the gate included.
      not_compared: what could not be compared, and why.
    """

    start: int
    end: int
    version: int
    rows: int
    skew: Drift | None
    findings: tuple[Finding, ...]
    prediction: PredictionChange | None
    performance: Performance | None
    alerts: tuple[ServingAlert, ...]
    not_compared: tuple[NotCompared, ...]

    @property
    def period(self) -> str:
        """The window in words, in UTC."""
        return describe_period(self.start, self.end)

    @property
    def folder(self) -> str:
        """The folder of its report below `monitoring/reports`."""
        return f"window-{self.end}-version-{self.version}"

    def to_json(self) -> str:
        """Serializes to JSON."""
        value = {"layout": LAYOUT, **json_values.to_json_values(dataclasses.asdict(self))}
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> WindowReport:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: it is something else.
        """
        value = json.loads(text)
        if not isinstance(value, dict) or value.pop("layout", None) != LAYOUT:
            raise ValueError(f"expected layout {LAYOUT}")
        return json_values.from_json_values(cls, value)


def describe_period(start: int, end: int) -> str:
    """Returns a window in words: a day by its date, everything else by its ends; UTC."""
    first, last = (datetime.datetime.fromtimestamp(time, datetime.UTC) for time in (start, end))
    if end - start == 86_400 and first.time() == datetime.time():
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def write(folder: Path, report: WindowReport, statistics: bytes) -> None:
    """Writes the report and TFDV's statistics of the window; the report last, for it makes the folder one."""
    target = str(folder / report.folder)
    files.write(target, split_files.STATISTICS, statistics)
    files.write(target, REPORT, report.to_json().encode())


@functools.lru_cache(maxsize=4096)
def _read(path: Path, _modified: int, _size: int) -> WindowReport:
    """Reads a report; once, as long as the file is the same."""
    return WindowReport.from_json(path.read_text(encoding="utf-8"))


def read_all(folder: Path) -> list[WindowReport]:
    """Returns every report, the oldest first. One that is damaged is passed over with a warning; it is made again."""
    reports = []
    for path in folder.glob(f"window-*/{REPORT}"):
        try:
            stat = path.stat()
            reports.append(_read(path, stat.st_mtime_ns, stat.st_size))
        except (OSError, ValueError) as error:
            logger.warning("%s is not a report of a window: %r", path, error)
    return sorted(reports, key=lambda report: (report.end, report.version))
