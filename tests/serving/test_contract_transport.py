"""Sections 1 to 3 of the contract, asked of a live server: transport, URLs, errors and the order of checks."""

import gzip
import http.client
import json
import socket

import pytest

PREDICT = "/v1/models/m:predict"
GOOD = b'{"instances": [1]}'


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/m/versions/9", 404, "Could not find version 9 of model m"),
        ("GET", "/v1/models/m/", 400, "Malformed request: GET /v1/models/m/"),
        ("GET", "/v1/models/m/versions/1/", 400, "Malformed request: GET /v1/models/m/versions/1/"),
        ("GET", "/v1/models/m/versions/one", 400, "Malformed request: GET /v1/models/m/versions/one"),
        ("GET", "/v1/models/m:predict", 400, "Malformed request: GET /v1/models/m:predict"),
        ("GET", "/v1/other", 400, "Malformed request: GET /v1/other"),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        ("GET", "/v1/models/m/versions/9/metadata", 404, "Servable not found for request: Specific(m, 9)"),
        ("GET", "/v1/models/m/labels/stable/metadata", 400, "Unrecognized servable version label: stable"),
        ("POST", "/v1/models/m", 400, "Malformed request: POST /v1/models/m"),
        ("POST", "/v1/models/m:explain", 400, "Malformed request: POST /v1/models/m:explain"),
        ("POST", "/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        ("POST", "/v1/models/m/versions/9:predict", 404, "Servable not found for request: Specific(m, 9)"),
        ("POST", "/v1/models/m/labels/stable:predict", 400, "Unrecognized servable version label: stable"),
        ("POST", "/v1/models/none/labels/a:predict", 400, "Unrecognized servable version label: a"),
        ("POST", "/v1/models/m:PREDICT", 400, "Malformed request: POST /v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict?x=1", 400, "Malformed request: POST /v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:predict/", 400, "Malformed request: POST /v1/models/m:predict/"),
        ("PUT", "/v1/models/m", 400, "Malformed request: PUT /v1/models/m"),
        ("DELETE", "/v1/models/m", 400, "Malformed request: DELETE /v1/models/m"),
        ("PATCH", "/v1/models/m", 400, "Malformed request: PATCH /v1/models/m"),
        # Names are decoded after matching, and are only looked up.
        ("POST", "/v1/models/a%2Fb%3Ac:predict", 404, "Servable not found for request: Latest(a/b:c)"),
        ("POST", "/v1/models/..%2F..%2Fetc%2Fpasswd:predict", 404,
         "Servable not found for request: Latest(../../etc/passwd)"),
    ],
)  # fmt: skip
def test_urls(server, method, path, status, error):
    reply = server.ask(path, GOOD if method == "POST" else None, method=method)

    assert (reply.status, reply.json) == (status, {"error": error})
    assert reply.content_type == "application/json"


def test_a_version_may_be_asked_for_with_leading_zeros(server):
    assert server.predict(GOOD, "m/versions/0001").json == {"predictions": [2.0]}


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 5000])
def test_a_version_beyond_int64_is_400(server, digits):
    assert server.ask(f"/v1/models/m/versions/{digits}").status == 400


def test_head_is_malformed_and_has_no_body(server):
    reply = server.ask("/v1/models/m", method="HEAD")

    assert (reply.status, reply.body) == (400, b"")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /other HTTP/1.1", 404),
        ("GET / HTTP/1.1", 404),
        ("BREW /v1/models/m HTTP/1.1", 501),
        ("GET /v1/models/%zz HTTP/1.1", 400),
        ("GET /v1/models/[ HTTP/1.1", 400),
    ],
)
def test_what_is_no_request_of_the_contracts_is_answered_in_html(server, request_line, status):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = raw.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"text/html" in answer.lower()


