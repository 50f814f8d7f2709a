"""The v2 inference protocol: its documents' examples as a table, binary tensors, and a public client."""

import json
import shutil
import struct
import subprocess
import sys

import pytest

from tests.helpers.model_server import REPOSITORY

CLIENT = (
    "tritonclient==2.73.0", "geventhttpclient==2.6.1", "gevent==26.9.0", "greenlet==3.3.2", "zope-event==6.2",
    "zope-interface==8.7", "brotli==1.2.1", "python-rapidjson==1.25", "urllib3", "certifi",
)  # fmt: skip


@pytest.fixture
def v2(server):
    if server.kind != "embedded":
        pytest.skip("tensorflow_model_server does not speak this protocol")
    return server


def infer(server, request, *, where="m", binary=None):
    if binary is None:
        return server.ask(f"/v2/models/{where}/infer", request)
    head = json.dumps(request).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return server.ask(f"/v2/models/{where}/infer", head + binary, headers=headers)


def tensor(name="x", shape=(2,), datatype="FP32", **rest):
    return {"name": name, "shape": list(shape), "datatype": datatype, **rest}


def identity(dtype, datatype, data, shape=None):
    """A request to the signature that returns its input."""
    given = tensor("v", shape or [len(data)], datatype, data=data)
    return {"parameters": {"signature_name": f"same_{dtype}"}, "inputs": [given]}


