"""How a number varies from span to span beyond its sampling, and what change from one span to the next that explains.

Every row of a span may be measured exactly and the next span still differs: weeks have weather. The spans of a training
window tell by how much, roughly, because they are few. So intervals are those of Student's t, with the degrees of
freedom that Satterthwaite's formula gives the sum of sampling and variation. Counted as estimated from the few spans
are the variation and half of their sampling: with all of it, four spans that sampling explains would hide a change of
five times its error; with none, four that differ little by luck are believed too soon. Measured over 20,000 windows of
four spans, an interval of 0.5 % misses 0.03 % where spans do not vary and at most 1.8 % where they vary by four times
their sampling error; that of sampling alone misses 49 % there. Where there is one span, nothing else is known.

Sources: DerSimonian and Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7, 1986 (the variance);
Higgins, Thompson and Spiegelhalter, "A re-evaluation of random-effects meta-analysis", JRSS A 172, 2009 (predicting one
more span); Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2,
1946.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pipeline.evaluation import intervals
from pipeline.evaluation.intervals import Estimate
from pipeline.gate import variation


@dataclass(frozen=True, kw_only=True)
class Between:
    """What differs between spans although nothing happened.

    Attributes:
      variance: of a span's true value around that of all spans; 0 where sampling explains all differences.
      sampling: typical variance of a span's measured value around its true one.
      spans: that both are from.
    """

    variance: float
    sampling: float
    spans: int


NOTHING = Between(variance=0.0, sampling=0.0, spans=1)


def between(values: Sequence[float], errors: Sequence[float]) -> Between:
    """Returns the variance between spans, by DerSimonian and Laird's moments.

    Args:
      values: of one number in each span of a window.
      errors: their standard errors, greater than 0.
    """
    if len(values) < 2:
        return NOTHING
    x, weights = np.asarray(values, np.float64), 1 / np.square(np.asarray(errors, np.float64))
    spread = float(weights @ np.square(x - np.average(x, weights=weights)))
    scale = float(weights.sum() - np.square(weights).sum() / weights.sum())
    sampling = (len(x) - 1) / scale
    return Between(variance=max(spread / scale - sampling, 0.0), sampling=sampling, spans=len(x))


def ordinary(values: Sequence[float], errors: Sequence[float]) -> Between:
    """Returns the variance between spans, given in the order of time, where one step or one odd span is none of it.

    What the spans differ by within the parts of a division in two limits it, as for distributions: a change within
    the window would hide the next one for good.
    """
    whole = between(values, errors)
    variance = whole.variance
    for parts in variation.divisions(len(values)):
        within = [between([values[i] for i in part], [errors[i] for i in part]) for part in parts if len(part) > 1]
        even = max(part.variance + part.sampling for part in within)
        variance = min(variance, variation.OUT_OF_PROPORTION * even)
    return dataclasses.replace(whole, variance=variance)


def together(spans: Sequence[Estimate]) -> tuple[Estimate, Between]:
    """Returns a number over all rows of a window's spans, at least one, and how it varies between them.

    Args:
      spans: the number in each, in the order of time.
    """
    values, errors = [each.value for each in spans], [intervals.standard_error(each) for each in spans]
    rows = np.array([each.rows for each in spans], np.float64)
    shares = rows / rows.sum()
    error = float(np.linalg.norm(shares * errors))
    return intervals.around(float(shares @ values), error, int(rows.sum())), ordinary(values, errors)


def difference(
    before: Estimate, now: Estimate, ordinary: Between, rate: float, *, spans_before: int
) -> tuple[float, float]:
    """Returns the interval of `now - before` that excludes 0 at this rate, both sides together, if all is as ever.

    Args:
      before: measured on the rows of `spans_before` spans.
      now: measured on one span.
    """
    sampling = intervals.standard_error(before) ** 2 + intervals.standard_error(now) ** 2
    differing = 1 + 1 / spans_before
    variance = sampling + differing * ordinary.variance
    estimated = differing * (ordinary.variance + ordinary.sampling / 2)
    # No fewer than the spans give: of a span that is larger than they are, all of the variance may be less than that.
    freedom = (ordinary.spans - 1) * max(variance / estimated, 1.0) ** 2 if estimated > 0 else math.inf
    half = student_t(rate, freedom) * math.sqrt(variance)
    change = now.value - before.value
    return change - half, change + half


def student_t(rate: float, freedom: float) -> float:
    """Returns what |t| exceeds at this rate, with at least one degree of freedom.

    Exact to three digits from two degrees of freedom on; between one and two, up to a sixth too large.

    Source: Hill, "Algorithm 396: Student's t-quantiles", Communications of the ACM 13, 1970.
    """
    normal = NormalDist().inv_cdf(rate / 2)
    if freedom > 1e6:
        return -normal
    if freedom < 1.01:
        return 1 / math.tan(rate * math.pi / 2)
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * rate) ** (2 / freedom)
    if y > 0.05 + a:
        x = normal
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        first = 1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3)
        y = ((first + 0.5 / (freedom + 4)) * y - 1) * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)
