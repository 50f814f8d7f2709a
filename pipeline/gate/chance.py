"""How large a distance chance alone makes, at the size of the span that is compared.

Both samples err: the reference is one of finitely many rows too. So replicates of both are drawn from the reference's
rows, whole rows at a time because features move together, at a grid of sizes. Between the sizes of the grid, moments
are interpolated: on the squared scale they follow a power of the size.

Each feature's distance is put on one scale by the Wilson-Hilferty transformation of a gamma distribution with its mean
and variance, and the joint threshold is a quantile of the largest over all features, so data like the reference call
any feature moved in at most `false_alarm_rate` of the spans.

Sources: Westfall and Young, "Resampling-based multiple testing", 1993 (max-T); Wilson and Hilferty, "The distribution
of chi-square", PNAS 17, 1931.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gate.bins import FeatureBins, offsets
from pipeline.gate.clusters import Groups
from pipeline.gate.distances import Floats, distances, measure_of, squared, unsquared
from pipeline.gate.policy import SMALLEST_COMPARED

REPLICATES = 1000
BLOCKS = 1500
"""About how many random blocks of rows large samples are drawn from; see `_Source`."""
_FEWEST_BLOCKS_DRAWN = 20
_SIZE_STEP = 3.0
_SPANS_PER_REFERENCE = 8.0
"""The grid ends at this multiple of the reference's rows; beyond it, the reference's own error is all there is."""
_SHAPE_LIMITS = (0.05, 1e6)
RARE = 0.01
_RARE_SHAPE = 0.5
"""Of a squared normal variable, which is what one rare share's distance is."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What thresholds at any size are computed from.

    Attributes:
      sizes: numbers of rows of a span, ascending, int64 (sizes,).
      mean: of each feature's squared distance under chance, float64 (sizes, features).
      shape: of the gamma distribution with that mean and the variance, float64 (sizes, features).
      largest: the largest standardized distance of each replicate, ascending, float64 (sizes, replicates).
    """

    sizes: npt.NDArray[np.int64]
    mean: Floats
    shape: Floats
    largest: Floats


def calibrate(
    codes: npt.NDArray[np.uint16],
    bins: Sequence[FeatureBins],
    *,
    clusters: Groups | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Calibration:
    """Measures chance at a grid of sizes, once, when a baseline is made.

    Args:
      codes: all rows of the reference, uint16 (rows, features).
      clusters: the group of each row, where rows come in groups: samples are then drawn in whole groups.
    """
    rng = np.random.default_rng(seed)
    source = _divide(codes, bins, clusters, rng)
    reference = _draw(source, len(codes), replicates, rng)
    sizes = _grid(len(codes))
    mean, shape, largest = [], [], []
    for size in sizes:
        span = _draw(source, int(size), replicates, rng)
        statistic = squared(distances(span, reference, bins), bins)  # (replicates, features)
        average, variance = statistic.mean(axis=0), statistic.var(axis=0)
        least = _least_mean(bins, int(size), len(codes))
        rare = average < least
        mean.append(np.where(rare, least, average))
        ratio = np.divide(average**2, variance, out=np.full(len(bins), _RARE_SHAPE), where=~rare & (variance > 0))
        shape.append(np.clip(ratio, *_SHAPE_LIMITS))
        largest.append(np.sort(_standardize(statistic, mean[-1], shape[-1]).max(axis=1)))
    return Calibration(sizes=sizes, mean=np.array(mean), shape=np.array(shape), largest=np.array(largest))


def expected(calibration: Calibration, rows: int) -> Floats:
    """Returns each feature's mean squared distance under chance at `rows` rows, float64 (features,)."""
    return _moments(calibration, rows)[0]


def noise(calibration: Calibration, rows: int, false_alarm_rate: float, bins: Sequence[FeatureBins]) -> Floats:
    """Returns the distance that chance alone exceeds, in any feature, at this joint rate, float64 (features,)."""
    mean, shape, largest = _moments(calibration, rows)
    rank = min(int(np.ceil((len(largest) + 1) * (1 - false_alarm_rate))), len(largest)) - 1
    root = 1 - 1 / (9 * shape) + largest[rank] / (3 * np.sqrt(shape))
    return unsquared(mean * np.maximum(root, 0.0) ** 3, bins)


def chance(calibration: Calibration, rows: int, distance: Floats, bins: Sequence[FeatureBins]) -> Floats:
    """Returns how often chance alone puts any feature as far out as this distance, float64 (features,) in [0, 1]."""
    mean, shape, largest = _moments(calibration, rows)
    standard = _standardize(squared(distance, bins), mean, shape)
    return 1 - np.searchsorted(largest, standard, side="left") / len(largest)


def _least_mean(bins: Sequence[FeatureBins], rows: int, reference_rows: int) -> Floats:
    """Returns the smallest mean squared distance that is believed, float64 (features,).

    Where nearly all rows share one bin, a single row elsewhere is many times the mean; a few such features would raise
    the joint threshold of all others, and one row that the reference has no like of would count as drift. They are
    treated as if RARE of the rows were elsewhere: p(1 - p) (1/n + 1/N), or one degree of freedom of the divergence.
    """
    per_row = [RARE if measure_of(feature) == "l_infinity" else 1 / (8 * np.log(2)) for feature in bins]
    return np.array(per_row) * (1 / rows + 1 / reference_rows)