def test_metadata_and_readiness(v2):
    assert v2.ask("/v2").json == {
        "name": "driftgate", "version": v2.ask("/v2").json["version"], "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    assert v2.ask("/v2/health/live").json == {"live": True}
    assert v2.ask("/v2/models/m/ready").json == {"name": "m", "ready": True}
    assert v2.ask("/v2/models/m/versions/1/ready").status == 200
    assert v2.ask("/v2/models/m").json == {
        "name": "m", "versions": ["1"], "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }  # fmt: skip


def test_an_inference_names_model_version_and_request(v2):
    reply = infer(v2, {"id": "42", "inputs": [tensor(data=[1, 2.5])]}, where="m/versions/1")

    assert (reply.status, reply.content_type) == (200, "application/json")
    assert reply.json == {
        "model_name": "m", "model_version": "1", "id": "42",
        "outputs": [{"name": "y", "shape": [2], "datatype": "FP32", "data": [2.0, 5.0]}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "datatype", "data", "answer"),
    [
        ("bool", "BOOL", [True, False], [True, False]),
        ("int8", "INT8", [-128, 127], [-128, 127]),
        ("uint8", "UINT8", [0, 255], [0, 255]),
        ("int16", "INT16", [-(2**15)], [-(2**15)]),
        ("uint16", "UINT16", [0, 2**16 - 1], [0, 2**16 - 1]),
        ("int32", "INT32", [2**31 - 1], [2**31 - 1]),
        ("uint32", "UINT32", [2**32 - 1], [2**32 - 1]),
        ("int64", "INT64", [-(2**63)], [-(2**63)]),
        ("uint64", "UINT64", [2**64 - 1], [2**64 - 1]),
        ("float16", "FP16", [1.5, 65504], [1.5, 65504]),
        ("float32", "FP32", [0.1], [0.1]),
        ("float64", "FP64", [0.1], [0.1]),
        ("string", "BYTES", ["Zürich", ""], ["Zürich", ""]),
        # Row-major, nested or not: both are the same tensor.
        ("int32", "INT32", [[1, 2, 3], [4, 5, 6]], [1, 2, 3, 4, 5, 6]),
        ("int32", "INT32", [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]),
    ],
)
def test_every_datatype_travels_as_json(v2, dtype, datatype, data, answer):
    shape = [2, 3] if len(answer) == 6 else [len(data)]

    (output,) = infer(v2, identity(dtype, datatype, data, shape)).json["outputs"]

    assert output == {"name": "out", "shape": shape, "datatype": datatype, "data": answer}


@pytest.mark.parametrize(
    ("dtype", "datatype", "content", "count"),
    [
        ("bool", "BOOL", b"\x01\x00", 2),
        ("int8", "INT8", struct.pack("<2b", -128, 127), 2),
        ("uint16", "UINT16", struct.pack("<2H", 1, 65535), 2),
        ("int64", "INT64", struct.pack("<q", -(2**63)), 1),
        ("float16", "FP16", struct.pack("<2e", 1.5, -2), 2),
        ("bfloat16", "BF16", b"\x80\x3f\x00\x40", 2),
        ("float32", "FP32", struct.pack("<3f", 0.1, float("inf"), -1), 3),
        ("float64", "FP64", struct.pack("<d", 0.1), 1),
        ("string", "BYTES", struct.pack("<I", 3) + b"a\xffb" + struct.pack("<I", 0), 2),
        ("int32", "INT32", b"", 0),
    ],
)
def test_every_datatype_travels_as_bytes(v2, dtype, datatype, content, count):
    given = tensor("v", [count], datatype, parameters={"binary_data_size": len(content)})
    request = {"parameters": {"signature_name": f"same_{dtype}", "binary_data_output": True}, "inputs": [given]}

    reply = infer(v2, request, binary=content)

    size = int(reply.headers["inference-header-content-length"])
    assert reply.content_type == "application/octet-stream"
    assert json.loads(reply.body[:size])["outputs"] == [
        {"name": "out", "datatype": datatype, "shape": [count], "parameters": {"binary_data_size": len(content)}}
    ]
    assert reply.body[size:] == content


def test_inputs_and_outputs_may_mix_json_and_bytes(v2):
    numbers, texts = struct.pack("<2q", 7, -1), struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"bc"
    request = {
        "parameters": {"signature_name": "mixed"},
        "inputs": [
            tensor("n", [2], "INT64", parameters={"binary_data_size": len(numbers)}),
            tensor("a", [2], "FP32", data=[1.5, 2.5]),
            tensor("s", [2], "BYTES", parameters={"binary_data_size": len(texts)}),
        ],
        "outputs": [
            {"name": "s", "parameters": {"binary_data": True}},
            {"name": "flag"},
            {"name": "n", "parameters": {"binary_data": True}},
        ],
    }

    reply = infer(v2, request, binary=numbers + texts)

    size = int(reply.headers["inference-header-content-length"])
    outputs = json.loads(reply.body[:size])["outputs"]
    assert [output["name"] for output in outputs] == ["s", "flag", "n"]
    assert outputs[1]["data"] == [True, False]
    assert reply.body[size:] == texts + numbers


@pytest.mark.parametrize(
    ("request_body", "status", "message"),
    [
        ({}, 400, "The request has no 'inputs'"),
        ({"inputs": {}}, 400, "'inputs' must be a list of objects"),
        ({"inputs": [{}]}, 400, "Input 0 must have a 'name'"),
        ({"inputs": [tensor(data=[1, 2])] * 2}, 400, "Input 1 must have a 'name' of its own"),
        ({"inputs": [tensor("z", data=[1, 2])]}, 400, "The model has no input 'z'. Expected: x"),
        ({"inputs": [tensor(datatype="INT32", data=[1, 2])]}, 400, 'has the datatype FP32. Received: "INT32"'),
        ({"inputs": [tensor(shape=[3], data=[1, 2])]}, 400, "The input 'x' has 2 elements; its shape is [3]"),
        ({"inputs": [tensor(shape=[-1], data=[1, 2])]}, 400, "The shape of the input 'x' must be a list"),
        ({"inputs": [tensor(shape=[1] * 65, data=[1])]}, 400, "The shape of the input 'x' must be a list"),
        ({"inputs": [tensor(shape=[0, 2**62, 2], data=[])]}, 400, "more elements than there can be"),
        ({"inputs": [tensor()]}, 400, "must have either 'data' or the parameter 'binary_data_size'"),
        ({"inputs": [tensor(data=3)]}, 400, "The data of the input 'x' must be a list"),
        ({"inputs": [tensor(data=["a", "b"])]}, 400, 'JSON value "a" is not of the type float'),
        ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, 400, "declares 8 bytes; 0 are left"),
        ({"inputs": [tensor(parameters=[], data=[1, 2])]}, 400, "must be an object"),
        ({"id": 3, "inputs": [tensor(data=[1, 2])]}, 400, "'id' must be a string"),
        (
            {"inputs": [tensor(data=[1, 2])], "outputs": [{"name": "z"}]},
            400,
            "output tensor alias not found in signature: z",
        ),
        (
            {"inputs": [tensor(data=[1, 2])], "outputs": [{"name": "y", "parameters": {"classification": 1}}]},
            501,
            "classification",
        ),
        ({"parameters": {"signature_name": "none"}, "inputs": []}, 400, 'Serving signature name: "none" not found'),
        ({"parameters": {"signature_name": "mixed"}, "inputs": []}, 400, "Missing but required: {a,n,s}"),
        (
            {"parameters": {"signature_name": "divide"}, "inputs": [tensor("i", [1], "INT32", data=[0])]},
            400,
            "ivision by zero",
        ),
        (identity("int8", "INT8", [128]), 400, "does not fit into INT8"),
        (identity("uint32", "UINT32", [-1]), 400, "does not fit into UINT32"),
        (identity("bfloat16", "BF16", [1.0]), 400, "can be sent as binary data alone"),
        (identity("complex64", "FP32", [1.0]), 501, "no datatype for the input 'v'"),
        ("[]", 400, "object"),
        ("", 400, "The document is empty"),
    ],
)
def test_wrong_requests_say_what_is_wrong(v2, request_body, status, message):
    reply = infer(v2, request_body)

    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert message in reply.json["error"]


@pytest.mark.parametrize(
    ("header", "content", "message"),
    [
        ("1000", b"", "must be at most the body's"),
        ("-1", b"", "must be at most"),
        ("²", b"", "must be at most"),
        (None, b"\x00" * 9, "1 bytes after the inputs belong to none of them"),
        (None, b"\x00" * 7, "declares 8 bytes; 7 are left"),
    ],
)
def test_bytes_that_do_not_add_up_are_refused(v2, header, content, message):
    head = json.dumps({"inputs": [tensor(parameters={"binary_data_size": 8})]}).encode()
    header = header or str(len(head))

    reply = v2.ask(
        "/v2/models/m/infer",
        head + content,
        headers={"Inference-Header-Content-Length": header.encode().decode("latin-1")},
    )

    assert reply.status == 400
    assert message in reply.json["error"]


@pytest.mark.parametrize(
    ("content", "shape", "message"),
    [
        (b"\x05\x00\x00\x00abc", [1], "end within an element"),
        (b"\x01\x00", [1], "end within an element"),
        (b"\x01\x00\x00\x00a", [2], "has 1 elements; its shape is [2]"),
    ],
)
def test_texts_that_do_not_add_up_are_refused(v2, content, shape, message):
    given = tensor("v", shape, "BYTES", parameters={"binary_data_size": len(content)})

    reply = infer(v2, {"parameters": {"signature_name": "same_string"}, "inputs": [given]}, binary=content)

    assert reply.status == 400
    assert message in reply.json["error"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/models/none", None, 404),
        ("/v2/models/none/ready", None, 404),
        ("/v2/models/m/versions/9/ready", None, 404),
        ("/v2/models/none/infer", {"inputs": []}, 404),
        ("/v2/models/m/versions/x", None, 400),
        ("/v2/models", None, 400),
        ("/v2/models/m/infer", None, 400),
        ("/v2/models/m", {}, 400),
        ("/v2/other", None, 400),
        ("/v2x", None, 404),
        ("/v2/health/live", {}, 400),
        ("/v2/models/m/versions/99999999999999999999/ready", None, 400),
    ],
)
def test_paths_that_are_none(v2, path, body, status):
    assert v2.ask(path, body).status == status


