"""One request: where it goes, what is signed, how long it may take, and what is not followed."""

import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from events import addresses, sending
from events.sending import send
from events.signing import new_secret, sign, signature_headers
from tests.events.receiver import TLS, serve

LOOPBACK = [ip_network("127.0.0.0/8")]
BODY = b'{"type":"judgment.submitted"}'


@pytest.fixture
def receiver(settings):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = LOOPBACK
    with serve() as receiver:
        yield receiver


def post(receiver, headers=None):
    return send(urlsplit(receiver.url), headers or {"Content-Type": "application/json"}, BODY)


def test_a_signature_is_that_of_the_specification():
    # The example of the Standard Webhooks libraries.
    secret, message, timestamp = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
    )
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(secret, message, timestamp, b'{"test": 2432232314}') == expected


def test_a_secret_has_32_random_bytes_and_two_of_them_sign_side_by_side():
    secrets = [new_secret(), new_secret()]
    assert [len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets] == [32, 32]
    headers = signature_headers(secrets, "evt_1", 7, BODY)
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    for secret, signature in zip(secrets, headers["webhook-signature"].split(" "), strict=True):
        key = base64.b64decode(secret.partition("_")[2])
        digest = hmac.new(key, b"evt_1.7." + BODY, hashlib.sha256).digest()
        assert signature == "v1," + base64.b64encode(digest).decode()


def test_what_is_sent_arrives_as_it_is(receiver):
    answer = post(receiver, {"Content-Type": "application/json", "webhook-id": "evt_1"})
    assert (answer.status, answer.reason) == (204, "") and answer.is_delivered
    [(headers, body)] = receiver.requests
    assert body == BODY
    assert (headers["webhook-id"], headers["Host"]) == ("evt_1", f"127.0.0.1:{receiver.port}")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver, status):
    with serve() as other:
        receiver.answer = lambda number: (status, {"Location": other.url})
        answer = post(receiver)
    assert answer.reason == f"It answered {status}: redirects are not followed."
    assert (len(receiver.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_what_is_no_success_is_a_failure(receiver, status):
    receiver.answer = lambda number: status
    answer = post(receiver)
    assert (answer.status, answer.is_delivered, answer.is_gone) == (status, False, status == 410)
    assert answer.reason.startswith(f"It answered {status}")


def test_an_answer_without_end_is_read_no_further_than_its_bound(receiver):
    sent = []

    def pour(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 10_000:
                handler.wfile.write(b"x" * 8192)
                sent.append(8192)
        except OSError:
            sent.append("cut")

    receiver.answer = lambda number: pour
    assert post(receiver).is_delivered
    while "cut" not in sent:
        time.sleep(0.01)
    # The sockets' own buffers took more than was read.
    assert len(sent) < 5_000


def test_an_answer_in_drops_is_cut_off_when_its_time_is_up(receiver, monkeypatch):
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 0.5)
    ended = []

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        try:
            while True:
                handler.wfile.write(b"X-Drop: 1\r\n")
                handler.wfile.flush()
                sending.threading.Event().wait(0.05)
        except OSError:
            ended.append(True)

    receiver.answer = lambda number: drip
    answer = post(receiver)
    assert (answer.status, answer.reason) == (None, "It did not answer within 0.5 seconds.")


def test_who_does_not_listen_is_said(settings):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = LOOPBACK
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = send(urlsplit(f"http://127.0.0.1:{port}/"), {}, BODY)
    assert (answer.status, answer.reason) == (None, "There was no answer: Connection refused.")


def test_a_private_address_is_not_even_connected_to(settings):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = [ip_network("10.0.0.0/8")]
    with serve() as receiver:
        answer = post(receiver)
    assert "127.0.0.1 is no public address" in answer.reason and receiver.requests == []


def answers(monkeypatch, *lists):
    """The resolver gives these, one after the other."""
    left = list(lists)
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *rest, **options):
        if not host.endswith(".example"):
            return real(host, port, *rest, **options)  # an address
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in left.pop(0)]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return left


