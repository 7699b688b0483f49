"""Answers that a served policy is asked for: taken in, written a token at a time, read while they grow.

Those that wait at the same moment and are drawn alike (temperature, top-p, greatest length) are one batch with one
cache of keys and values; batches take turns, a token each, so that who comes later does not wait for who came first.
Which tokens are drawn is decided by the sampler's own noise, a function of (seed, id) alone: the same request to
another server of the same policy gives the same answer, up to the rounding of a batch of another size.
"""

import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from learning.interface.options import UserError
from learning.models.architectures import max_positions
from learning.models.tokenization import decode_response, encode_prompt_or_cut
from learning.recipe_runner import describe_error
from policy_training.training.config import SamplingOptions, ServeConfig
from policy_training.training.rollouts.rollouts import FrozenModel
from policy_training.training.rollouts.sampler import SamplingBatch, sample_noise

logger = logging.getLogger(__name__)

MAX_ID_CHARACTERS = 100
KEPT_SECONDS = 600.0  # a finished answer that nobody has fetched, or may fetch again
ROLES = ("system", "user", "assistant")


class Busy(Exception):
    """As many answers wait or are being written as the server takes, or it takes no more before it ends."""


@dataclass(kw_only=True)
class Answer:
    """One answer. `state`: waiting, writing, done, failed or cancelled."""

    id: str
    messages: list[dict[str, str]]
    options: SamplingOptions
    max_tokens: int
    seed: str
    state: str = "waiting"
    text: str = ""
    failure: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    has_eos: bool = False
    used_max_tokens: int = 0  # what it may have at most: `max_tokens`, or half of the model's context
    prompt_cut: bool = False  # the beginning of its conversation did not fit
    cancelled: bool = False
    fetched: bool = False  # somebody has read how it ended
    read_at: float = field(default_factory=time.monotonic)

    def as_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {"state": self.state, "text": self.text, "failure": self.failure}
        if self.state == "done":
            said |= {"token_ids": self.token_ids, "logprobs": self.logprobs, "ended": self.has_eos}
            said |= {"max_tokens": self.used_max_tokens, "prompt_cut": self.prompt_cut}
        return said


def read_request(body: Mapping[str, Any], config: ServeConfig) -> Answer:
    """Raises UserError, naming what is wrong."""
    answer_id, seed = body.get("id"), body.get("seed")
    if not isinstance(answer_id, str) or not 0 < len(answer_id) <= MAX_ID_CHARACTERS:
        raise UserError(f"id must be a text of 1 to {MAX_ID_CHARACTERS} characters")
    if not isinstance(seed, str):
        raise UserError("seed must be a text")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UserError("messages must be a list that is not empty")
    for message in messages:
        if (
            not isinstance(message, dict)
            or message.get("role") not in ROLES
            or not isinstance(message.get("content"), str)
        ):
            raise UserError(f"each message needs a role ({', '.join(ROLES)}) and a content")
    if messages[-1]["role"] != "user":
        raise UserError("the last message must be the user's")
    max_tokens = body.get("max_tokens")
    if not isinstance(max_tokens, int) or not 1 <= max_tokens <= config.max_response_tokens:
        raise UserError(f"max_tokens must be a whole number from 1 to {config.max_response_tokens}")
    try:
        options = SamplingOptions(
            temperature=float(body.get("temperature", 1.0)), top_p=float(body.get("top_p", 1.0))
        )
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    return Answer(
        id=answer_id,
        messages=[{"role": message["role"], "content": message["content"]} for message in messages],
        options=options,
        max_tokens=max_tokens,
        seed=seed,
    )


