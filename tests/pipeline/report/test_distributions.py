"""How a feature's bins become columns and rows of a picture."""

import dataclasses

from pipeline.gate.bins import FeatureBins
from pipeline.gate.distributions import Distribution
from pipeline.report import distributions
from tests.helpers import reports_of


def pictured(found, **values):
    """The picture of one distribution, under the name of the hostile report's first feature."""
    drift = reports_of.hostile().decision.evidence.drift
    feature = dataclasses.replace(drift.features[0], feature=found.bins.name, **values)
    (picture,) = distributions.distributions(dataclasses.replace(drift, features=(feature,)), [found])
    return picture


def description(picture):
    return picture.chart.partition("<desc>")[2].partition("</desc>")[0].replace("\u00a0", " ")


def test_numeric_bins_stand_in_the_order_of_their_values():
    bins = FeatureBins(name="fare", kind="numeric", points=(0.0,), edges=(-1.0, 0.5))
    # Codes: missing, the point 0, below -1, from -1, from 0.5.
    found = Distribution(bins=bins, baseline=(10, 20, 30, 40, 0), span=(0, 50, 25, 25, 0))

    picture = pictured(found, direction="`fare`: share of `0` 0.20 → 0.50")

    assert (picture.title, picture.caption) == ("fare", "share of `0` 0.20 → 0.50")
    assert description(picture) == (
        "missing: 10.0 % then 0 %; &lt; −1: 30.0 % then 25.0 %; ≥ −1: 40.0 % then 25.0 %; 0: 20.0 % then 50.0 %"
    )


def test_categories_stand_by_frequency_and_the_many_rare_ones_together():
    names = tuple(f"v{index}" for index in range(14))
    bins = FeatureBins(name="company", kind="categorical", values=names)
    found = Distribution(bins=bins, baseline=(0, *range(14, 0, -1), 0), span=(0, *range(1, 15), 0))

    said = description(pictured(found))

    # 14 of 105 then 1 of 105, and the other way round; v4 to v9 are below the ten that are shown.
    assert said.startswith("v0: 13.3 % then 0.95 %; v13: 0.95 % then 13.3 %; ")
    assert said.count(";") == 10
    assert "4 other bins: " in said


def test_a_feature_without_counts_is_not_drawn():
    assert distributions.distributions(reports_of.hostile().decision.evidence.drift, []) == []
