"""The spans that were compared with the live model since its push, as rows per frozen bin: small moves add up in them.

One file under the records' location, replaced whole. The counts are over the bins of one version's baseline, so the
file begins anew with each version that goes live.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import files, json_values
from pipeline.errors import PipelineError

FILE = "since-push.json"
MOST_SPANS = 64
"""What older spans did is part of no sum any more."""


@dataclass(frozen=True, kw_only=True)
class SpanCounts:
    """One compared span.

    Attributes:
      counts: its rows per bin of the live model's baseline, as `gate.bins.count` lays them out.
      gain: in AUC, that a training was expected to bring; None where nothing asked for one.
    """

    span: int
    version: int
    counts: tuple[int, ...]
    gain: float | None = None


@dataclass(frozen=True, kw_only=True)
class _SincePush:
    live_version: str
    spans: tuple[SpanCounts, ...]


def read(state_dir: str, live_version: str, *, before: int) -> tuple[SpanCounts, ...]:
    """Returns the spans before this one that were compared with this version, ascending; the newest version of each.

    Raises:
      PipelineError: the file is damaged; names it.
    """
    content = files.read(state_dir, FILE)
    if content is None:
        return ()
    try:
        kept = json_values.from_json_values(_SincePush, json.loads(content))
    except ValueError as error:
        raise PipelineError(
            f"{state_dir}/{FILE} is damaged ({error}). Remove it: sums over several spans then begin anew."
        ) from error
    return tuple(item for item in kept.spans if item.span < before) if kept.live_version == live_version else ()


def write(state_dir: str, live_version: str, earlier: Sequence[SpanCounts], span: SpanCounts) -> None:
    """Writes what `read` returned, and one span more."""
    kept = _SincePush(live_version=live_version, spans=(*earlier, span)[-MOST_SPANS:])
    files.write(state_dir, FILE, json.dumps(json_values.to_json_values(dataclasses.asdict(kept))).encode())
