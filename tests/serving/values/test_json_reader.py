"""The two readers of JSON: what they agree on, and what only the slow one knows."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import Code, ServingError
from serving.values import json_reader

LIMIT = 10**7


def read(text: str | bytes):
    return json_reader.parse(text.encode() if isinstance(text, str) else text, max_values=LIMIT)


def exactly(text: str):
    return json_reader._read_exactly(text.encode(), math.inf)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(), values, max_size=4), st.booleans())
def test_the_slow_reader_reads_what_python_writes(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    assert json_reader._read_exactly(text, math.inf) == value
    assert json_reader.parse(text, max_values=LIMIT).value == value


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ('{"a": [NaN, 1.5], "b": {"c": NaN}}', True),
        # Where another reading would be possible, the exact reader decides.
        ('{"a": [NaN, 1.5], "b": {"c": NaN}, "d": null}', False),
        ('{"a": [NaN, 1.5], "b": {"c": NaN}, "d": "NaN"}', False),
        ('{"a": [NaN, 1.5], "b": {"c": NaN}, "d": "\\""}', True),
        ('{"a": [NaN, 1.5], "b": {"c": NaN}, "d": "\\u00e9\\\\"}', True),
        ('{"a": [NaN, 1.5], "b": {"c": NaN}, "d": "\\"NaN"}', False),
        ('{"a": [NaN, 1.5], "b": {"c": NaN}, "d": Infinity}', False),
    ],
)
def test_nan_is_read_as_none_only_where_that_is_exact(text, fast):
    value, nan_is_none = read(text)

    nans = [value["a"][0], value["b"]["c"]]
    assert nan_is_none is fast
    assert nans == [None, None] if fast else [math.isnan(item) for item in nans] == [True, True]
    assert value.get("d") == json.loads(text).get("d")


def test_integers_are_exact_up_to_64_bits_and_doubles_beyond():
    value, _ = read('{"a": [18446744073709551615, 18446744073709551616, -9223372036854775808, -9223372036854775809]}')

    assert value["a"] == [2**64 - 1, float(2**64), -(2**63), float(-(2**63) - 1)]
    assert [type(item) for item in value["a"]] == [int, float, int, float]
    assert exactly('{"a": [18446744073709551616, Infinity]}') == {"a": [float(2**64), math.inf]}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": 1, "a": 2, "b": Infinity}'])
def test_of_duplicate_keys_the_last_counts_in_both_readers(text):
    assert read(text).value["a"] == 2


def test_too_many_values_are_refused_before_they_are_read():
    body = b'{"a": [' + b"1," * 50_000 + b"1]}"

    with pytest.raises(ServingError, match="about 50005 values; the limit is 50000") as caught:
        json_reader.parse(body, max_values=50_000)

    assert caught.value.http_status == 413


def test_reading_stops_at_the_deadline():
    with pytest.raises(ServingError) as caught:
        json_reader.parse(b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", max_values=LIMIT, deadline=-math.inf)

    assert caught.value.code is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [Inf, -Inf, Infinity, -Infinity], "b": "Inf"}', {"a": [math.inf, -math.inf] * 2, "b": "Inf"}),
        ('\ufeff {"a": 1} and more', {"a": 1}),
        (
            '{"a": Infinity, "b": 18446744073709551616, "c": 18446744073709551615}',
            {"a": math.inf, "b": 2.0**64, "c": 2**64 - 1},
        ),
        ('{"a": Infinity, "b": "\\ud83d\\ude95"}', {"a": math.inf, "b": "🚕"}),
        ('{"a": Infinity, "b": ' + "[" * 5000 + "]" * 5000 + "}", None),
    ],
)
def test_what_orjson_does_not_know(text, value):
    got = read(text).value

    assert got["a"] == [math.inf, -math.inf] * 2 if isinstance(got["a"], list) else got["a"] in (1, math.inf)
    assert value is None or got == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": Infinity, "b": "\\ud83d"}', "The surrogate pair in string is invalid"),
        ('{"a": Infinity, "b": 1e999}', "Number too big to be stored in double"),
        ('{"a": Infinity, "b": ' + "9" * 400 + "}", "Number too big to be stored in double"),
        ('{"a": Infinity, "b": [' + "1," * 600_000 + "}", "Expecting value at position"),
        ('{"a": ' + "[" * 1_100_000, "Nested too deeply for a document of this size"),
    ],
)
def test_what_no_reader_takes(text, message):
    """Megabytes of brackets, read one by one in Python, stopped the server for ten seconds."""
    with pytest.raises(ServingError, match=f"JSON Parse error: {message}"):
        read(text)


def test_quoting_neither_writes_out_large_values_nor_descends_into_deep_ones():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    assert json_reader.quoted(deep) == "[" * 256 + "..."
    assert len(json_reader.quoted(["ü" * 10_000])) < 256
