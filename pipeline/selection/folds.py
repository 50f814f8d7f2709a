"""Out-of-time folds: a span is predicted by what was trained on spans before it, as every live model meets its spans.

Random folds would put rows of one day on both sides, and flatter whatever learns the days by heart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A span, and the spans before it that its model is trained on, ascending."""

    span: int
    trained_on: tuple[int, ...]


def plan(existing: Collection[int], window: int, tested: Sequence[int] = ()) -> tuple[Fold, ...]:
    """Returns the folds, in the order of their spans.

    Args:
      existing: all spans that there are.
      window: on how many spans before it the model of a fold is trained, at most.
      tested: the spans to predict; empty for the newest `window` that have a span before them.

    Raises:
      ConfigError: nothing can be tested: no span has another one before it, or a span of `tested` has none.
    """
    spans = sorted(existing)
    if len(spans) < 2:
        raise ConfigError(
            f"Folds over time need at least two spans: one to train on, and a later one to predict. Found: "
            f"{', '.join(map(str, spans)) or 'none'}."
        )
    if tested and min(tested) == spans[0]:
        raise ConfigError(f"--spans: span {spans[0]} has no span before it to train on. Begin with {spans[1]}.")
    chosen = sorted(tested) or spans[1:][-window:]
    return tuple(
        Fold(span=span, trained_on=tuple(earlier for earlier in spans if earlier < span)[-window:]) for span in chosen
    )
