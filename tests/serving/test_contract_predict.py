"""Sections 4 to 7 of the contract, asked of a live server: predict, values, the JSON reader, the answer."""

import json

import pytest


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        # Row form: a list of values for a signature with one input, and named the same.
        ('{"instances": [1, 2.5, -3]}', {"predictions": [2.0, 5.0, -6.0]}),
        ('{"instances": [{"x": 1}, {"x": 2}]}', {"predictions": [2.0, 4.0]}),
        ('{"instances": [[1, 2], [3, 4]]}', {"predictions": [[2.0, 4.0], [6.0, 8.0]]}),
        ('{"instances": [{"x": [[1]]}]}', {"predictions": [[[2.0]]]}),
        # Columnar form: the whole tensor; a scalar has rank 0.
        ('{"inputs": 4}', {"outputs": 8.0}),
        ('{"inputs": [1, 2]}', {"outputs": [2.0, 4.0]}),
        ('{"inputs": {"x": [1], "unknown": 3}}', {"outputs": [2.0]}),
        ('{"inputs": []}', {"outputs": []}),
        ('{"inputs": [[], []]}', {"outputs": [[], []]}),
        # Other keys are ignored whatever they hold, and an empty signature name is the default one.
        ('{"signature_name": "", "other": {"a": [null]}, "instances": [1]}', {"predictions": [2.0]}),
        ('{"a": ' + "[" * 300_000 + "]" * 300_000 + ', "instances": [1]}', {"predictions": [2.0]}),
        ('{"a": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + ', "instances": [1]}', {"predictions": [2.0]}),
        # Inputs may differ in their first dimension; a scalar output has no row form, but a columnar one.
        ('{"signature_name": "total", "inputs": [1, 2]}', {"outputs": 3.0}),
        ('{"signature_name": "unlike", "inputs": [1, 2]}', {"outputs": {"all": [1.0, 2.0], "first": [1.0]}}),
        # Shapes are not compared with the signature, which says [None]; only the graph may object.
        ('{"signature_name": "unlike", "inputs": [[1], [2]]}', {"outputs": {"all": [[1.0], [2.0]], "first": [[1.0]]}}),
        # Numbers beyond 64 bits are doubles, and doubles beyond float are infinite.
        ('{"instances": [18446744073709551616]}', {"predictions": [3.68934881e19]}),
        ('{"instances": [1e-400, 1e-60]}', {"predictions": [0.0, 0.0]}),
        ("\ufeff" + '{"instances": [1]} and more', {"predictions": [2.0]}),
    ],
)  # fmt: skip
def test_predict_answers(server, request_body, answer):
    reply = server.predict(request_body)

    assert (reply.status, reply.content_type) == (200, "application/json"), reply.body
    assert reply.json == answer


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        # Six digits if they read back the same, else nine; never an integer token.
        ("0.05, 1e20, 0.61728394", "0.1, 2e+20, 1.23456788"),
        ("1.5, 4500000, -0.0", "3.0, 9e+06, -0.0"),
        ("NaN, Infinity, -Infinity", "NaN, Infinity, -Infinity"),
        ("1e39, -1e39", "Infinity, -Infinity"),
    ],
)
def test_number_texts(server, values, texts):
    reply = server.predict(f'{{"instances": [{values}]}}')

    assert "".join(reply.body.decode().split()) == f'{{"predictions":[{texts}]}}'.replace(" ", "")


