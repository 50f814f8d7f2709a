"""A request and the row of a span that brings its label have one key."""

import numpy as np
import pyarrow as pa

from models.features import FeatureSpec
from monitoring.request_key import key_columns, keys

SPEC = FeatureSpec(label="y", numeric=("fare", "seconds"), categorical=("area", "company"))


def table(fare, seconds, area, company):
    return pa.table({"fare": fare, "seconds": seconds, "area": area, "company": company})


def test_values_count_as_the_model_takes_them():
    # A CSV's double and a request's float32; an integer that is served as a float; both kinds of missing.
    span = table([12.3, None], pa.array([600, None], pa.int64()), [8, None], ["Blue", None])
    request = table([float(np.float32(12.3)), float("nan")], [600.0, float("nan")], [8, None], ["Blue", None])

    assert keys(span, SPEC.names, SPEC).tolist() == keys(request, SPEC.names, SPEC).tolist()


def test_any_other_value_is_another_key():
    rows = table([12.3, 12.4, 12.3, 12.3], [600, 600, 601, 600], [8, 8, 8, 8], ["Blue", "Blue", "Blue", None])

    assert len(set(keys(rows, SPEC.names, SPEC).tolist())) == 4


def test_a_declared_key_is_made_of_its_columns_only():
    rows = table([12.3, 12.4], [600, 700], [8, 8], ["Blue", "Blue"])

    first, second = keys(rows, key_columns(("area", "company"), SPEC), SPEC).tolist()

    assert first == second
    assert key_columns((), SPEC) == ("area", "company", "fare", "seconds")
