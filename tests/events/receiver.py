"""A receiver of webhooks: a real HTTP server in a thread, that keeps what it was sent and answers as it is told."""

import json
import ssl
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TLS = Path(__file__).parent / "tls"


class Receiver:
    def __init__(self):
        self.requests = []  # (headers, body) in the order in which they came
        self.answer = lambda number: 204  # number of the request, from 1 -> status, or what to do instead
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    @property
    def messages(self):
        return [json.loads(body) for _, body in self.requests]

    @property
    def ids(self):
        return [headers["webhook-id"] for headers, _ in self.requests]


@contextmanager
def serve(*, tls=False):
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.headers, body))
            answer = receiver.answer(len(receiver.requests))
            if isinstance(answer, Callable):
                answer(self)
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
