"""Requests to a server of language models (OpenAI's protocol): bounded in number, time and size, tried again when the
server is busy or away.

The server is one of those that the environment names (learning/interface/model_servers.py). Its name is looked up for
every request and the connection goes to one of the addresses that were looked at. No redirect is followed, no proxy is
asked, and no message of this module has the key in it.
"""

import json
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from learning.interface.model_server_transport import CheckedTransport
from learning.interface.model_servers import SERVERS_VARIABLE, servers_in
from learning.interface.options import UserError
from policy_training.training.server_config import ServerOptions

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_MESSAGE = 300
CONNECT_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.5  # before the second attempt; doubles with each further one
LONGEST_WAIT_SECONDS = 60.0
LONGEST_ASKED_WAIT_SECONDS = 600.0  # that a server may ask for (Retry-After)
# Busy or broken for now. 408, 425: the request came too slowly or too early; 429: too many.
PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class ServerUnavailable(Exception):
    """It did not answer in all its attempts. The run fails, and goes on from what is stored when it is tried again."""


class Malformed(Exception):
    """An answer that is not what the protocol says; asked again like one that did not come."""


class _Cancelled(Exception):
    """The run is stopping."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens that the server counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Usage":
        said = answer.get("usage")
        counts = {}
        for name in ("prompt_tokens", "completion_tokens"):
            count = said.get(name) if isinstance(said, Mapping) else None
            counts[name] = count if isinstance(count, int) and count >= 0 else 0
        return cls(**counts)


class ModelServer:
    """One of the allowed servers. Raises UserError where the environment does not name it."""

    def __init__(self, options: ServerOptions, environment: Mapping[str, str] | None = None) -> None:
        try:
            known = servers_in(os.environ if environment is None else environment)
        except ValueError as error:
            raise UserError(str(error)) from error
        if options.name not in known:
            raise UserError(
                f"the model server {options.name!r} is not one of this machine's: an operator names them in "
                f"{SERVERS_VARIABLE}"
            )
        self.options, self.server = options, known[options.name]
        headers = {"user-agent": "roundtable"}
        if self.server.key:
            headers["authorization"] = f"Bearer {self.server.key}"
        timeout = httpx.Timeout(
            options.timeout_seconds, connect=min(CONNECT_SECONDS, options.timeout_seconds)
        )
        self._client = httpx.Client(
            transport=CheckedTransport(self.server),
            headers=headers,
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )
        self._cancelled = threading.Event()
        self._thread = threading.local()  # `ended`: of the ask_all whose thread it is
        self._random = random.Random()  # of waits alone: no random state that a training draws from

    def close(self) -> None:
        self._cancelled.set()
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.ask(path, body, lambda answer: answer)

    def ask(self, path: str, body: Mapping[str, Any], read: Callable[[dict[str, Any]], Answered]) -> Answered:
        """What `read` makes of the answer; where it raises Malformed the server is asked again.

        Raises UserError where the server refuses the request for good, ServerUnavailable after the last attempt.
        """
        for attempt in range(self.options.attempts):
            asked_wait = 0.0
            try:
                status, wait, answer = self._attempt(path, body)
                if 200 <= status < 300:
                    return read(_json_object(answer))
                said = self._clean(_message_in(answer))
                if status not in PASSING:
                    raise UserError(
                        f"the model server {self.server.name} refuses the request ({status}): {said}"
                    )
                failure, asked_wait = f"it answered {status}: {said}", wait
            except Malformed as error:
                failure = self._clean(str(error))
            except httpx.TimeoutException:
                failure = f"it did not answer within {self.options.timeout_seconds:g} seconds"
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                failure = self._clean(f"{type(error).__name__}: {error}")
            if self._given_up():
                raise _Cancelled
            if attempt + 1 < self.options.attempts:
                usual = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**attempt)
                self._wait(max(asked_wait, usual * (0.5 + 0.5 * self._random.random())))
        raise ServerUnavailable(
            f"the model server {self.server.name} failed in {self.options.attempts} attempts; at last {failure}"
        )

    def ask_all(
        self,
        asked: Sequence[Asked],
        ask: Callable[[Asked], Answered],
        *,
        on_answer: Callable[[Asked, Answered], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`ask` of each, so many at a time; `on_answer` in this thread, as they come. `check` is called twice a second
        and may raise: then nothing more is asked, and what has come was handed on. Where `ask` raises, nothing more is
        asked either, and nothing again, but the answers to what was sent already (and is paid for) are handed on first.
        """
        waiting: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[Asked, Answered | None, BaseException | None]] = queue.SimpleQueue()
        for one in asked:
            waiting.put(one)
        ended = threading.Event()

        def work() -> None:
            self._thread.ended = ended
            with suppress(queue.Empty, _Cancelled):
                while not ended.is_set() and not self._cancelled.is_set():
                    one = waiting.get_nowait()
                    try:
                        done.put((one, ask(one), None))
                    except _Cancelled:
                        raise
                    except BaseException as error:  # raised again in the thread that waits
                        done.put((one, None, error))
                        return

        # Daemons: a process that stops does not wait for answers that nobody wants any more.
        threads = [
            threading.Thread(target=work, daemon=True)
            for _ in range(min(self.options.concurrent_requests, len(asked)))
        ]
        for thread in threads:
            thread.start()
        failure: BaseException | None = None
        try:
            left = len(asked)
            while left:
                try:
                    one, answer, error = done.get(timeout=0.5)
                except queue.Empty:
                    check()
                    continue
                left -= 1
                if error is not None:
                    failure = error
                    break
                on_answer(one, answer)  # type: ignore[arg-type]
                check()
            ended.set()
            for thread in threads:
                while thread.is_alive():
                    thread.join(timeout=0.5)
                    check()
        finally:
            ended.set()
            with suppress(queue.Empty):  # what came meanwhile is not thrown away
                while True:
                    one, answer, error = done.get_nowait()
                    if error is None:
                        on_answer(one, answer)  # type: ignore[arg-type]
        if failure is not None:
            raise failure

    def _attempt(self, path: str, body: Mapping[str, Any]) -> tuple[int, float, bytes]:
        """Status, the wait that the server asks for, and the body."""
        ends_at = time.monotonic() + self.options.timeout_seconds
        url = f"{self.server.address}/{path}"
        with self._client.stream("POST", url, json=dict(body)) as response:
            read = bytearray()
            for piece in response.iter_bytes():
                read += piece
                if len(read) > MAX_ANSWER_BYTES:
                    raise Malformed(f"its answer is longer than {MAX_ANSWER_BYTES} bytes")
                # httpx's timeout begins anew with every piece.
                if time.monotonic() > ends_at:
                    raise httpx.ReadTimeout("the answer took too long")
            return response.status_code, _retry_after(response.headers.get("retry-after", "")), bytes(read)

    def _given_up(self) -> bool:
        return self._cancelled.is_set() or self._ended().is_set()

    def _ended(self) -> threading.Event:
        return getattr(self._thread, "ended", self._cancelled)

    def _wait(self, seconds: float) -> None:
        if self._ended().wait(seconds) or self._given_up():
            raise _Cancelled

    def _clean(self, text: str) -> str:
        if self.server.key:
            text = text.replace(self.server.key, "[key]")
        return " ".join(text.split())[:MAX_MESSAGE]


def _retry_after(text: str) -> float:
    """Seconds. A date is not read: the usual waits hold then."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(seconds, LONGEST_ASKED_WAIT_SECONDS) if seconds > 0 else 0.0


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise Malformed("its answer is no JSON") from error
    if not isinstance(answer, dict):
        raise Malformed("its answer is no JSON object")
    return answer


def _message_in(text: bytes) -> str:
    """What the server says is wrong, in any of the usual places."""
    plain = text.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except ValueError:
        return plain
    for name in ("error", "detail", "message"):
        said = answer.get(name) if isinstance(answer, dict) else None
        if isinstance(said, dict):
            said = said.get("message")
        if said:
            return str(said)
    return plain