SCRIPT = """
import json, sys
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("m") and not client.is_model_ready("n")
metadata = client.get_model_metadata("m")
answers = {"inputs": metadata["inputs"], "server": client.get_server_metadata()["name"]}
values = {"a": np.float32([1.5, -2]), "n": np.int64([2, -3]), "s": np.array(["Zürich".encode(), b""], object)}
for binary in (True, False):
    inputs = []
    for name, datatype in (("a", "FP32"), ("n", "INT64"), ("s", "BYTES")):
        inputs.append(triton.InferInput(name, [2], datatype))
        inputs[-1].set_data_from_numpy(values[name], binary_data=binary)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("n", "s", "flag")]
    result = client.infer("m", inputs, outputs=outputs, parameters={"signature_name": "mixed"}, request_id="7")
    assert result.get_response()["id"] == "7"
    texts = [text.decode() if isinstance(text, bytes) else text for text in result.as_numpy("s").tolist()]
    answers[f"binary={binary}"] = [result.as_numpy("n").tolist(), texts, result.as_numpy("flag").tolist()]
try:
    client.infer("m", [triton.InferInput("z", [1], "FP32").set_data_from_numpy(np.float32([1]))])
except triton.InferenceServerException as error:
    answers["error"] = str(error)
print(json.dumps(answers))
"""


