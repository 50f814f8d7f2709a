"""Do the columns still go together? Each of them may keep its own distribution while their relations break.

Trees learn to tell the span's rows from the training window's, over the frozen bins, and are asked about rows that they
have not seen. The window's rows are weighted so that every column has the span's distribution (raking): what a column
does by itself is the business of drift.py and invisible here; only what columns do together is left. The answer is the
share of the span's rows that lie where the window has too few: of several cutoffs the one with the largest standardized
excess, against what chance makes of the largest. Weights that fit the span take a little of chance away, so the test
errs on the quiet side.

Sources: Deming and Stephan, "On a least squares adjustment of a sampled frequency table", Annals of Mathematical
Statistics 11, 1940 (raking); Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017; Kim, Ramdas,
Singh and Wasserman, "Classification accuracy as a proxy for two-sample testing", Annals of Statistics 49, 2021.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.gate import bins as frozen_bins
from pipeline.gate import clusters, relations
from pipeline.gate.bins import FeatureBins
from pipeline.gate.clusters import Groups
from pipeline.gate.distances import Floats
from pipeline.gate.evidence import JointDrift, Limit
from pipeline.gate.policy import GatePolicy

Codes = npt.NDArray[np.uint16]

MOST_ROWS = 10_000
"""Of the window and of the span; of more, so many are drawn at random."""
LEAST_ROWS = 50
MOST_SPANS = 6
"""Of the window, the newest ones, among which the ordinary variation is measured."""
OUT_OF_PROPORTION = 2.0
"""A span of the window that lies so many times as far from the others as the next one is no ordinary variation: a part
of the others' distance is from it."""
_SWEEPS = 8
_MOST_WEIGHT = 20.0
_FOLDS = 2
_REPLICATES = 5_000
_CUTOFFS = np.array([0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
"""Shares of the rows that look most like the span's."""
_LEAST_BEYOND = 5
"""Of the span's rows beyond a cutoff, by chance; fewer are no evidence."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows of a training window.

    Attributes:
      codes: their bins, of every feature of the baseline, uint16 (rows, features).
      groups: the group of each row, where rows come in groups; empty otherwise, int64 (rows,).
      variation: the largest share of the rows of a span of the window that lies apart from the other spans; NaN where
        the window has one span.
    """

    codes: Codes
    groups: Groups
    variation: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "variation", float(self.variation))  # Arrays are what is stored.


def looked_at(bins: Sequence[FeatureBins], label: str, exclude: Sequence[str]) -> list[int]:
    """Returns the positions of the features that are looked at together; the label has its own rows."""
    return [
        index
        for index, feature in enumerate(bins)
        if feature.kind != "presence" and feature.name != label and feature.column not in exclude
    ]


def draw(spans: Sequence[Codes], groups: Sequence[Groups | None], kept: Sequence[int], *, seed: int = 0) -> Sample:
    """Draws the sample of a training window, and measures what its spans do among each other.

    Args:
      spans: codes of each span's rows, in the order of time.
      groups: of each span's rows, where rows come in groups.
      kept: positions of the features that are looked at together.
    """
    rng = np.random.default_rng(seed)
    together = np.concatenate(spans)
    numbered = _numbered(groups)
    chosen = _choose(len(together), MOST_ROWS, rng)
    apart = []
    newest = range(max(0, len(spans) - MOST_SPANS), len(spans))
    for index in newest if len(newest) > 1 and len(kept) > 1 else ():
        own = np.repeat([number == index for number in range(len(spans))], [len(span) for span in spans])
        recent = np.repeat([number in newest for number in range(len(spans))], [len(span) for span in spans])
        if min(own.sum(), (recent & ~own).sum()) >= LEAST_ROWS:
            two = [np.flatnonzero(rows) for rows in (recent & ~own, own)]
            others, mine = (rows[_choose(len(rows), MOST_ROWS, rng)] for rows in two)
            before, now = together[others][:, list(kept)], together[mine][:, list(kept)]
            apart.append(_separate(before, now, _of(numbered, others), _of(numbered, mine), rng).share)
    return Sample(
        codes=together[chosen],
        groups=np.zeros(0, np.int64) if numbered is None else numbered[chosen],
        variation=_ordinary(apart),
    )


def compare(
    table: pa.Table,
    sample: Sample,
    bins: Sequence[FeatureBins],
    label: str,
    policy: GatePolicy,
    *,
    moved: Collection[str] = (),
    seed: int = 0,
) -> JointDrift | None:
    """Compares how a span's columns go together with how they did in the training window; None for a handful of rows.

    Args:
      table: the span's rows, flat columns.
      sample: of the training window.
      bins: of the baseline; `label` is the name of the label's.
      moved: features that moved by themselves: a fare that is raised goes with other miles, and is said already.
    """
    rng = np.random.default_rng(seed)
    if min(table.num_rows, len(sample.codes)) < LEAST_ROWS:
        return None
    if table.num_rows > MOST_ROWS:
        table = table.take(pa.array(_choose(table.num_rows, MOST_ROWS, rng)))
    now, groups = frozen_bins.encode(table, bins), clusters.of(table, policy.cluster)
    # A derived column of the live model that the dataset no longer has is in no row.
    left_out = (*policy.exclude, *(one.column for one in bins if one.column not in table.column_names))

    def look(kept: Sequence[int]) -> tuple[JointDrift | None, bool]:
        return _compare(now, groups, sample, bins, kept, policy, rng) if len(kept) > 1 else (None, False)

    found, _ = look(looked_at(bins, label, (*left_out, *moved)))
    if moved and (found is None or not found.moved):
        # Where a column moved in the rows of one value alone, that is news.
        with_moved, in_one_value = look(looked_at(bins, label, left_out))
        return with_moved if in_one_value else found
    return found


def _compare(
    now: Codes,
    groups: Groups | None,
    sample: Sample,
    bins: Sequence[FeatureBins],
    kept: Sequence[int],
    policy: GatePolicy,
    rng: np.random.Generator,
) -> tuple[JointDrift, bool]:
    """Returns the comparison of these features, and whether they go otherwise in the rows of one value alone."""
    before, now = sample.codes[:, list(kept)], now[:, list(kept)]
    apart = _separate(before, now, sample.groups if len(sample.groups) else None, groups, rng)
    noise, chance = apart.limits(policy.alarm_rate("joint"), rng)
    sizes: dict[Limit, float] = {"noise": noise, "variation": sample.variation, "floor": policy.min_l_infinity}
    limit: Limit = max(sizes, key=lambda name: -1.0 if np.isnan(sizes[name]) else sizes[name])
    moved = apart.share > sizes[limit]
    change = relations.describe(before, now, apart.weights, [bins[index] for index in kept]) if moved else None
    found = JointDrift(
        share=max(apart.share, 0.0),
        threshold=sizes[limit],
        limit=limit,
        chance=chance,
        moved=moved,
        columns=change.columns if change else (),
        direction=change.text if change else "",
        rows=len(now),
        reference_rows=len(before),
    )
    return found, change is not None and change.in_one_value


@dataclass(frozen=True, kw_only=True)
class _Separation:
    """How two samples were told apart.

    Attributes:
      share: of the span's rows, beyond the best cutoff and beyond the window's share there; below 0 where none is.
      largest: its standardized value.
      error: its standard error.
      beyond: both samples' shares beyond each cutoff together, (cutoffs,).
      worth: how many independent rows the span and the weighted window are worth.
      weights: of the window's rows, their mean 1.
    """

    share: float
    largest: float
    error: float
    beyond: Floats
    worth: tuple[int, int]
    weights: Floats

    def limits(self, rate: float, rng: np.random.Generator) -> tuple[float, float]:
        """Returns the share that chance exceeds at this rate, and how often it exceeds the one that was found."""
        cells = np.diff(np.concatenate([[0.0], self.beyond, [1.0]]))
        now, before = (
            np.cumsum(rng.multinomial(rows, cells, size=_REPLICATES), axis=-1)[:, :-1] / rows for rows in self.worth
        )
        largest = np.sort(_standardize(now, before, self.worth)[0].max(axis=-1))
        rank = min(int(np.ceil((len(largest) + 1) * (1 - rate))), len(largest)) - 1
        chance = 1 - np.searchsorted(largest, self.largest, side="left") / len(largest)
        return float(largest[rank]) * self.error, float(chance)


def _separate(
    before: Codes, now: Codes, groups_before: Groups | None, groups_now: Groups | None, rng: np.random.Generator
) -> _Separation:
    weights = _rake(before, now)
    scores_before, scores_now = _scores(before, now, weights, groups_before, groups_now, rng)
    worth_now, worth_before = float(len(now)), float(weights.sum() ** 2 / np.square(weights).sum())
    if groups_now is not None and groups_before is not None:
        worth_now /= clusters.design_effect(scores_now, groups_now)
        worth_before /= clusters.design_effect(scores_before, groups_before)
    worth = (max(int(worth_now), 1), max(int(worth_before), 1))
    beyond_now = np.array([(scores_now >= 1 - cutoff).mean() for cutoff in _CUTOFFS])
    beyond_before = np.array([np.average(scores_before >= 1 - cutoff, weights=weights) for cutoff in _CUTOFFS])
    standard, errors, pooled = _standardize(beyond_now, beyond_before, worth)
    best = int(standard.argmax())
    return _Separation(
        share=float(beyond_now[best] - beyond_before[best]),
        largest=float(standard[best]),
        error=float(errors[best]),
        beyond=np.maximum.accumulate(np.clip(pooled, 0.0, 1.0)),
        worth=worth,
        weights=weights,
    )


def _standardize(now: Floats, before: Floats, worth: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Returns the differences of shares in their standard errors, the errors, and the pooled shares."""
    own, others = worth
    pooled = (now * own + before * others) / (own + others)
    errors = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / own + 1 / others))
    return np.where(pooled * own >= _LEAST_BEYOND, (now - before) / errors, -np.inf), errors, pooled


def _rake(before: Codes, now: Codes) -> Floats:
    """Returns weights of the window's rows, their mean 1, with which every column has the span's distribution."""
    weights = np.ones(len(before))
    sizes = np.maximum(before.max(axis=0), now.max(axis=0)).astype(np.int64) + 1
    wanted = [np.bincount(now[:, index], minlength=size) / len(now) for index, size in enumerate(sizes)]
    for _ in range(_SWEEPS):
        for index, size in enumerate(sizes):
            there = np.bincount(before[:, index], weights=weights, minlength=size) / weights.sum()
            # A value that one of the samples lacks cannot be weighted into it.
            both = (there > 0) & (wanted[index] > 0)
            factors = np.divide(wanted[index], there, out=np.ones(size), where=both)
            weights *= factors[before[:, index]]
        weights = np.clip(weights / weights.mean(), 1 / _MOST_WEIGHT, _MOST_WEIGHT)
    return np.asarray(weights / weights.mean())


def _scores(
    before: Codes,
    now: Codes,
    weights: Floats,
    groups_before: Groups | None,
    groups_now: Groups | None,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Returns how much each row looks like the span's, by trees that have not seen it: its place among all."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # A second, and only spans that come this far need it.
    from threadpoolctl import threadpool_limits

    rows, of_span = np.concatenate([before, now]), np.repeat([False, True], [len(before), len(now)])
    # Each sample weighs as much as the other.
    weight = np.concatenate([weights / weights.sum(), np.full(len(now), 1 / len(now))]) * len(rows) / 2
    folds = np.concatenate([_folds(len(before), groups_before, rng), _folds(len(now), groups_now, rng)])
    scores = np.empty(len(rows))
    # On few rows, threads wait for each other far longer than they work.
    with threadpool_limits(1, user_api="openmp"):
        for fold in range(_FOLDS):
            held_out = folds == fold
            trees = HistGradientBoostingClassifier(
                max_iter=40,
                max_leaf_nodes=8,
                learning_rate=0.1,
                min_samples_leaf=10,
                early_stopping=False,
                random_state=0,
            )
            trees.fit(rows[~held_out], of_span[~held_out], sample_weight=weight[~held_out])
            scores[held_out] = _places(trees.decision_function(rows[held_out]), weight[held_out], rng)
    return scores[~of_span], scores[of_span]


def _places(values: Floats, weights: Floats, rng: np.random.Generator) -> Floats:
    """Returns the weighted place of each value among all, ties in random order."""
    order = np.lexsort((rng.random(len(values)), values))
    up_to = np.cumsum(weights[order])
    places = np.empty(len(values))
    places[order] = (up_to - weights[order] / 2) / up_to[-1]
    return places


def _folds(rows: int, groups: Groups | None, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Returns the fold of each row; rows of a group share one."""
    if groups is None:
        return rng.permutation(np.arange(rows) % _FOLDS)
    return rng.permutation(np.arange(int(groups.max()) + 1) % _FOLDS)[groups]


def _choose(rows: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.arange(rows) if rows <= most else np.sort(rng.choice(rows, most, replace=False))


def _numbered(groups: Sequence[Groups | None]) -> Groups | None:
    """Returns the groups of all spans, no two of which share one."""
    there = [part for part in groups if part is not None]
    if len(there) < len(groups) or not there:
        return None
    starts = np.cumsum([0, *(int(part.max(initial=-1)) + 1 for part in there)])
    return np.concatenate([part + start for part, start in zip(there, starts, strict=False)])


def _of(groups: Groups | None, rows: npt.NDArray[np.int64]) -> Groups | None:
    return None if groups is None else groups[rows]


def _ordinary(apart: Sequence[float]) -> float:
    """Returns the largest share, a single odd span aside; NaN where there is none."""
    if not apart:
        return float("nan")
    largest, *rest = sorted(apart, reverse=True)
    if len(rest) > 1 and largest > OUT_OF_PROPORTION * max(rest[0], 0.0):
        largest = rest[0]
    return max(largest, 0.0)
