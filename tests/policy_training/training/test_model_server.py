"""Requests to servers of language models: which address, how often, what becomes of what goes wrong."""

import json
import socket
import threading
import time

import httpx
import pytest

from learning.interface.model_server_transport import resolve
from learning.interface.model_servers import parse_keys, parse_servers
from learning.interface.options import UserError
from policy_training.training.server_config import ServerOptions
from policy_training.training.servers import requests as model_server
from policy_training.training.servers.requests import ModelServer, ServerUnavailable
from tests.policy_training.training.model_servers import completion, environment_for, serving

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    """The waits that would have been, in order."""
    waits = []
    monkeypatch.setattr(ModelServer, "_wait", lambda self, seconds: waits.append(seconds))
    return waits


def options(**further):
    return ServerOptions(name="toy", **further)


def test_what_passes_is_asked_again_with_growing_waits_and_the_servers_own(no_waits):
    replies = {
        0: (429, {"retry-after": "7"}, b'{"error": {"message": "slow down"}}'),
        1: (503, {}, b"busy"),
        2: None,
        3: (200, {}, b"no JSON"),
        4: (200, {}, b'{"choices": []}'),
    }
    with serving(lambda number, path, body: replies[number]) as server:
        client = ModelServer(options(), environment_for(server.address, KEY))
        assert client.post("completions", {"model": "m"}) == {"choices": []}
        client.close()
    assert [path for path, _, _ in server.requests] == ["/v1/completions"] * 5
    assert {headers["authorization"] for _, _, headers in server.requests} == {f"Bearer {KEY}"}
    assert no_waits[0] == 7.0
    assert all(low <= wait <= 2 * low for low, wait in zip((0.5, 1, 2), no_waits[1:], strict=True))


def test_a_refused_request_is_a_sentence_without_the_key_and_not_sent_again():
    said = json.dumps({"error": {"message": f"no model for {KEY}"}}).encode()
    with serving(lambda number, path, body: (404, {}, said)) as server:
        client = ModelServer(options(), environment_for(server.address, KEY))
        with pytest.raises(UserError) as refused:
            client.post("completions", {})
    assert str(refused.value) == "the model server toy refuses the request (404): no model for [key]"
    assert len(server.requests) == 1
    assert KEY not in repr(client.server)


def test_a_server_that_stays_away_fails_the_run_and_a_redirect_is_not_followed():
    with (
        serving(lambda number, path, body: (302, {"location": "http://169.254.169.254/"}, b"")) as server,
        pytest.raises(UserError, match=r"refuses the request \(302\)"),
    ):
        ModelServer(options(), environment_for(server.address)).post("completions", {})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(ServerUnavailable, match="failed in 3 attempts; at last ConnectError"):
            ModelServer(options(attempts=3), environment_for(address)).post("completions", {})


def test_so_many_at_a_time_and_what_came_is_kept_when_the_run_stops():
    together = threading.Barrier(3)

    def reply(number, path, body):
        together.wait()  # three are here at once, or the test hangs
        return completion()

    with serving(reply) as server:
        client = ModelServer(options(concurrent_requests=3), environment_for(server.address))
        found = []
        client.ask_all(range(9), lambda n: client.post("c", {"n": n}), on_answer=lambda n, a: found.append(n))
        assert sorted(found) == list(range(9)) and server.most_at_once == 3
        kept = []

        def stop():
            if kept:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            client.ask_all(
                range(300), lambda n: client.post("c", {}), on_answer=lambda n, a: kept.append(n), check=stop
            )
        client.close()
        together.abort()
    assert 1 <= len(kept) < 300


def test_what_was_sent_before_a_refusal_is_waited_for_and_nothing_is_asked_again():
    """Of four at once, one is refused, two are answered later, and one is told to come again."""
    together, refused = threading.Barrier(4), threading.Event()

    def reply(number, path, body):
        together.wait()
        if body["n"] == 0:
            refused.set()
            return 401, {}, b'{"error": "no more"}'
        refused.wait()
        time.sleep(0.5)  # the refusal was read long ago
        return (503, {"retry-after": "60"}, b"") if body["n"] == 3 else completion()

    with serving(reply) as server:
        client = ModelServer(options(concurrent_requests=4), environment_for(server.address))
        kept = []
        with pytest.raises(UserError, match="no more"):
            client.ask_all(
                range(9), lambda n: client.post("c", {"n": n}), on_answer=lambda n, a: kept.append(n)
            )
        client.close()
    assert sorted(kept) == [1, 2] and len(server.requests) == 4


def test_an_address_must_be_public_or_named_after_it_was_looked_up(monkeypatch):
    server = model_server.servers_in(
        {"ROUNDTABLE_MODEL_SERVERS": "a=https://models.example.org/v1,b=http://models.example.org/v1"}
    )

    def points_to(text):
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [entry])

    url = httpx.URL("https://models.example.org/v1/completions")
    points_to("93.184.215.14")
    assert [str(address) for address in resolve(url, server["a"])] == ["93.184.215.14"]
    with pytest.raises(UserError, match="by https:// only"):
        resolve(url.copy_with(scheme="http"), server["b"])
    for private in ("10.0.0.1", "127.0.0.1", "169.254.169.254"):
        points_to(private)
        with pytest.raises(UserError, match=f"{private} is no public address"):
            resolve(url, server["a"])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["vllm"], "must be written as"),
        (["vllm=ftp://x/v1"], "must be written as"),
        (["v/l=https://x/v1"], "must be written as"),
        (["vllm=https://me:key@x/v1"], "a key belongs into"),
        (["vllm=https://x/v1?key=1"], "a key belongs into"),
        (["a=https://x/v1", "a=https://y/v1"], "stands twice"),
    ],
)
def test_what_an_operator_writes_wrongly_is_a_sentence(entries, said):
    with pytest.raises(ValueError, match=said):
        parse_servers(entries)


def test_keys_belong_to_servers_and_are_never_said():
    servers = parse_servers(["vllm=https://x/v1/"])
    assert servers == {"vllm": "https://x/v1"}
    assert parse_keys(["vllm=sk=1"], servers) == {"vllm": "sk=1"}
    with pytest.raises(ValueError) as refused:
        parse_keys([f"other={KEY}"], servers)
    assert KEY not in str(refused.value)
    with pytest.raises(UserError, match="not one of this machine's"):
        ModelServer(options(), {})