def test_double_texts(server):
    body = {"signature_name": "same_float64", "inputs": [0.1, 1 / 3, 1e300, 3]}

    reply = server.predict(body)

    texts = "[0.1, 0.33333333333333331, 1e+300, 3.0]"
    assert "".join(reply.body.decode().split()) == f'{{"outputs":{texts}}}'.replace(" ", "")


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("  \n", "JSON Parse error: The document is empty"),
        ("[1]", "JSON object"),
        ("3", "JSON object"),
        ("{}", "inputs"),
        ('{"instances": [1], "inputs": [1]}', "inputs"),
        ('{"instances": 1}', "list"),
        ('{"instances": {"x": 1}}', "list"),
        ('{"instances": []}', ""),
        ('{"instances": [{"x": 1}, 2]}', ""),
        ('{"instances": [1, {"x": 2}]}', ""),
        ('{"instances": [{"z": 1}]}', ""),
        ('{"instances": [{"x": 1, "z": 1}]}', ""),
        ('{"instances": [{"x": 1}, {}]}', ""),
        ('{"instances": [[1, 2], [3]]}', ""),
        ('{"instances": [1, [2]]}', ""),
        ('{"instances": [[1], 2]}', ""),
        ('{"instances": [[[1], [2]], [[1]]]}', ""),
        ('{"instances": [[[1], [2]], [[1], 2]]}', ""),
        ('{"inputs": [[1], [2, 3]]}', ""),
        ('{"inputs": {"z": 1}}', ""),
        ('{"signature_name": "mixed", "instances": [1]}', ""),
        ('{"signature_name": "mixed", "inputs": [1]}', ""),
        ('{"signature_name": 1, "instances": [1]}', "signature_name"),
        ('{"signature_name": null, "instances": [1]}', "signature_name"),
        ('{"signature_name": "no", "instances": [1]}', 'Serving signature name: "no" not found in signature def'),
        ('{"signature_name": "__saved_model_init_op", "instances": [1]}', ""),
        ('{"signature_name": "divide", "inputs": [0]}', "ivision by zero"),
        ('{"signature_name": "total", "instances": [1, 2]}', ""),
        ('{"signature_name": "unlike", "instances": [1, 2]}', ""),
        ('{"signature_name": "halves", "instances": [1]}', "Failed to write JSON value for tensor type: half"),
    ],
)
def test_a_bad_request_is_a_400_that_says_why(server, request_body, message):
    reply = server.ask("/v1/models/m:predict", request_body, method="POST")

    assert reply.status == 400, reply.body
    assert list(reply.json) == ["error"]
    assert message in reply.json["error"]


@pytest.mark.parametrize(
    "text",
    [
        '{"instances": [1],}', "{'instances': [1]}", '{"instances": [1,]}', '{"instances": [01]}',
        '{"instances": [.5]}',
        '{"instances": [5.]}', '{"instances": [+1]}', '{"instances": [0x10]}', '{"instances": [nan]}',
        '{"instances": [1e400]}', '{"instances": [1] // comment\n}', '{"instances": [1 2]}', '{"instances" [1]}',
        '{"a": "\x01", "instances": [1]}', '{"a": "\\x", "instances": [1]}', '{"a": "\\ud800", "instances": [1]}',
        '{"instances": [1]', "{", '{"instances": ' + "[" * 100_000, '{"a": tru}',
    ],
)  # fmt: skip
def test_what_is_not_strict_json_is_a_parse_error(server, text):
    reply = server.predict(text)

    assert reply.status == 400
    assert reply.json["error"].startswith("JSON Parse error: ")


