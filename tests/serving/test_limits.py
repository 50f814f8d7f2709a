"""Slow, greedy and hostile clients of a live server."""

import concurrent.futures
import contextlib
import json
import os
import select
import shutil
import socket
from pathlib import Path

import pytest

from tests.helpers.model_server import start, stop, wait_until

PREDICT = "/v1/models/m:predict"
GOOD = '{"instances": [1]}'
BODY_BYTES = 2 * 2**20


@pytest.fixture(scope="module")
def small(models, tmp_path_factory):
    """A server that takes little at once and has time: nothing here depends on how fast a client is."""
    base_path = tmp_path_factory.mktemp("limits")
    shutil.copytree(models / "1", base_path / "1")
    server = start(
        base_path, "--max-body-bytes", str(BODY_BYTES), "--max-header-bytes", "4096",
        "--max-buffered-bytes", str(2 * BODY_BYTES), "--timeout-seconds", "300", "--idle-seconds", "300",
        "--max-connections", "20", "--threads", "2", "--max-waiting", "2",
    )  # fmt: skip
    yield server
    assert stop(server) == 0


@pytest.fixture(scope="module")
def hasty(models, tmp_path_factory):
    """A server without patience, for clients that it has to give up on; a request of good clients may time out too."""
    base_path = tmp_path_factory.mktemp("hasty")
    shutil.copytree(models / "1", base_path / "1")
    server = start(base_path, "--timeout-seconds", "1", "--idle-seconds", "1", "--threads", "2")
    yield server
    assert stop(server) == 0


