"""What the monitor found in the requests that a version answered: one small file beside the spans' records.

The monitor writes it, the gate reads it, under a location that is a plain parameter as for `pipeline.state`. It counts
for the version that it names only: once another one is live, it says nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from pipeline import files, json_values
from pipeline.errors import PipelineError
from pipeline.gate.evidence import ServingAlert

FILE = "serving.json"
LAYOUT = 1


@dataclass(frozen=True, kw_only=True)
class ServingEvidence:
    """The newest judged window of requests.

    Attributes:
      version: the model version that answered.
      start, end: of the window, seconds since 1970.
      rows: of the window.
      alerts: empty where nothing moved, which takes an earlier alert back.
    """

    version: str
    start: int
    end: int
    rows: int
    alerts: tuple[ServingAlert, ...]


def write(state_dir: str, evidence: ServingEvidence) -> None:
    """Replaces the evidence, whole or not at all."""
    value = {"layout": LAYOUT, **json_values.to_json_values(dataclasses.asdict(evidence))}
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if files.read(state_dir, FILE) != text.encode():
        files.write(state_dir, FILE, text.encode())


def read(state_dir: str) -> ServingEvidence | None:
    """Returns the evidence, or None where no requests were compared yet.

    Raises:
      PipelineError: the file is something else; names it.
    """
    content = files.read(state_dir, FILE)
    if content is None:
        return None
    try:
        value = json.loads(content)
        layout = value.pop("layout", None) if isinstance(value, dict) else None
        if layout != LAYOUT:
            raise ValueError(f"expected layout {LAYOUT}. Received: {layout!r}")
        return json_values.from_json_values(ServingEvidence, value)
    except ValueError as error:
        raise PipelineError(
            f"{state_dir}/{FILE} is not what the monitor writes ({error}). Remove it; the monitor writes it again."
        ) from error


def alerts(state_dir: str, version: str) -> tuple[ServingAlert, ...] | None:
    """Returns what requests say of this version; None where none of its requests were compared.

    A file that cannot be read is an alert itself: the monitor's mishaps never keep the gate from deciding.
    """
    try:
        evidence = read(state_dir)
    except PipelineError as error:
        return (ServingAlert(kind="skew", text=str(error)),)
    return evidence.alerts if evidence is not None and evidence.version == version else None


def token(state_dir: str) -> str:
    """Returns a hash of the alerts, for a cache key; "" where there are none."""
    try:
        evidence = read(state_dir)
    except PipelineError as error:
        return "-" + hashlib.sha256(str(error).encode()).hexdigest()[:16]
    if evidence is None or not evidence.alerts:
        return ""
    text = json.dumps([evidence.version, *(dataclasses.astuple(alert) for alert in evidence.alerts)])
    return "-" + hashlib.sha256(text.encode()).hexdigest()[:16]
