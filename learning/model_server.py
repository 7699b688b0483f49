"""HTTP for a process that keeps a model loaded: who may ask, how much, and whether anybody still watches over it.

What is asked and answered is the server's own (rewardmodel.training.serve_scores, policy_training's serve_policy): one
thread has the model and the tokenizer, neither of which several may use at once; a thread for each connection reads and
writes. It trusts its callers to have checked roles.
"""

import hmac
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from learning.interface.atomic_files import write_json_atomically
from learning.interface.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_USER_ERROR
from learning.interface.options import UserError
from learning.recipe_runner import describe_error, log_to_stderr

logger = logging.getLogger(__name__)

ADDRESS_FILE = "address.json"
SECRET_FILE = "secret"
MAX_BODY_BYTES = 24_000_000  # what the site takes at most
MAX_CONNECTIONS = 512
CONNECTION_SECONDS = 30.0  # for a request to come
LOOK_SECONDS = 0.25  # how often a server without requests looks whether to stop


class ModelService:
    """What the connections and the model's thread share."""

    def __init__(self, secret: str, orphaned_after_seconds: float) -> None:
        self.secret = secret
        self.orphaned_after_seconds = orphaned_after_seconds
        self.stopping = False
        self.started_at = self.last_request_at = self.last_watched_at = time.monotonic()
        self.n_requests = 0

    @property
    def is_orphaned(self) -> bool:
        """Nobody has asked how it is for so long: who started it is gone."""
        return time.monotonic() - self.last_watched_at > self.orphaned_after_seconds

    def status(self) -> dict[str, Any]:
        self.last_watched_at = now = time.monotonic()
        return {
            "idle_seconds": now - self.last_request_at,
            "requests": self.n_requests,
            "stopping": self.stopping,
        }

    def stop_on_signals(self) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


class ModelServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    connection_class: type[BaseHTTPRequestHandler]

    def __init__(self, address: tuple[str, int], service: Any) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.service = service
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, self.connection_class)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away in the middle is none of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            logger.exception("a connection failed")

    def announce(self, directory: Path, host: str, **facts: Any) -> None:
        """Answer from now on, and say where: who started the process waits for this file."""
        threading.Thread(target=self.serve_forever, name="connections", daemon=True).start()
        self.service.last_watched_at = time.monotonic()  # loading may have taken long
        address = {"host": host, "port": self.server_address[1], "pid": os.getpid()}
        write_json_atomically(directory / ADDRESS_FILE, {**address, **facts})


class ModelConnection(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"
    sys_version = ""
    timeout = CONNECTION_SECONDS
    disable_nagle_algorithm = True

    def is_allowed(self) -> bool:
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if hmac.compare_digest(given, f"Bearer {self.server.service.secret}".encode()):
            return True
        self.refuse(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
        return False

    def refuse_address(self) -> None:
        self.refuse(HTTPStatus.NOT_FOUND, "there is nothing at this address")

    def read_body(self) -> dict[str, Any] | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES:,} bytes, and say how many"
            )
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self.refuse(HTTPStatus.BAD_REQUEST, "the request is no JSON object")
            return None
        return body

    def refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # what is left of its body is not read
        self.answer(status, {"message": message})

    def answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """What was asked is nobody's but whoever asked."""


def run_server(main: Callable[[Path], None]) -> int:
    """Exit status of `main` with the folder that the command line names."""
    log_to_stderr()
    if len(sys.argv) != 2:
        print(f"expected one argument, the directory, found {len(sys.argv) - 1}", file=sys.stderr)
        return EXIT_USER_ERROR
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return EXIT_USER_ERROR
    except Exception as error:
        logger.exception("the server failed")
        print(describe_error(error), file=sys.stderr, flush=True)
        return EXIT_FAILED
    return EXIT_DONE
