"""What the typed reader takes, it takes as the readers of any form do; the rest it leaves to them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import ServingError
from serving.values import json_reader, json_tensor
from serving.values.tensors import BOOL, DOUBLE, FLOAT, INT32, INT64, STRING
from serving.values.typed_rows import TypedRows

INPUTS = {"größe": FLOAT, "count": INT64, "town": STRING, "yes": BOOL, "x y": DOUBLE}
ROWS = TypedRows("serving_default", INPUTS)
ROW = '"größe": 1.5, "count": 7, "town": "Oslo", "yes": true, "x y": 2'


def body(row=ROW, more=""):
    return ('{"instances": [{' + row + "}]" + more + "}").encode("utf-8", "surrogatepass")


def by_any_form(text):
    decoded = json_tensor.decode(json_reader.parse(text, max_values=10**7), INPUTS)
    assert decoded.form == "row"
    return decoded.tensors


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        assert tensor.array.dtype == expected[name].array.dtype
        np.testing.assert_array_equal(tensor.array, expected[name].array, strict=True)


def test_rows_become_columns():
    tensors = ROWS.decode(
        '{"instances": [{"größe": 1, "count": -9223372036854775808, "town": "Zürich", "yes": false, "x y": 1e300},'
        ' {"x y": NaN, "yes": true, "town": "", "count": 9223372036854775807, "größe": 1e39}]}'.encode()
    )

    assert tensors is not None
    assert {name: (tensor.dtype, tensor.array.tolist()) for name, tensor in tensors.items() if name != "x y"} == {
        "größe": (FLOAT, [1.0, math.inf]),  # Beyond float32's range, as the contract's cast makes it.
        "count": (INT64, [-(2**63), 2**63 - 1]),
        "town": (STRING, ["Zürich".encode(), b""]),
        "yes": (BOOL, [False, True]),
    }
    assert tensors["x y"].array[0] == 1e300
    assert np.isnan(tensors["x y"].array[1])


@pytest.mark.parametrize("name", ["", "serving_default"])
def test_the_signature_may_be_named(name):
    assert ROWS.decode(body(more=f', "signature_name": "{name}"')) is not None
    assert ROWS.decode(body(more=', "signature_name": "other"')) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"count": 7', '"count": 7.0'),
        ('"count": 7', '"count": 7e0'),
        ('"count": 7', '"count": true'),
        ('"count": 7', '"count": 9223372036854775808'),
        ('"count": 7', '"count": NaN'),
        ('"count": 7', '"count": null'),
        ('"größe": 1.5', '"größe": null'),
        ('"größe": 1.5', '"größe": "1.5"'),
        ('"größe": 1.5', '"größe": 1e400'),
        ('"größe": 1.5', '"größe": 01'),
        ('"größe": 1.5', '"größe": [1.5]'),
        ('"größe": 1.5', '"größe": Infinity'),
        ('"Oslo"', "7"),
        ('"Oslo"', '{"b64": "T3Nsbw=="}'),
        ('"Oslo"', '"\\ud800"'),
        ('"Oslo"', '"\udcff"'),
        ('"yes": true', '"yes": 1'),
        (', "yes": true', ""),
        ('"yes": true', '"yes": true, "unknown": 1'),
    ],
)
def test_what_is_no_plain_row_is_left_to_the_others(old, new):
    assert ROWS.decode(body(ROW.replace(old, new))) is None


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b'{"instances": []}', b'{"instances": {}}', b'{"inputs": {"count": [1]}}', b"\xef\xbb\xbf{}",
     body() + b" more", body(more=', "other": 1'), b'{"instances": [1]}'],
)  # fmt: skip
def test_other_documents_are_left_to_the_others(text):
    assert ROWS.decode(text) is None


def test_nan_in_a_string_is_left_to_the_others():
    assert ROWS.decode(body(ROW.replace("1.5", "NaN").replace("Oslo", "NaN"))) is None
    assert ROWS.decode(body(ROW.replace("Oslo", "NaN"))) is None


def test_a_dtype_that_is_not_read_here():
    assert TypedRows("serving_default", {"x": INT32}).decode(b'{"instances": [{"x": 1}]}') is None


row = st.fixed_dictionaries(
    {
        "größe": st.floats() | st.integers(-(2**70), 2**70),
        "count": st.integers(-(2**63), 2**63 - 1),
        "town": st.text() | st.sampled_from(["NaN", "null", '"', "\\", ",NaN,"]),
        "yes": st.booleans(),
        "x y": st.floats() | st.integers(-(2**70), 2**70),
    }
)


@settings(max_examples=200, deadline=None)
@given(st.lists(row, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_what_it_takes_is_what_the_others_make_of_it(rows, ascii_only, padded):
    text = json.dumps({"instances": rows}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    text += b" " * 5000 * padded  # Long bodies are searched in another way.

    found = ROWS.decode(text)

    if found is not None:
        assert_same(found, by_any_form(text))
    else:  # Only these are not plain.
        words = (b"Infinity", b"NaN", b"null")
        assert any(word in text for word in words) or any(not _encodes(one["town"]) for one in rows)


def _encodes(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_a_mistake_is_told_by_the_others():
    text = body(ROW.replace("7", "7.5"))

    assert ROWS.decode(text) is None
    with pytest.raises(ServingError, match=r"JSON value 7\.5 is not of the type int64 of the input 'count'"):
        by_any_form(text)


@pytest.mark.parametrize("name", ["a\\b", 'say "x"', "tab\there"])
def test_names_that_json_has_to_escape_are_left_to_the_readers_of_any_form(name):
    row = json.dumps({"instances": [{name: 1.5}]}).encode()

    assert TypedRows("serving_default", {name: FLOAT}).decode(row) is None
