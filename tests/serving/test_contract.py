"""The REST contract as tables of request, status and answer, asked of a live server."""

import gzip
import json
import math

import pytest

PREDICT = "/v1/models/m:predict"


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        # Row form: a list of values for a signature with one input, and named the same.
        ('{"instances": [1, 2.5, -3]}', '{"predictions": [2.0, 5.0, -6.0]}'),
        ('{"instances": [{"x": 1}, {"x": 2}]}', '{"predictions": [2.0, 4.0]}'),
        ('{"instances": [[1, 2], [3, 4]]}', '{"predictions": [[2.0, 4.0], [6.0, 8.0]]}'),
        # Columnar form: the whole tensor; a scalar has rank 0.
        ('{"inputs": 4}', '{"outputs": 8.0}'),
        ('{"inputs": [1, 2]}', '{"outputs": [2.0, 4.0]}'),
        ('{"inputs": {"x": [1], "unknown": 3}}', '{"outputs": [2.0]}'),
        ('{"inputs": []}', '{"outputs": []}'),
        # Numbers: six digits if they read back the same, else nine; never an integer token.
        ('{"instances": [0.05, 1e20, 0.61728394]}', '{"predictions": [0.1, 2e+20, 1.23456788]}'),
        ('{"instances": [NaN, Infinity, -Infinity]}', '{"predictions": [NaN, Infinity, -Infinity]}'),
        ('{"instances": [-0.0]}', '{"predictions": [-0.0]}'),
        # Other keys are ignored, an empty signature name is the default one, a duplicate's first value counts.
        ('{"signature_name": "", "other": {"a": [null]}, "instances": [1]}', '{"predictions": [2.0]}'),
        ('{"instances": [1], "instances": [7]}', '{"predictions": [2.0]}'),
    ],
)
def test_predict_answers(server, request_body, answer):
    reply = server.ask(PREDICT, request_body)

    assert (reply.status, reply.content_type) == (200, "application/json")
    assert reply.body.decode() == answer


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("  \n", "JSON Parse error: The document is empty"),
        ("[1]", "must be a JSON object"),
        ('{"instances": [1],}', "JSON Parse error"),
        ("{'instances': [1]}", "JSON Parse error"),
        ('{"instances": [01]}', "JSON Parse error"),
        ('{"instances": [.5]}', "JSON Parse error"),
        ('{"instances": [nan]}', "JSON Parse error"),
        ('{"instances": [1e400]}', "JSON Parse error"),
        ('{"instances": ' + "[" * 100_000 + "]" * 100_000 + "}", "JSON Parse error"),
        ("{}", "exactly one of the keys"),
        ('{"instances": [1], "inputs": [1]}', "exactly one of the keys"),
        ('{"instances": 1}', "must be a list"),
        ('{"instances": []}', "is empty"),
        ('{"instances": [{"x": 1}, 2]}', "one kind"),
        ('{"instances": [{"z": 1}]}', "missing the input 'x'"),
        ('{"instances": [{"x": 1, "z": 1}]}', "unknown input 'z'"),
        ('{"instances": [[1, 2], [3]]}', "ragged"),
        ('{"instances": [1, [2]]}', "ragged"),
        ('{"inputs": {"z": 1}}', "'x' is missing"),
        ('{"instances": ["1"]}', "not of the type float32"),
        ('{"instances": [true]}', "not of the type float32"),
        ('{"instances": [null]}', "not of the type float32"),
        ('{"signature_name": 1, "instances": [1]}', "'signature_name' must be a string"),
        ('{"signature_name": "no", "instances": [1]}', 'Serving signature name: "no" not found in signature def'),
        ('{"signature_name": "divide", "inputs": [0]}', "ivision by zero"),
        ('{"signature_name": "divide", "inputs": [1.0]}', "not of the type int32"),
        ('{"signature_name": "divide", "inputs": [2147483648]}', "does not fit into int32"),
    ],
)
def test_a_bad_request_is_a_400_that_says_why(server, request_body, message):
    reply = server.ask(PREDICT, request_body)

    assert reply.status == 400, reply.body
    assert list(reply.json) == ["error"]
    assert message in reply.json["error"]