def test_connections_stay_open_and_answer_in_order(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sockets = set()
    for value in (1, 2, 3):
        connection.request("POST", PREDICT, f'{{"instances": [{value}]}}')
        assert connection.getresponse().read()
        sockets.add(connection.sock.getsockname())
    connection.close()

    assert len(sockets) == 1


def test_requests_sent_ahead_are_answered_in_order(server):
    def request(value):
        body = b'{"instances": [%d]}' % value
        return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (PREDICT.encode(), len(body), body)

    status = b"GET /v1/models/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(request(1) + request(2) + status)
        answer = raw.makefile("rb").read()

    places = [answer.index(text) for text in (b"2.0", b"4.0", b"Could not find any versions")]
    assert places == sorted(places)


def test_chunked_bodies_and_100_continue(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(
            f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 100")
        raw.sendall(b'8\r\n{"instan\r\na\r\nces": [1]}\r\n0\r\n\r\n')
        answer = raw.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"2.0" in answer


BODY = b'{"instances": [1.5]}'
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("cut", [0, 20, 150, -7])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_wish_for_another_protocol_is_ignored(server, chunked, cut):
    """Java's HttpClient and `curl --http2` send it with every first request; RFC 9110, 7.8."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(BODY)
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY) if chunked else BODY
    request = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\n" + UPGRADE + framing + b"\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for parts in ((request[:cut], request[cut:]), (request.replace(UPGRADE, b""),)):
            for part in parts:
                raw.sendall(part)
            answer = http.client.HTTPResponse(raw)
            answer.begin()
            assert (answer.status, json.loads(answer.read())) == (200, {"predictions": [3.0]})


def test_http_1_0_is_told_that_the_connection_stays(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        for _ in range(2):
            raw.sendall(b"GET /v1/models/m HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = http.client.HTTPResponse(raw)
            answer.begin()
            answer.read()
            assert answer.getheader("Connection") == "keep-alive"
        raw.sendall(b"GET /v1/models/m HTTP/1.0\r\n\r\n")
        last = http.client.HTTPResponse(raw)
        last.begin()
        last.read()
        assert last.getheader("Connection") == "close"
        assert raw.recv(1) == b""


def test_content_type_and_accept_are_not_looked_at(server):
    reply = server.ask(PREDICT, GOOD, headers={"Content-Type": "image/png", "Accept": "text/plain"})

    assert (reply.status, reply.content_type) == (200, "application/json")
    assert int(reply.headers["content-length"]) == len(reply.body)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip, deflate"])
def test_a_gzipped_body_is_read(server, encoding):
    reply = server.ask(PREDICT, gzip.compress(GOOD), headers={"Content-Encoding": encoding})

    assert reply.json == {"predictions": [2.0]}


@pytest.mark.parametrize(
    "body",
    [gzip.compress(GOOD)[:-4], GOOD, b"", gzip.compress(bytes(101 * 2**20))],
    ids=["cut", "plain", "empty", "bomb"],
)
def test_what_does_not_gunzip_counts_as_empty(server, body):
    reply = server.ask(PREDICT, body, headers={"Content-Encoding": "gzip"}, method="POST")

    assert reply.status == 400
    assert "The document is empty" in reply.json["error"]


@pytest.mark.parametrize(("origin", "status"), [("https://example.org", 200), ("http://x", 200), ("null", 400)])
def test_options(server, origin, status):
    reply = server.ask(PREDICT, method="OPTIONS", headers={"Origin": origin})

    assert (reply.status, reply.body) == (status, b"")
    assert reply.headers["access-control-allow-origin"] == "*"


def test_cors_headers(server):
    headers = server.predict(GOOD).headers

    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-methods"] == "POST, GET"
    assert headers["access-control-allow-headers"] == "Content-Type"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        # predict: JSON, signature_name's type, model, signature, instances or inputs, values.
        ("none:predict", "{", 400),
        ("none:predict", '{"signature_name": 1}', 400),
        ("none:predict", "{}", 404),
        ("m:predict", '{"signature_name": "no"}', 400),
        # classify and regress: the examples come before the model.
        ("none:classify", "{", 400),
        ("none:classify", '{"examples": [1]}', 400),
        ("none:regress", '{"examples": [{"x": null}]}', 400),
        ("none:regress", '{"examples": [{}]}', 404),
        ("none/labels/a:regress", '{"examples": [{}]}', 400),
    ],
)
def test_the_first_failing_check_answers(server, path, body, status):
    reply = server.ask(f"/v1/models/{path}", body)

    assert (reply.status, list(reply.json)) == (status, ["error"])


def test_quoted_values_are_cut(server):
    reply = server.predict({"instances": ["x" * 100_000]})

    assert reply.status == 400
    assert len(reply.json["error"]) < 500