def test_a_name_that_means_another_address_a_moment_later_changes_nothing(receiver, monkeypatch):
    """It is looked up once, and the connection goes to what was looked at."""
    connected = []
    create = socket.create_connection
    monkeypatch.setattr(
        sending.socket,
        "create_connection",
        lambda address, **options: connected.append(address) or create(address, **options),
    )
    left = answers(monkeypatch, ["127.0.0.1"], ["10.9.9.9"])
    answer = send(urlsplit(f"http://rebound.example:{receiver.port}/hook"), {}, BODY)
    assert answer.is_delivered and connected == [("127.0.0.1", receiver.port)]
    assert left == [["10.9.9.9"]]
    [(headers, _)] = receiver.requests
    assert headers["Host"] == f"rebound.example:{receiver.port}"


def test_over_tls_the_name_is_asked_for_and_checked_though_the_address_is_connected_to(settings, monkeypatch):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = LOOPBACK
    context = ssl.create_default_context(cafile=str(TLS / "certificate.pem"))
    monkeypatch.setattr(sending, "tls_context", lambda: context)
    monkeypatch.setattr(addresses, "resolve", lambda parts: [ip_address("127.0.0.1")])
    monkeypatch.setattr(sending, "resolve", addresses.resolve)
    with serve(tls=True) as receiver:
        good = send(urlsplit(f"https://receiver.test:{receiver.port}/hook"), {}, BODY)
        bad = send(urlsplit(f"https://other.test:{receiver.port}/hook"), {}, BODY)
        monkeypatch.setattr(sending, "tls_context", ssl.create_default_context)
        unknown = send(urlsplit(f"https://receiver.test:{receiver.port}/hook"), {}, BODY)
    assert good.is_delivered and len(receiver.requests) == 1
    assert "certificate does not hold" in bad.reason and "other.test" in bad.reason
    assert "certificate does not hold" in unknown.reason
    assert json.loads(receiver.requests[0][1]) == {"type": "judgment.submitted"}


def test_the_guides_example_checks_a_signature():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    defined: dict = {}
    exec(example, defined)
    verify, secret, now = defined["verify"], new_secret(), int(time.time())
    verify(secret, signature_headers([secret], "evt_1", now, BODY), BODY)
    # While a secret is replaced both sign.
    verify(secret, signature_headers([new_secret(), secret], "evt_1", now, BODY), BODY)
    for headers, body in (
        (signature_headers([secret], "evt_1", now, BODY), BODY + b" "),
        (signature_headers([new_secret()], "evt_1", now, BODY), BODY),
        (signature_headers([secret], "evt_1", now, BODY) | {"webhook-id": "evt_2"}, BODY),
        (signature_headers([secret], "evt_1", now - 400, BODY), BODY),
    ):
        with pytest.raises(ValueError):
            verify(secret, headers, body)


def test_a_handshake_in_drops_is_cut_off_when_its_time_is_up(settings, monkeypatch):
    """The time of a socket begins anew with each byte; TLS takes the descriptor over before the first of them."""
    settings.WEBHOOKS_PRIVATE_ADDRESSES = LOOPBACK
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 0.5)
    ended = threading.Event()

    def drip(listener):
        connected, _ = listener.accept()
        with connected:
            connected.recv(65536)
            connected.sendall(
                b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb"
            )  # a record of 16,383 bytes, and no more of it
            try:
                for _ in range(200):
                    connected.sendall(b"\x00")
                    if ended.wait(0.05):
                        return
            except OSError:
                ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        answer = send(urlsplit(f"https://127.0.0.1:{listener.getsockname()[1]}/hook"), {}, BODY)
        was_cut_by_us = not ended.is_set() or thread.is_alive()
        ended.set()
        thread.join()
    assert (answer.status, answer.reason) == (None, "It did not answer within 0.5 seconds.")
    assert was_cut_by_us


def test_connecting_to_several_addresses_takes_of_the_same_time(settings, monkeypatch):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = LOOPBACK
    now = [100.0]
    waits = []

    def connect(address, timeout):
        waits.append(timeout)
        now[0] += timeout
        raise TimeoutError

    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 8.0)
    monkeypatch.setattr(sending.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sending.socket, "create_connection", connect)
    answers(monkeypatch, ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    answer = send(urlsplit("http://slow.example/hook"), {}, BODY)
    assert waits == [5.0, 3.0] and answer.reason == "It did not answer within 8 seconds."