def test_every_dtype_that_rest_writes(server):
    body = {"a": [1.5, -2], "n": [9223372036854775807, -1], "s": ["Zürich", {"b64": "/w=="}]}

    columns = server.ask(PREDICT, {"signature_name": "mixed", "inputs": {**body, "s": ["Zürich", "b"]}}).json["outputs"]
    rows = server.ask(
        PREDICT,
        {"signature_name": "mixed", "instances": [{"a": 1, "n": 2, "s": {"b64": "/w"}}]},
    )

    assert columns["a"] == [1.5, -2.0]
    assert columns["n"] == [9223372036854775807, -1]
    assert columns["s"] == ["Zürich", "b"]
    assert columns["s_bytes"] == [{"b64": "WsO8cmljaA=="}, {"b64": "Yg=="}]
    assert columns["flag"] == [True, False]
    # A byte that is no UTF-8 goes out as it came in under a name without `_bytes`.
    assert b'"s": "\xff"' in rows.body
    assert b'"s_bytes": {"b64": "/w=="}' in rows.body


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/m/versions/9", 404, "Could not find version 9 of model m"),
        ("GET", "/v1/models/m?x=1", 404, "Could not find any versions of model m?x=1"),
        ("GET", "/v1/models/m/", 400, "Malformed request: GET /v1/models/m/"),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        ("POST", "/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        ("POST", "/v1/models/m/versions/9:predict", 404, "Servable not found for request: Specific(m, 9)"),
        ("POST", "/v1/models/m/labels/stable:predict", 400, "Unrecognized servable version label: stable"),
        ("POST", "/v1/models/m:PREDICT", 400, "Malformed request: POST /v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict?x=1", 400, "Malformed request: POST /v1/models/m:predict?x=1"),
        ("PUT", "/v1/models/m", 400, "Malformed request: PUT /v1/models/m"),
        ("DELETE", "/v1/models/m", 400, "Malformed request: DELETE /v1/models/m"),
        (
            "POST",
            "/v1/models/..%2F..%2Fetc%2Fpasswd:predict",
            404,
            "Servable not found for request: Latest(../../etc/passwd)",
        ),
    ],
)
def test_urls(server, method, path, status, error):
    reply = server.ask(path, b'{"instances": [1]}' if method == "POST" else None, method=method)

    assert (reply.status, reply.json) == (status, {"error": error})


def test_bad_json_to_an_unknown_model_is_400_and_good_json_404(server):
    assert server.ask("/v1/models/none:predict", "{").status == 400
    assert server.ask("/v1/models/none:predict", '{"instances": [1]}').status == 404


def test_a_path_outside_is_html(server):
    reply = server.ask("/other")

    assert (reply.status, reply.content_type) == (404, "text/html")


def test_a_version_may_be_asked_for_with_leading_zeros(server):
    assert server.ask("/v1/models/m/versions/0001:predict", '{"instances": [1]}').json == {"predictions": [2.0]}


def test_status_in_the_contracts_form(server):
    assert server.ask("/v1/models/m").json == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


def test_metadata_names_every_signature(server):
    reply = server.ask("/v1/models/m/metadata").json

    assert reply["model_spec"] == {"name": "m", "signature_name": "", "version": "1"}
    signatures = reply["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "mixed", "divide", "__saved_model_init_op"}
    assert signatures["mixed"]["inputs"]["n"]["dtype"] == "DT_INT64"
    assert signatures["mixed"]["inputs"]["n"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }


def test_a_gzipped_body_is_read_and_a_broken_one_is_empty(server):
    packed = gzip.compress(b'{"instances": [1]}')

    good = server.ask(PREDICT, packed, headers={"Content-Encoding": "gzip"})
    broken = server.ask(PREDICT, packed[:-4], headers={"Content-Encoding": "gzip"})

    assert good.json == {"predictions": [2.0]}
    assert (broken.status, broken.json) == (400, {"error": "JSON Parse error: The document is empty"})


def test_a_gzip_bomb_counts_as_empty(server):
    bomb = gzip.compress(bytes(101 * 2**20))

    reply = server.ask(PREDICT, bomb, headers={"Content-Encoding": "gzip"})

    assert (reply.status, reply.json) == (400, {"error": "JSON Parse error: The document is empty"})


@pytest.mark.parametrize(("origin", "status"), [("https://example.org", 200), ("null", 400)])
def test_options(server, origin, status):
    reply = server.ask(PREDICT, method="OPTIONS", headers={"Origin": origin})

    assert (reply.status, reply.body) == (status, b"")


def test_metrics_count_by_the_contracts_names(server):
    server.ask(PREDICT, '{"instances": [1]}')
    server.ask("/v1/models/gone")

    lines = server.ask("/monitoring/prometheus/metrics").body.decode().splitlines()

    assert "# TYPE :tensorflow:serving:request_count counter" in lines
    assert any(line.startswith(':tensorflow:serving:request_count{model_name="m",status="OK"} ') for line in lines)
    assert ':tensorflow:serving:request_count{model_name="gone",status="NOT_FOUND"} 1' in lines
    buckets = [
        line
        for line in lines
        if line.startswith(':tensorflow:serving:request_latency_bucket{model_name="m",API="predict"')
    ]
    assert len(buckets) == 34
    assert 'le="18"' in buckets[1]
    assert buckets[-1].split('le="')[1].startswith('+Inf"')
    assert math.isfinite(float(buckets[-1].split()[-1]))


def test_answers_are_json_that_python_reads_back(server):
    values = [0.1, 1 / 3, 1e-30, 123456.7, 16777217.0]

    reply = server.ask(PREDICT, json.dumps({"instances": values}))

    import numpy as np

    assert np.array(reply.json["predictions"], np.float32).tolist() == (2 * np.array(values, np.float32)).tolist()