# Per dtype: what is accepted with what comes back, and what is refused.
VALUES = {
    "float32": ([("1", 1.0), ("-2.5", -2.5), ("1e2", 100.0)], ['"1"', "true", "null", "{}"]),
    "float64": ([("1", 1.0), ("1e300", 1e300)], ['"1"', "false", "null"]),
    "int8": ([("-128", -128), ("127", 127)], ["1.0", "1e2", '"1"', "true", "null", "2147483648"]),
    "uint8": ([("255", 255)], ["1.5", "-2147483649"]),
    "int16": ([("-32768", -32768)], ["1.0", "null"]),
    "int32": ([("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)], ["2147483648", "1.0", "1e1", "NaN"]),
    "int64": (
        [("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))],
        ["9223372036854775808", "-9223372036854775809", "1.0", "99999999999999999999"],
    ),
    "uint32": ([("0", 0), ("4294967295", 2**32 - 1)], ["-1", "4294967296", "0.0"]),
    "uint64": ([("18446744073709551615", 2**64 - 1)], ["-1", "18446744073709551616", "1.0"]),
    "bool": ([("true", True), ("false", False)], ["1", "0", '"true"', "null"]),
    "string": (
        [('"Zürich"', "Zürich"), ('{"b64": "WsO8cmljaA=="}', "Zürich"), ('{"b64": "W sO8cml\\njaA"}', "Zürich"),
         ('"\\u00e9\\ud83d\\ude00"', "é😀"), ('""', ""), ('{"b64": ""}', ""), ('"' + "x" * 100 + '"', "x" * 100)],
        ["1", "true", "null", '{"b64": 1}', '{"b64": "-_-_"}', '{"b64": "", "c": 1}', '{"a": "b"}'],
    ),
}  # fmt: skip
ACCEPTED = [(dtype, text, value) for dtype, (good, _) in VALUES.items() for text, value in good]
REFUSED = [(dtype, text) for dtype, (_, bad) in VALUES.items() for text in bad]


@pytest.mark.parametrize(("dtype", "text", "value"), ACCEPTED)
def test_values_of_each_dtype(server, dtype, text, value):
    columns = server.predict(f'{{"signature_name": "same_{dtype}", "inputs": [{text}, {text}]}}')
    rows = server.predict(f'{{"signature_name": "same_{dtype}", "instances": [{{"v": {text}}}]}}')

    assert (columns.status, columns.json) == (200, {"outputs": [value, value]})
    assert (rows.status, rows.json) == (200, {"predictions": [value]})
    assert type(rows.json["predictions"][0]) is type(value)


@pytest.mark.parametrize(("dtype", "text"), REFUSED)
def test_values_that_a_dtype_does_not_take(server, dtype, text):
    columns = server.predict(f'{{"signature_name": "same_{dtype}", "inputs": {{"v": [{text}]}}}}')
    rows = server.predict(f'{{"signature_name": "same_{dtype}", "instances": [{{"v": {text}}}]}}')

    assert (columns.status, rows.status) == (400, 400)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint16", "complex64"])
def test_dtypes_that_json_cannot_give(server, dtype):
    columns = server.predict({"signature_name": f"same_{dtype}", "inputs": [1]})
    rows = server.predict({"signature_name": f"same_{dtype}", "instances": [1]})

    assert (columns.status, rows.status) == (501, 400)


def test_several_outputs_are_named(server):
    body = {"a": [1.5, -2], "n": [9223372036854775807, -1], "s": ["Zürich", "b"]}

    columns = server.predict({"signature_name": "mixed", "inputs": body}).json["outputs"]
    rows = server.predict({"signature_name": "mixed", "instances": [{"a": 1, "n": 2, "s": "c"}]}).json["predictions"]

    encoded = [{"b64": "WsO8cmljaA=="}, {"b64": "Yg=="}]
    assert columns == {**body, "s_bytes": encoded, "flag": [True, False]}
    assert rows == [{"a": 1.0, "n": 2, "s": "c", "s_bytes": {"b64": "Yw=="}, "flag": True}]


def test_plain_and_base64_strings_may_be_mixed_and_bytes_go_out_unchecked(server):
    body = {"signature_name": "same_string", "inputs": ["a", {"b64": "/w"}, 'quote " and \\ and \n']}

    reply = server.predict(body)

    assert b'"\xff"' in reply.body
    assert json.loads(reply.body.replace(b"\xff", b"?"))["outputs"] == ["a", "?", 'quote " and \\ and \n']


def test_bytes_in_strings_pass_unchanged(server):
    reply = server.predict(b'{"signature_name": "same_string", "inputs": ["\xff\xfe"]}')

    assert b'"\xff\xfe"' in reply.body


def test_a_long_string_is_one_string(server):
    text = "x" * 1_000_000

    assert server.predict({"signature_name": "same_string", "inputs": text}).json == {"outputs": text}


def test_a_thousand_rows(server):
    values = [index / 8 for index in range(1000)]

    assert server.predict({"instances": values}).json == {"predictions": [2 * value for value in values]}
