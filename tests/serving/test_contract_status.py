"""Sections 9, 10 and 13 of the contract, asked of a live server: status, metadata, metrics."""

import math

import pytest

METRICS = "/monitoring/prometheus/metrics"


@pytest.mark.parametrize("path", ["", "/versions/1", "/versions/01", "/labels/none"])
def test_status(server, path):
    assert server.ask(f"/v1/models/m{path}").json == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_metadata_names_every_signature(server, path):
    reply = server.ask(f"/v1/models/m{path}/metadata").json

    assert reply["model_spec"] == {"name": "m", "signature_name": "", "version": "1"}
    signatures = reply["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "mixed", "classify", "regress", "__saved_model_init_op"} <= set(signatures)
    mixed = signatures["mixed"]
    assert mixed["method_name"] == "tensorflow/serving/predict"
    assert mixed["inputs"]["n"]["dtype"] == "DT_INT64"
    assert mixed["inputs"]["n"]["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["total"]["outputs"]["t"]["tensor_shape"] == {"dim": [], "unknown_rank": False}
    assert signatures["serving_default"]["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}


def test_metrics_by_the_contracts_names(server):
    server.predict('{"instances": [1]}')
    server.ask("/v1/models/m:regress", {"signature_name": "regress", "examples": [{"x": 1.5}]})
    server.ask("/v1/models/gone")
    server.ask("/v1/models/m", method="PUT")

    reply = server.ask(METRICS)

    lines = reply.body.decode().splitlines()
    samples = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    assert reply.content_type.startswith("text/plain")
    assert "# TYPE :tensorflow:serving:request_count counter" in lines
    assert samples[':tensorflow:serving:request_count{model_name="m",status="OK"}'] >= 2
    assert samples[':tensorflow:serving:request_count{model_name="gone",status="NOT_FOUND"}'] == 1
    assert samples[':tensorflow:serving:request_count{model_name="",status="INVALID_ARGUMENT"}'] >= 1
    assert "# TYPE :tensorflow:serving:request_latency histogram" in lines
    for api in ("predict", "regress"):
        labels = f'model_name="m",API="{api}",entrypoint="REST"'
        buckets = [
            value
            for name, value in samples.items()
            if name.startswith(f":tensorflow:serving:request_latency_bucket{{{labels}")
        ]
        assert len(buckets) == 34
        assert buckets == sorted(buckets)
        assert f':tensorflow:serving:request_latency_bucket{{{labels},le="18"}}' in samples
        assert buckets[-1] == samples[f":tensorflow:serving:request_latency_count{{{labels}}}"]
        assert math.isfinite(samples[f":tensorflow:serving:request_latency_sum{{{labels}}}"])
    assert any(
        name.startswith(':tensorflow:serving:runtime_latency_count{model_name="m",API="Predict"') for name in samples
    )


@pytest.mark.parametrize(("path", "status"), [(METRICS + "?x=1", 400), ("/metrics", 404), (METRICS + "/", 404)])
def test_metrics_have_one_path(server, path, status):
    assert server.ask(path).status == status


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_metrics_take_any_method(server, method):
    assert server.ask(METRICS, method=method).status == 200
