"""A reward model that stays loaded and answers requests for rewards, until it is told to stop or nobody watches it.

    python -m rewardmodel.training.serve_scores DIR

DIR holds config.json (ServeConfig) and the file `secret`. Once the model is loaded, address.json says where it listens:
HTTP on one address of this machine, for whoever sends the secret as `Authorization: Bearer ...`.

    POST /score    texts, as score_queue.read_texts takes them -> rewards
    GET  /status   how it is; who started it asks regularly, and where nobody does it ends by itself

One thread has the model and the tokenizer, neither of which several may use at once; a thread for each connection reads
and writes. It trusts its callers to have checked roles, and bounds what one request may hold.
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
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.atomic_files import write_json_atomically
from learning.interface.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_USER_ERROR
from learning.interface.options import UserError, load_options
from learning.recipe_runner import describe_error, log_to_stderr, seed_everything
from rewardmodel.training.config import ServeConfig
from rewardmodel.training.score_queue import (
    Busy,
    ScoreQueue,
    ScoreRequest,
    answer_requests,
    read_texts,
    warm_up,
)
from rewardmodel.training.scoring import RewardScorer

logger = logging.getLogger(__name__)

ADDRESS_FILE = "address.json"
SECRET_FILE = "secret"
MAX_BODY_BYTES = 24_000_000  # what the site takes at most
MAX_CONNECTIONS = 512
CONNECTION_SECONDS = 30.0  # for a request to come
LOOK_SECONDS = 0.25  # how often a server without requests looks whether to stop


class Service:
    """What the connections and the scoring thread share."""

    def __init__(self, options: ServeConfig, secret: str) -> None:
        self.options, self.secret = options, secret
        self.queue = ScoreQueue(options.max_waiting_requests)
        self.stopping = False
        self.started_at = self.last_request_at = self.last_watched_at = time.monotonic()
        self.n_requests = self.n_rewards = 0

    @property
    def is_orphaned(self) -> bool:
        return time.monotonic() - self.last_watched_at > self.options.orphaned_after_seconds

    def status(self) -> dict[str, Any]:
        self.last_watched_at = now = time.monotonic()
        return {
            "idle_seconds": now - self.last_request_at,
            "waiting": len(self.queue),
            "requests": self.n_requests,
            "rewards": self.n_rewards,
            "stopping": self.stopping,
        }


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.service = service
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, Connection)

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


class Connection(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "scores", ""
    timeout = CONNECTION_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self._is_allowed() and self._is_at("/status"):
            self._answer(HTTPStatus.OK, self.server.service.status())

    def do_POST(self) -> None:
        if not (self._is_allowed() and self._is_at("/score")):
            return
        body = self._body()
        if body is None:
            return
        service = self.server.service
        service.last_request_at = time.monotonic()
        try:
            seconds = float(body.get("seconds", 0))
            request = ScoreRequest(read_texts(body), time.monotonic() + seconds)
            service.queue.put(request)
        except (UserError, TypeError, ValueError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"message": str(error)})
            return
        except Busy:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "too many requests wait already"})
            return
        if not request.finished.wait(seconds):
            self._answer(HTTPStatus.GATEWAY_TIMEOUT, {"message": f"not scored within {seconds:g} s"})
        elif request.answer is not None:
            self._answer(HTTPStatus.OK, request.answer)
        elif request.refusal:
            self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"message": request.refusal})
        else:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"message": request.failure})

    def _is_allowed(self) -> bool:
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if hmac.compare_digest(given, f"Bearer {self.server.service.secret}".encode()):
            return True
        self._refuse(HTTPStatus.UNAUTHORIZED, "the secret is missing or wrong")
        return False

    def _is_at(self, path: str) -> bool:
        if self.path == path:
            return True
        self._refuse(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        return False

    def _body(self) -> dict[str, Any] | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES:,} bytes, and say how many"
            )
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "the request is no JSON object")
            return None
        return body

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # what is left of its body is not read
        self._answer(status, {"message": message})

    def _answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """What was asked is nobody's but whoever asked."""


def main(directory: Path) -> None:
    options = load_options(ServeConfig, json.loads((directory / "config.json").read_text()))
    service = Service(options, (directory / SECRET_FILE).read_text().strip())

    def stop(number: int, frame: FrameType | None) -> None:
        service.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    seed_everything(options.runtime)
    scorer = RewardScorer.load(
        options.model_path,
        batch=options.batch,
        dtype=options.runtime.dtype,
        distributed=DistributedContext.start(options.runtime),
    )
    warm_up(scorer)
    logger.info("%s: loaded (%s)", options.model_path, scorer.layout_reason)
    server = Server((options.host, 0), service)
    threading.Thread(target=server.serve_forever, name="connections", daemon=True).start()
    service.last_watched_at = time.monotonic()  # loading may have taken long
    write_json_atomically(
        directory / ADDRESS_FILE,
        {
            "host": options.host,
            "port": server.server_address[1],
            "pid": os.getpid(),
            "reward_shift": scorer.reward_shift,
            "layout": scorer.layout,
        },
    )
    answer_until_stopped(service, scorer)
    server.shutdown()


def answer_until_stopped(service: Service, scorer: RewardScorer) -> None:
    """The scoring thread's life. What waits when a stop is asked for is still answered."""
    while True:
        if service.stopping or service.is_orphaned:
            service.stopping = True
            service.queue.close()
        requests = service.queue.take(LOOK_SECONDS)
        if requests:
            service.n_rewards += answer_requests(scorer, requests)
            service.n_requests += len(requests)
            service.last_request_at = time.monotonic()
        elif service.stopping:
            time.sleep(LOOK_SECONDS)  # for the last answers to be written
            return


def run() -> int:
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
        logger.exception("the scorer failed")
        print(describe_error(error), file=sys.stderr, flush=True)
        return EXIT_FAILED
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run())
