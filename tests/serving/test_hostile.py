"""Requests that Python's own limits would turn into a 500."""

import json

import pytest

from serving import json_tensor
from serving.errors import ServingError
from serving.metrics import Metrics
from serving.service import Service


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 19])
def test_a_version_beyond_int64_is_400_however_long(digits: str) -> None:
    answer = Service({}, Metrics()).handle("GET", f"/v1/models/m/versions/{digits}", b"", "")
    assert answer.status == 400


def test_more_dimensions_than_an_array_has_are_400() -> None:
    value = json.loads("[" * 100 + "1" + "]" * 100)
    with pytest.raises(ServingError) as raised:
        json_tensor.to_array(value, "float32", "x")
    assert raised.value.http_status == 400
