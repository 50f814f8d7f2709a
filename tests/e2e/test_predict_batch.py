"""Offline predictions by command, against TFX's stock BulkInferrer."""

import numpy as np
import pytest

from tests.e2e.conftest import run
from tests.helpers.bulk_inferrer import infer, predictions

pytestmark = pytest.mark.e2e


def test_a_span_s_predictions_are_the_stock_bulk_inferrer_s(pushed, tmp_path):
    root, done = pushed
    version = root / "serving" / "taxi" / str(done.json["pushed_version"])
    (examples,) = (root / "artifacts" / "ExampleGen" / "examples").iterdir()  # The pipeline made them of span 5.

    ours = run("predict", "--batch", "--root", root, "--span", 5, "--output", tmp_path / "ours", "--json")
    stock = infer(str(examples), version, tmp_path)

    assert ours.status == 0, ours.err
    expected = predictions(stock)
    found = predictions(tmp_path / "ours")
    assert ours.json["rows"] == len(expected) == len(found) == 1231
    # Splits and shards have an order of their own: the example is the key.
    for (example, outputs), (other, theirs) in zip(sorted(found), sorted(expected), strict=True):
        assert example == other
        assert sorted(outputs) == sorted(theirs) == ["class", "probability"]
        np.testing.assert_allclose(outputs["probability"], theirs["probability"], rtol=0, atol=1e-6)
