"""What is drawn of a comparison is what was compared."""

import json

import pytest

from pipeline.gate import distributions, drift
from pipeline.gate.measuring import build_baseline
from pipeline.gate.policy import GatePolicy
from tests.helpers.windows import FEATURES, SCHEMA, rows, window

POLICY = GatePolicy(exclude=("month",))


@pytest.fixture(scope="module")
def compared():
    baseline = build_baseline(window(), SCHEMA, FEATURES, POLICY, evaluation=None, statistics=None)
    return drift.compare(rows(1000, 50, card=0.9), baseline, FEATURES, POLICY)


def test_every_compared_feature_keeps_its_rows_per_bin(compared):
    found = {item.bins.name: item for item in compared.distributions}

    assert set(found) == {item.feature for item in compared.drift.features}
    for item in found.values():
        assert len(item.baseline) == len(item.span) == item.bins.size
        assert (sum(item.baseline), sum(item.span)) == (3200, 1000)
    payment = found["payment"]
    card = payment.bins.labels().index("= Card")
    # 30 % of 3,200 and 90 % of 1,000, each within four standard deviations.
    assert payment.baseline[card] == pytest.approx(960, abs=104)
    assert payment.span[card] == pytest.approx(900, abs=38)


def test_they_survive_json(compared):
    text = distributions.to_json(compared.distributions)

    assert distributions.from_json(text) == compared.distributions


def test_something_else_is_refused():
    with pytest.raises(ValueError, match="'features' is missing"):
        distributions.from_json(json.dumps({}))