def _standardize(statistic: Floats, mean: Floats, shape: Floats) -> Floats:
    """Gamma to normal, by Wilson and Hilferty's cube root."""
    return np.asarray((np.cbrt(statistic / mean) - 1 + 1 / (9 * shape)) * 3 * np.sqrt(shape))


def _grid(reference_rows: int) -> npt.NDArray[np.int64]:
    end = max(_SPANS_PER_REFERENCE * reference_rows, SMALLEST_COMPARED * _SIZE_STEP)
    steps = int(np.ceil(np.log(end / SMALLEST_COMPARED) / np.log(_SIZE_STEP)))
    return np.unique(np.round(np.geomspace(SMALLEST_COMPARED, end, steps + 1))).astype(np.int64)


def _moments(calibration: Calibration, rows: int) -> tuple[Floats, Floats, Floats]:
    """Interpolates mean, shape and the sorted largest values, linearly in the logarithm of the size."""
    sizes = calibration.sizes
    if rows < sizes[0]:
        raise ValueError(f"{rows} rows are too few to compare: the calibration starts at {sizes[0]}.")
    upper = int(np.clip(np.searchsorted(sizes, rows), 1, len(sizes) - 1))
    at = np.log(min(rows, sizes[-1]) / sizes[upper - 1]) / np.log(sizes[upper] / sizes[upper - 1])
    mean = np.exp((1 - at) * np.log(calibration.mean[upper - 1]) + at * np.log(calibration.mean[upper]))
    shape = np.exp((1 - at) * np.log(calibration.shape[upper - 1]) + at * np.log(calibration.shape[upper]))
    largest = (1 - at) * calibration.largest[upper - 1] + at * calibration.largest[upper]
    return mean, shape, largest


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Rows to draw samples from, one by one, or group by group, or in blocks.

    Attributes:
      members: positions of the rows, those of a group together, int64 (rows,).
      bounds: where each group begins in `members`, and the end, int64 (groups + 1,).
      codes: of every row, uint16 (rows, features); not as positions, which would take four times the memory.
      starts: where each feature's bins begin in what `bins.count` returns, (features,).
      blocks: counts of random blocks of `per_block` groups, float32 (blocks, total bins).
    """

    codes: npt.NDArray[np.uint16]
    members: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.float32]
    per_block: int

    @property
    def groups(self) -> int:
        """How many there are to draw from."""
        return len(self.bounds) - 1

    def count(self, groups: npt.NDArray[np.int64], total_bins: int) -> npt.NDArray[np.intp]:
        """Returns the counts of these groups' rows over all bins."""
        if self.groups == len(self.members):
            rows = self.members[groups]
        else:
            lengths = np.diff(self.bounds)[groups]
            within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            rows = self.members[np.repeat(self.bounds[groups], lengths) + within]
        return np.bincount((self.codes[rows] + self.starts).ravel(), minlength=total_bins)


def _divide(
    codes: npt.NDArray[np.uint16], bins: Sequence[FeatureBins], clusters: Groups | None, rng: np.random.Generator
) -> _Source:
    ends = offsets(bins)
    of_row = np.arange(len(codes)) if clusters is None else clusters
    groups = int(of_row.max(initial=-1)) + 1
    per_block = max(1, groups // BLOCKS)
    whole = groups // per_block * per_block
    source = _Source(
        codes=codes,
        members=np.argsort(of_row, kind="stable"),
        bounds=np.concatenate([[0], np.cumsum(np.bincount(of_row, minlength=groups))]),
        starts=ends[:-1],
        blocks=np.zeros((0, ends[-1]), np.float32),
        per_block=per_block,
    )
    order = rng.permutation(groups)[:whole].reshape(-1, per_block)
    blocks = np.array([source.count(rows, int(ends[-1])) for rows in order], np.float32)
    return dataclasses.replace(source, blocks=blocks)


def _draw(source: _Source, rows: int, replicates: int, rng: np.random.Generator) -> Floats:
    """Returns the counts of `replicates` samples of about `rows` rows, float64 (replicates, total bins).

    Small samples are drawn row by row, or group by group, with replacement. Large ones are drawn in whole blocks of
    random rows or groups: sums over these have the same mean and variance either way, and one matrix product replaces
    millions of draws.
    """
    wanted = max(1, round(rows * source.groups / len(source.codes)))
    drawn = round(wanted / source.per_block)
    if drawn >= _FEWEST_BLOCKS_DRAWN:
        number = len(source.blocks)
        weights = [np.bincount(rng.integers(0, number, drawn), minlength=number) for _ in range(replicates)]
        return (np.array(weights, np.float32) @ source.blocks).astype(np.float64)
    counts = np.empty((replicates, source.blocks.shape[1]))
    for replicate in range(replicates):
        counts[replicate] = source.count(rng.integers(0, source.groups, wanted), counts.shape[1])
    return counts