class AnswerQueue:
    """All answers the server knows, by id. Connections put and read; the model's thread takes and writes."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self.draining = False
        self._answers: dict[str, Answer] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return sum(answer.state in ("waiting", "writing") for answer in self._answers.values())

    def put(self, answer: Answer) -> None:
        """The same id again changes nothing. Raises Busy."""
        with self._changed:
            self._forget_old()
            known = self._answers.get(answer.id)
            if known is not None and known.state not in ("failed", "cancelled"):
                known.read_at = time.monotonic()
                return
            waiting = sum(other.state in ("waiting", "writing") for other in self._answers.values())
            if self.draining or waiting >= self.max_waiting:
                raise Busy
            self._answers[answer.id] = answer
            self._changed.notify()

    def read(self, answer_id: str) -> dict[str, Any] | None:
        with self._changed:
            answer = self._answers.get(answer_id)
            if answer is None:
                return None
            answer.read_at = time.monotonic()
            answer.fetched = answer.state in ("done", "failed")
            return answer.as_dict()

    def drain(self) -> None:
        """Take nothing new from now on; what is known is written and can be read."""
        with self._changed:
            self.draining = True

    def count_unsettled(self, abandoned_before: float) -> int:
        """How many are still to be written, or are done and not yet read by who asks for them."""
        with self._changed:
            return sum(
                answer.state in ("waiting", "writing")
                or (
                    answer.state in ("done", "failed")
                    and not answer.fetched
                    and answer.read_at >= abandoned_before
                )
                for answer in self._answers.values()
            )

    def cancel(self, answer_id: str) -> bool:
        """Whether it was waiting or being written."""
        with self._changed:
            answer = self._answers.get(answer_id)
            if answer is None or answer.state not in ("waiting", "writing"):
                return False
            answer.cancelled = True
            return True

    def take(self, seconds: float) -> list[Answer]:
        """What waits by now; at most `seconds` are spent on waiting for it."""
        with self._changed:
            taken = self._waiting()
            if not taken and seconds:
                self._changed.wait(seconds)
                taken = self._waiting()
            for answer in taken:
                answer.state = "cancelled" if answer.cancelled else "writing"
            return [answer for answer in taken if answer.state == "writing"]

    def change(self, answer: Answer, **values: Any) -> None:
        """All of it at once for who reads."""
        with self._changed:
            for name, value in values.items():
                setattr(answer, name, value)

    def _waiting(self) -> list[Answer]:
        return [answer for answer in self._answers.values() if answer.state == "waiting"]

    def _forget_old(self) -> None:
        limit = time.monotonic() - KEPT_SECONDS
        for key, answer in list(self._answers.items()):
            if answer.state not in ("waiting", "writing") and answer.read_at < limit:
                del self._answers[key]


class AnswerBatch:
    """Answers that are drawn together. One whose prompt cannot be encoded fails alone."""

    def __init__(
        self,
        policy: FrozenModel,
        tokenizer: Any,
        queue: AnswerQueue,
        answers: Sequence[Answer],
        max_prompt_tokens: int,
    ) -> None:
        self.policy, self.tokenizer, self.queue = policy, tokenizer, queue
        self.answers: list[Answer] = []
        first = answers[0]
        limit = max_positions(policy.model) or math.inf
        max_tokens = int(min(first.max_tokens, max(1, limit // 2)))
        prompt_tokens = int(min(max_prompt_tokens, limit - max_tokens))
        prompts = []
        for answer in answers:
            try:
                ids, is_cut = encode_prompt_or_cut(tokenizer, answer.messages, prompt_tokens)
            except Exception as error:
                logger.exception("a prompt could not be encoded")
                queue.change(answer, state="failed", failure=describe_error(error))
                continue
            queue.change(answer, used_max_tokens=max_tokens, prompt_cut=is_cut)
            self.answers.append(answer)
            prompts.append(ids)
        self.sampling: SamplingBatch | None = None
        if not prompts:
            return
        noise = [sample_noise(answer.seed, answer.id, 0, max_tokens) for answer in self.answers]
        self.sampling = policy.infer(
            _start,
            prompts,
            first.options,
            torch.stack([torch.from_numpy(row) for row in noise]),
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
        )

    def step(self, abandoned_before: float) -> bool:
        """The next token of each; whether any goes on."""
        sampling = self.sampling
        if sampling is None:
            return False
        self._end_unwanted(sampling, abandoned_before)
        goes_on: bool = self.policy.infer(lambda model: _without_autocast(sampling.step))
        responses = sampling.written.responses(
            [(answer.id, []) for answer in self.answers], 1, self.tokenizer.eos_token_id
        )
        for answer, response in zip(self.answers, responses, strict=True):
            if answer.state != "writing":
                continue
            is_done = response.has_eos or not goes_on
            text = decode_response(self.tokenizer, response.token_ids)
            if is_done:
                self.queue.change(
                    answer,
                    text=text,
                    token_ids=response.token_ids,
                    logprobs=response.logprobs,
                    has_eos=response.has_eos,
                    state="done",
                )
            else:
                # The last bytes may be the beginning of a character.
                self.queue.change(answer, text=text.rstrip("\N{REPLACEMENT CHARACTER}"))
        return goes_on and any(answer.state == "writing" for answer in self.answers)

    def fail(self, reason: str) -> None:
        for answer in self.answers:
            if answer.state == "writing":
                self.queue.change(answer, state="failed", failure=reason)

    def _end_unwanted(self, sampling: SamplingBatch, abandoned_before: float) -> None:
        ended = []
        for row, answer in enumerate(self.answers):
            if answer.state == "writing" and (answer.cancelled or answer.read_at < abandoned_before):
                self.queue.change(answer, state="cancelled")
                ended.append(row)
        if ended:
            sampling.end_rows(ended)


def _start(model: Any, *arguments: Any, **options: Any) -> SamplingBatch:
    return _without_autocast(lambda: SamplingBatch(model, *arguments, n_samples=1, **options))


def _without_autocast(function: Any) -> Any:
    """As sampler.sample_responses: a CPU's decoding step is slower in bf16."""
    with torch.autocast("cpu", enabled=False):
        return function()


def together(answers: Sequence[Answer]) -> list[list[Answer]]:
    """Those that are drawn alike, in the order they came."""
    groups: dict[tuple[float, float, int], list[Answer]] = {}
    for answer in answers:
        key = (answer.options.temperature, answer.options.top_p, answer.max_tokens)
        groups.setdefault(key, []).append(answer)
    return list(groups.values())