@pytest.fixture(scope="module")
def frugal(models, tmp_path_factory):
    """A server that reads few values in one request, and takes its time."""
    base_path = tmp_path_factory.mktemp("frugal")
    shutil.copytree(models / "1", base_path / "1")
    server = start(base_path, "--max-values", "100000")
    yield server
    assert stop(server) == 0


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def read_all(raw) -> bytes:
    parts = []
    try:
        while part := raw.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def error_of(answer: bytes) -> str:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def memory_bytes(server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_a_body_beyond_the_limit_is_413_declared_or_not(small):
    declared = small.predict(b" " * (BODY_BYTES + 1))
    with connect(small) as raw:
        raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        for _ in range(BODY_BYTES // 65536 + 1):
            raw.sendall(chunk)
        chunked = read_all(raw)

    assert declared.status == 413
    assert f"limit of {BODY_BYTES} bytes" in declared.json["error"]
    assert chunked.startswith(b"HTTP/1.1 413")
    assert f"limit of {BODY_BYTES} bytes" in error_of(chunked)


@pytest.mark.parametrize(
    "head",
    ["X: " + "x" * 100_000, "\r\n".join(f"X-{i}: y" for i in range(2000))],
    ids=["one long header", "many headers"],
)
def test_headers_beyond_the_limit_are_431(small, head):
    with connect(small) as raw:
        raw.sendall(f"GET /v1/models/m HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        answer = read_all(raw)

    assert answer.startswith(b"HTTP/1.1 431")
    assert "limit of 4096 bytes" in error_of(answer)


def test_a_body_in_chunks_of_one_byte_is_400(small):
    with connect(small) as raw, contextlib.suppress(OSError):
        raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        raw.sendall(b"1\r\n \r\n" * 100_000)
        assert read_all(raw).startswith(b"HTTP/1.1 400")


def test_a_slow_body_holds_nobody_up(small):
    with connect(small) as slow:
        slow.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())

        assert small.predict(GOOD).status == 200


def test_a_slow_body_is_504(hasty):
    with connect(hasty) as slow:
        slow.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        answer = read_all(slow)

    assert answer.startswith(b"HTTP/1.1 504")
    assert error_of(answer) == "Timed out after 1 s"


def test_a_head_that_trickles_in_is_cut_off_however_often_it_moves(hasty):
    with connect(hasty) as slow:
        slow.sendall(b"GET /v1/models/m HTTP/1.1\r\n")
        # Few enough lines for the limit of a head: an answer can only come of the time that they take.
        for _ in range(600):
            slow.sendall(b"X: y\r\n")
            if select.select([slow], [], [], 0.05)[0]:
                break
        answer = slow.recv(1000)

    assert answer.startswith(b"HTTP/1.1 504")


def test_an_idle_connection_is_closed(hasty):
    with connect(hasty) as idle:
        assert read_all(idle) == b""


def test_a_reader_that_never_reads_is_cut_off(hasty):
    body = json.dumps({"signature_name": "same_string", "inputs": "x" * 1_500_000}).encode()
    request = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    with connect(hasty) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # The server stops reading once its answers go nowhere, and gives the client up. On a very slow machine its
        # answers are short ones of 504, and all is sent.
        with contextlib.suppress(OSError):
            deaf.sendall(40 * request)
        received = read_all(deaf)

    # Some whole answers may be in the buffers of the system; far less than was asked for was kept by the server.
    assert len(received) < 40 * 1_500_000
    wait_until(lambda: _answers(hasty))


def test_one_connection_too_many_is_503(small):
    crowd = [connect(small) for _ in range(20)]
    try:
        with connect(small) as late:
            answer = read_all(late)
    finally:
        for raw in crowd:
            raw.close()

    assert answer.startswith(b"HTTP/1.1 503")
    assert "Too many connections" in error_of(answer)
    wait_until(lambda: _answers(small))


def _answers(server) -> bool:
    try:
        return server.predict(GOOD).status == 200
    except OSError:
        return False


def test_bodies_held_at_once_are_bounded(small):
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(small)) for _ in range(4)]
        for raw in crowd:
            raw.sendall(head)
            # The server may refuse the body before all of it is sent.
            with contextlib.suppress(ConnectionError):
                raw.sendall(b" " * (BODY_BYTES * 2 // 3))
        # Four times two thirds are more than the two bodies that it holds; the others wait for their rest.
        refused = select.select(crowd, [], [], 60)[0]
        answers = [read_all(raw) for raw in refused]

    assert answers
    assert {answer[9:12] for answer in answers} == {b"429"}
    # What the crowd held is given back.
    wait_until(lambda: small.predict(GOOD + " " * (BODY_BYTES - len(GOOD))).status == 200)


def test_a_run_beyond_its_time_is_504_and_is_cancelled(hasty):
    slow = '{"signature_name": "count", "inputs": 1000000000}'
    with concurrent.futures.ThreadPoolExecutor(2) as clients:
        replies = list(clients.map(lambda _: hasty.predict(slow), range(2)))

    assert [reply.status for reply in replies] == [504, 504]
    # Such a run takes a quarter of an hour, and the server has two threads.
    wait_until(lambda: _answers(hasty))


def test_what_comes_while_all_threads_work_and_all_places_are_taken_is_429(small, tmp_path):
    pipe, same_pipe = tmp_path / "pipe", tmp_path / "same"
    os.mkfifo(pipe)
    os.link(pipe, same_pipe)
    body = json.dumps({"signature_name": "file", "inputs": str(pipe)})
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(small)) for _ in range(4)]
        for raw in crowd:
            raw.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        # The server has read all four once it answers somebody who came after them: two runs wait for somebody who
        # writes into the pipe, and two requests for a thread.
        assert small.ask("/v1/models/m").status == 200

        late = [small.predict(GOOD) for _ in range(3)]

        # Runs that have not opened the pipe yet find a file in its place; the others are woken.
        (tmp_path / "file").write_bytes(b"x")
        (tmp_path / "file").replace(pipe)

        def all_answered() -> bool:
            with contextlib.suppress(OSError):  # Nobody has it open.
                os.close(os.open(same_pipe, os.O_WRONLY | os.O_NONBLOCK))
            return len(select.select(crowd, [], [], 0)[0]) == len(crowd)

        wait_until(all_answered)

    assert [reply.status for reply in late] == [429] * 3
    assert "Too many requests are waiting" in late[0].json["error"]
    assert small.predict(GOOD).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"instances": ' + "[" * 500_000 + "]" * 500_000 + "}", 413),  # Beyond --max-values.
        ('{"instances": ' + "[" * 30_000 + "1" + "]" * 30_000 + "}", 400),
        ('{"inputs": ' + '{"x":' * 20_000 + "1" + "}" * 20_000 + "}", 400),
        ('{"instances": [' + "9" * 1_000_000 + "]}", 400),
        ('{"instances": [0.' + "9" * 1_000_000 + "]}", 200),
        ('{"instances": [1e' + "9" * 100_000 + "]}", 400),
        ('{"instances": [{' + ",".join(f'"c{i}": 1' for i in range(90_000)) + "}]}", 400),
        ('{"instances": [' + "{}," * 400_000 + "{}]}", 413),
        ('{"instances": [' + "[]," * 60_000 + "[]]}", 413),
        ('{"signature_name": "' + "s" * 1_000_000 + '", "instances": [1]}', 400),
    ],
    ids=["deep", "deep rows", "deep objects", "huge integer", "long fraction", "huge exponent", "wide row",
         "many objects", "many lists", "long name"],
)  # fmt: skip
def test_one_request_cannot_exhaust_memory(frugal, body, status):
    before = memory_bytes(frugal)

    reply = frugal.predict(body)

    assert reply.status == status, reply.body[:300]
    assert memory_bytes(frugal) < before + 200 * 2**20
    assert len(reply.body) < 3000
    assert frugal.predict(GOOD).status == 200


def test_clients_cannot_fill_the_metrics_with_names(frugal):
    connection = connect(frugal)
    with connection as raw:
        for start_at in range(0, 1200, 100):
            requests = "".join(f"GET /v1/models/name{start_at + i} HTTP/1.1\r\nHost: x\r\n\r\n" for i in range(100))
            raw.sendall(requests.encode())
            received = b""
            while received.count(b"HTTP/1.1 404") < 100:
                received += raw.recv(65536)

    text = frugal.ask("/monitoring/prometheus/metrics").body.decode()
    assert text.count('model_name="name') == 1000
    assert ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 200' in text
