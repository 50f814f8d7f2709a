"""No input yields a 500, a hang or an answer in another form: hypothesis against a live server."""

import http.client
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SIGNATURES = ("", "serving_default", "mixed", "divide", "classify", "regress", "total", "unlike", "halves")
KEYS = ("instances", "inputs", "examples", "context", "signature_name", "x", "a", "n", "s", "i", "b64")
FAST = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["", "AQ==", "stable"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
rows = st.lists(
    scalars | st.fixed_dictionaries({"x": scalars}) | st.fixed_dictionaries({"a": scalars, "n": scalars, "s": scalars}),
    max_size=3,
)
bodies = st.dictionaries(st.sampled_from(KEYS), values | rows, max_size=4).flatmap(
    lambda body: st.sampled_from(SIGNATURES).map(lambda name: {"signature_name": name, **body})
)


@pytest.fixture(scope="module")
def ask(server):
    """Asks over one connection, opened again where the server closed it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def ask(method: str, path: str, body: bytes | None = None, headers=None) -> tuple[int, bytes]:
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.RemoteDisconnected, ConnectionError):
            connection.close()
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    yield ask
    connection.close()


def check(status: int, body: bytes) -> None:
    assert status in (200, 400, 404, 413, 501), body
    if status != 200:
        assert list(json.loads(body)) == ["error"]


@FAST
@given(st.sampled_from(("predict", "classify", "regress")), bodies)
def test_json_of_any_shape(ask, api, body):
    check(*ask("POST", f"/v1/models/m:{api}", json.dumps(body).encode("utf-8", "surrogatepass")))


@FAST
@given(st.sampled_from(("predict", "classify", "regress")), st.data())
def test_json_that_was_damaged(ask, api, data):
    text = json.dumps(data.draw(bodies)).encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    damaged = text[:start] + data.draw(st.binary(max_size=5)) + text[end:]

    check(*ask("POST", f"/v1/models/m:{api}", damaged))


@FAST
@given(st.binary(max_size=200), st.sampled_from(("", "gzip")))
def test_bytes(ask, body, encoding):
    check(*ask("POST", "/v1/models/m:predict", body, {"Content-Encoding": encoding} if encoding else {}))


segments = st.sampled_from(
    [
        "v1",
        "models",
        "m",
        "versions",
        "1",
        "01",
        "labels",
        "stable",
        "metadata",
        ":predict",
        "m:predict",
        "..",
        "%2F",
        "",
        "?x",
    ]
) | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6)


@FAST
@given(st.sampled_from(("GET", "POST", "PUT", "OPTIONS", "HEAD")), st.lists(segments, max_size=7))
def test_paths(ask, method, parts):
    status, _ = ask(method, "/" + "/".join(parts), b'{"instances": [1]}' if method == "POST" else None)

    assert status in (200, 400, 404)
