"""The reader of whole requests: what it makes of a request and of an answer, and a real server that many clients
send half a request to.
"""

import hashlib
import http.client
import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# An application without Django: what is tested is the way there and back.
APPLICATION = """
import hashlib, json, os, time
from workspace.whole_requests import WholeRequests

class Parts:
    def __init__(self, breaks=False):
        self.breaks = breaks
    def __iter__(self):
        for n in range(40):
            yield bytes([n]) * 50_000
        if self.breaks:
            raise RuntimeError("the database is gone")
    def close(self):
        open("closed", "w").close()

def site(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] in ("/parts", "/breaks"):
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("X-Long", "1")])
        return Parts(environ["PATH_INFO"] == "/breaks")
    if environ["PATH_INFO"] == "/waits":
        while not os.path.exists("go"):
            time.sleep(0.05)
    if environ["PATH_INFO"] == "/fault":
        raise RuntimeError("a fault of the application")
    keys = ("REQUEST_METHOD PATH_INFO QUERY_STRING CONTENT_TYPE CONTENT_LENGTH HTTP_HOST HTTP_COOKIE HTTP_X_A "
            "REMOTE_ADDR HTTP_X_B").split()
    seen = {key: environ.get(key) for key in keys} | {"body": hashlib.sha256(body).hexdigest()}
    start_response("201 Created", [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [json.dumps(seen).encode()]

application = WholeRequests(
    site, threads=2, body_seconds=SECONDS, waits_for_others=lambda path: path == "/waits",
    max_held_bytes=HELD,
)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def serving(tmp_path):
    """Starts granian on the application above; gives its port."""
    started = []

    def start(seconds, held=100_000_000):
        (tmp_path / "app.py").write_text(
            APPLICATION.replace("SECONDS", str(seconds)).replace("HELD", str(held))
        )
        port = free_port()
        options = "--interface rsgi --http 1 --no-ws --host 127.0.0.1 --backpressure 4096 --log-level warning"
        command = [sys.executable, "-m", "granian", *options.split(), "--port", str(port), "app:application"]
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        deadline = time.monotonic() + 120
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return port
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)

    yield start
    for process in started:
        process.terminate()
        process.communicate()


def ask(port, method="GET", path="/", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer, answer.read()


def test_a_request_and_its_answer_go_through_whole(serving, tmp_path):
    port = serving(60)
    body = os.urandom(3_000_000)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.putrequest("POST", "/a%20b/%C3%A9?x=%31&y=2")
    for name, value in (
        ("Content-Type", "application/x-test"), ("Content-Length", str(len(body))), ("X-A", "1"), ("X-A", "2"),
        ("X_B", "spoofed"), ("Cookie", "c=3"), ("Cookie", "d=4"),
    ):  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    assert answer.status == 201
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert json.loads(answer.read()) == {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/a b/Ã©", "QUERY_STRING": "x=%31&y=2",
        "CONTENT_TYPE": "application/x-test", "CONTENT_LENGTH": "3000000", "HTTP_HOST": f"127.0.0.1:{port}",
        "HTTP_COOKIE": "c=3; d=4", "HTTP_X_A": "1,2", "REMOTE_ADDR": "127.0.0.1", "HTTP_X_B": None,
        "body": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    # An answer in parts, longer than is sent at once, on the same connection.
    connection.request("GET", "/parts")
    answer = connection.getresponse()
    assert answer.read() == b"".join(bytes([n]) * 50_000 for n in range(40))
    assert (answer.status, answer.headers["x-long"]) == (200, "1")
    deadline = time.monotonic() + 240
    while not (tmp_path / "closed").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # One that breaks off in the middle is cut: it does not end as a whole one would.
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(port, path="/breaks")
    assert ask(port, path="/fault")[0].status == 500
    assert ask(port, body=None)[0].status == 201
    # Too large, by its own word; and without a word.
    assert announced(port, b"Content-Length: 24000001")[:12] == b"HTTP/1.1 413"
    assert announced(port, b"Transfer-Encoding: chunked")[:12] == b"HTTP/1.1 411"


def announced(port, header):
    """The answer to a request of which only the head was sent."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nX-X: y\r\n" + header + b"\r\n\r\n")
        return client.recv(1000)


def test_visitors_who_send_half_a_request_stop_nobody(serving):
    port = serving(3600)
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    for client in idle:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nab")
    # Two threads, and a hundred times as many who wait: everybody else is answered.
    for _ in range(20):
        assert ask(port)[0].status == 201
    # And one of them is, when the rest comes.
    idle[0].sendall(b"c" * 998)
    assert idle[0].recv(1000).startswith(b"HTTP/1.1 201")
    for client in idle:
        client.close()
    assert ask(port)[0].status == 201


def test_answers_that_other_programs_keep_waiting_hold_up_nobody_else(serving, tmp_path):
    port = serving(3600)
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for client in waiting:
        client.sendall(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in range(20):
        assert ask(port)[0].status == 201
    (tmp_path / "go").touch()
    for client in waiting:
        assert client.recv(1000).startswith(b"HTTP/1.1 201")
        client.close()


def test_a_body_that_does_not_come_is_given_up(serving):
    port = serving(0.2)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nab")
        said = client.makefile("rb").read()  # until the server closes
    assert said.startswith(b"HTTP/1.1 408") and b"did not come in time" in said
    assert ask(port)[0].status == 201


def test_a_few_who_send_slowly_leave_room_for_everybody_else(serving):
    port = serving(3600, held=2_000_000)
    slow = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(5)]
    for client in slow:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + b"a" * 450_000)
    # More than there is room for: one of them is told so, and the others may go on.
    refused, _, _ = select.select(slow, [], [], 120)
    with suppress(ConnectionResetError):  # when it was sending still
        assert refused[0].recv(1000).startswith(b"HTTP/1.1 503")
    # Another client's are taken, as often as they come, though the slow ones hold nearly all the room.
    for _ in range(5):
        other = http.client.HTTPConnection("127.0.0.1", port, timeout=120, source_address=("127.0.0.2", 0))
        other.request("POST", "/", b"b" * 600_000)
        assert other.getresponse().status == 201
        other.close()
    for client in slow:
        client.close()
    assert ask(port, "POST", body=b"c" * 1_900_000)[0].status == 201
