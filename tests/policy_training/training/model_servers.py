"""A small server of the OpenAI protocol, whose answers a test decides; and `transformers serve` in its own process."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


class ScriptedServer:
    """`reply(number of the request, path, body)` gives status, headers and body; None: the connection is cut."""

    def __init__(self, reply: Callable[[int, str, dict], Reply | None]) -> None:
        self.requests: list[tuple[str, dict, dict[str, str]]] = []
        self.at_once = self.most_at_once = 0
        lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer({})

            def do_POST(self) -> None:
                self.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def answer(self, body: dict) -> None:
                with lock:
                    number = len(owner.requests)
                    owner.requests.append((self.path, body, dict(self.headers)))
                    owner.at_once += 1
                    owner.most_at_once = max(owner.most_at_once, owner.at_once)
                try:
                    found = reply(number, self.path, body)
                finally:
                    with lock:
                        owner.at_once -= 1
                if found is None:  # a stream that breaks off
                    self.send_response(200)
                    self.send_header("content-length", "1000")
                    self.end_headers()
                    self.wfile.write(b'{"choices": [')
                    self.wfile.flush()
                    self.close_connection = True
                    return
                status, headers, content = found
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"


@contextmanager
def serving(reply: Callable[[int, str, dict], Reply | None]) -> Iterator[ScriptedServer]:
    server = ScriptedServer(reply)
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def environment_for(address: str, key: str = "") -> dict[str, str]:
    return {
        "ROUNDTABLE_MODEL_SERVERS": f"toy={address}",
        "ROUNDTABLE_MODEL_SERVER_KEYS": f"toy={key}" if key else "",
        "ROUNDTABLE_MODEL_SERVERS_PRIVATE_ADDRESSES": "127.0.0.1,::1",
    }


def completion(text: str = "The fox is kind.", reason: str = "stop", n: int = 1, **further: Any) -> Reply:
    choices = [{"index": i, "text": text, "finish_reason": reason} | further for i in range(n)]
    return 200, {}, json.dumps({"choices": choices}).encode()
