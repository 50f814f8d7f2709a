"""The bar that `[evaluation] must_beat` sets: whether a candidate is better than a simple model, beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from pipeline.evaluation import registry

NAMES = {"majority": "no model", "linear": "a linear model", "trees": "gradient boosted trees"}
"""In the words of a reason."""
ONE_SIDED = NormalDist().inv_cdf(0.95)
"""Standard errors by which a candidate must be ahead: a useless one is that far ahead once in 20 times."""
_POWER = NormalDist().inv_cdf(0.8)
WORTH_SEEING = 0.2
"""Share of the way from the baseline to perfection. Rows that would not show a model this good must not refuse one."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A baseline on the candidate's own evaluation rows.

    Attributes:
      baseline: as `must_beat` names it.
      metric: by which they are compared.
      candidate, value: what the candidate and the baseline reach.
      error: standard error of the difference, of both on the same rows; None where none was measured, and the values
        alone decide.
    """

    baseline: str
    metric: str
    candidate: float
    value: float
    error: float | None

    @property
    def ahead(self) -> float:
        """By how much the candidate is better."""
        return registry.METRICS[self.metric].sign * (self.candidate - self.value)

    @property
    def tells(self) -> bool:
        """Whether these rows would show, four times in five, a model that is worth seeing."""
        perfect = 1.0 if registry.METRICS[self.metric].better == "higher" else 0.0
        return (ONE_SIDED + _POWER) * (self.error or 0.0) <= WORTH_SEEING * abs(perfect - self.value)

    @property
    def cleared(self) -> bool:
        """Whether the candidate is better beyond chance; where the rows are too few to tell, whether it is better."""
        needed = ONE_SIDED * (self.error or 0.0) if self.tells else 0.0
        return self.ahead > needed

    @property
    def words(self) -> str:
        """What came of it, as a reason says it."""
        title = registry.METRICS[self.metric].title
        what = f"{NAMES[self.baseline]} with {title} {self.value:.4f}"
        if self.cleared:
            return f"better than {what}" + ("" if self.tells else " (too few rows to tell it from chance)")
        if self.ahead <= 0 or self.error is None:
            return f"{title} {self.candidate:.4f} is no better than {what} ([evaluation] must_beat)"
        return (
            f"{title} {self.candidate:.4f} is better than {what} by {self.ahead:.4f}, which chance alone brings too: "
            f"beyond it lies {ONE_SIDED * self.error:.4f} ([evaluation] must_beat)"
        )
