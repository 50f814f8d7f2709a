"""Section 8 of the contract, asked of a live server: classify and regress."""

import base64

import pytest


@pytest.mark.parametrize(
    ("body", "results"),
    [
        # scores are [2 x, c]; classes are [s, "other"].
        ('{"examples": [{"x": 1.5, "c": 3, "s": "a"}]}', [[["a", 3.0], ["other", 3.0]]]),
        ('{"examples": [{"x": [1.5]}, {"x": 2.0, "c": []}]}',
         [[["none", 3.0], ["other", 0.0]], [["none", 4.0], ["other", 0.0]]]),
        ('{"context": {"c": 1, "x": 1.0}, "examples": [{"x": 2.0}, {}]}',
         [[["none", 4.0], ["other", 1.0]], [["none", 2.0], ["other", 1.0]]]),
        ('{"examples": [{"x": 1e1, "c": true, "s": {"b64": "YQ=="}}]}', [[["a", 20.0], ["other", 1.0]]]),
        ('{"examples": [{"x": 1.0, "unknown": 3}]}', [[["none", 2.0], ["other", 0.0]]]),
    ],
)  # fmt: skip
def test_classify(server, body, results):
    reply = server.ask("/v1/models/m:classify", '{"signature_name": "classify", ' + body[1:])

    assert (reply.status, reply.json) == (200, {"results": results})


def test_without_classes_labels_are_empty_and_without_scores_they_are_zero(server):
    body = {"examples": [{"x": 1.5, "s": "a"}]}

    scores = server.ask("/v1/models/m:classify", {"signature_name": "scores_only", **body}).json
    classes = server.ask("/v1/models/m:classify", {"signature_name": "classes_only", **body}).json

    assert scores == {"results": [[["", 3.0], ["", 0.0]]]}
    assert classes == {"results": [[["a", 0.0], ["other", 0.0]]]}


@pytest.mark.parametrize("api", ["classify", "regress"])
def test_a_signature_name_that_is_no_text_is_refused(server, api):
    """It was a 500: the name reached a protocol buffer."""
    reply = server.ask(f"/v1/models/m:{api}", b'{"signature_name": "\xff", "examples": [{"x": 1.5}]}')

    assert (reply.status, reply.json) == (400, {"error": "'signature_name' must be UTF-8"})


def test_regress(server):
    body = '{"signature_name": "regress", "context": {"c": 1}, "examples": [{"x": 1.5}, {"x": NaN}, {"x": -Infinity}]}'

    reply = server.ask("/v1/models/m:regress", body)

    assert "".join(reply.body.decode().split()) == '{"results":[4.0,NaN,-Infinity]}'


@pytest.mark.parametrize(
    "body",
    [
        "{}", '{"examples": {}}', '{"examples": []}', '{"examples": [1]}', '{"examples": [[]]}',
        '{"context": [], "examples": [{"x": 1.5}]}', '{"context": null, "examples": [{"x": 1.5}]}',
        '{"examples": [{"x": null}]}', '{"examples": [{"x": [[1.5]]}]}', '{"examples": [{"x": {"a": 1}}]}',
        '{"examples": [{"x": [1.5, 1]}]}', '{"examples": [{"x": ["a", 1.5]}]}', '{"examples": [{"x": [true, 1.5]}]}',
        '{"examples": [{"x": 1.5, "c": 9223372036854775808}]}', '{"examples": [{"x": {"b64": "-_"}}]}',
        # No conversion: the graph refuses an integer where it parses a float, and misses x.
        '{"examples": [{"x": 80}]}', '{"examples": [{}]}', '{"examples": [{"x": []}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("api", ["classify", "regress"])
def test_bad_examples_are_400(server, api, body):
    comma = ", " if body != "{}" else ""
    reply = server.ask(f"/v1/models/m:{api}", f'{{"signature_name": "{api}"{comma}' + body[1:])

    assert (reply.status, list(reply.json)) == (400, ["error"])


@pytest.mark.parametrize(
    ("api", "signature", "error"),
    [
        ("classify", "no", "No signature was found with the name: no"),
        ("regress", "no", "No signature was found with the name: no"),
        ("classify", "serving_default", ""),
        ("classify", "regress", ""),
        ("regress", "classify", ""),
        ("regress", "scores_only", ""),
        ("regress", "wide_regress", ""),
        ("regress", "", ""),  # The default signature does not take examples.
    ],
)
def test_signatures_that_do_not_fit_are_400(server, api, signature, error):
    reply = server.ask(f"/v1/models/m:{api}", {"signature_name": signature, "examples": [{"x": 1.5}]})

    assert reply.status == 400
    assert error in reply.json["error"]


def test_example_signatures_work_with_predict_too(server):
    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(1.5)
    encoded = base64.b64encode(example.SerializeToString()).decode()

    reply = server.predict({"signature_name": "regress", "instances": [{"b64": encoded}]})

    assert reply.json == {"predictions": [[3.0]]}