GRPC_SCRIPT = """
import json, sys
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
import grpc

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("m", "1") and not client.is_model_ready("m", "9")
metadata = client.get_model_metadata("m", as_json=True)
answers = {"metadata": metadata, "server": client.get_server_metadata().name}
values = {"a": np.float32([1.5, -2]), "n": np.int64([2, -3]), "s": np.array(["Zürich".encode(), b""], object)}
inputs = []
for name, datatype in (("a", "FP32"), ("n", "INT64"), ("s", "BYTES")):
    inputs.append(triton.InferInput(name, [2], datatype).set_data_from_numpy(values[name]))
outputs = [triton.InferRequestedOutput(name) for name in ("n", "s", "flag")]
result = client.infer("m", inputs, outputs=outputs, parameters={"signature_name": "mixed"}, request_id="7")
texts = [text.decode() for text in result.as_numpy("s").tolist()]
answers["raw"] = [result.get_response().id, result.as_numpy("n").tolist(), texts, result.as_numpy("flag").tolist()]

stub = GRPCInferenceServiceStub(grpc.insecure_channel(sys.argv[1]))
def ask(signature, *tensors, **fields):
    request = pb.ModelInferRequest(model_name="m", **fields)
    request.parameters["signature_name"].string_param = signature
    for name, datatype, shape, contents in tensors:
        given = request.inputs.add(name=name, datatype=datatype, shape=shape)
        for field, listed in contents.items():
            getattr(given.contents, field).extend(listed)
    try:
        return stub.ModelInfer(request)
    except grpc.RpcError as error:
        return [error.code().name, error.details()]

answers["typed"] = {}
for dtype, datatype, field, listed in (
    ("bool", "BOOL", "bool_contents", [True, False]), ("int8", "INT8", "int_contents", [-128, 127]),
    ("uint8", "UINT8", "uint_contents", [0, 255]), ("uint64", "UINT64", "uint64_contents", [2**64 - 1, 0]),
    ("float64", "FP64", "fp64_contents", [0.1, 2.5]), ("string", "BYTES", "bytes_contents", [b"a", b""]),
):
    (output,) = ask("same_" + dtype, ("v", datatype, [2], {field: listed})).outputs
    assert (output.name, output.datatype, list(output.shape)) == ("out", datatype, [2])
    answers["typed"][dtype] = list(getattr(output.contents, field)) == listed
half = ask("same_float16", ("v", "FP16", [1], {}), raw_input_contents=[np.float16([1.5]).tobytes()])
answers["typed"]["float16"] = half.raw_output_contents[0] == np.float16([1.5]).tobytes()
answers["errors"] = [
    ask("same_int8", ("v", "INT8", [1], {"int_contents": [128]})),
    ask("same_int8", ("v", "INT16", [1], {"int_contents": [1]})),
    ask("same_int8", ("v", "INT8", [2], {"int_contents": [1]})),
    ask("same_int8", ("v", "INT8", [1], {}), raw_input_contents=[b"a", b"b"]),
    ask("same_float16", ("v", "FP16", [1], {})),
    ask("none"), ask("same_int8", model_version="9"), ask("same_int8", model_version="x"),
]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def ask_client(tmp_path_factory):
    """Runs a script beside a public client: in a folder of its own, for it asks for other versions of what is there."""
    uv = shutil.which("uv") or str(REPOSITORY / ".venv" / "bin" / "uv")
    packages = tmp_path_factory.mktemp("triton")
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(packages), "--python", sys.executable]
    done = subprocess.run([*install, *CLIENT], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"the client cannot be installed here: {done.stderr[-200:]}")

    def ask(script: str, port: int):
        done = subprocess.run(
            [sys.executable, "-c", script, f"127.0.0.1:{port}"], env={"PYTHONPATH": str(packages)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def test_a_public_client_is_served_over_rest(v2, ask_client):
    answers = ask_client(SCRIPT, v2.port)

    expected = [[2, -3], ["Zürich", ""], [True, False]]
    assert "The model has no input 'z'" in answers.pop("error")
    assert answers == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}], "server": "driftgate",
        "binary=True": expected, "binary=False": expected,
    }  # fmt: skip


def test_a_public_client_is_served_over_grpc(v2, ask_client):
    answers = ask_client(GRPC_SCRIPT, v2.grpc_port)

    errors = answers.pop("errors")
    assert set(answers.pop("typed").values()) == {True}
    assert answers == {
        "server": "driftgate",
        "metadata": {
            "name": "m", "versions": ["1"], "platform": "tensorflow_savedmodel",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": ["-1"]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": ["-1"]}],
        },
        "raw": ["7", [2, -3], ["Zürich", ""], [True, False]],
    }  # fmt: skip
    assert [code for code, _ in errors] == [
        *["INVALID_ARGUMENT"] * 5, "FAILED_PRECONDITION", "NOT_FOUND", "INVALID_ARGUMENT",
    ]  # fmt: skip
    for (_, text), part in zip(errors, (
        "does not fit into INT8", 'has the datatype INT8. Received: "INT16"', "has 1 elements; its shape is [2]",
        "one entry for each of the 1 inputs. Received: 2", "must come in raw_input_contents", '"none" not found',
        "Specific(m, 9)", "A version is a whole number",
    ), strict=True):  # fmt: skip
        assert part in text
