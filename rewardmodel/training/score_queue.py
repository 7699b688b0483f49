"""Requests for rewards of a served model: what they ask, how they wait, and how those that wait are scored together.

Everything that waits when the model is free goes through it in one go; responses to the same prompt share it, whoever
asked. A reward is that of the command `score` for the same texts, up to rounding: what else is in a forward pass moves
it by about 1e-6.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from learning.batches.collation import Example
from learning.interface.messages import Answer
from learning.interface.options import UserError
from learning.models.chat_rendering import encode_text, render_template
from learning.models.tokenization import encode_response_or_cut
from rewardmodel.training.comparisons import Message
from rewardmodel.training.scoring import RewardScorer
from rewardmodel.training.tokenization import tokenize_and_tell_cuts

logger = logging.getLogger(__name__)

MAX_RESPONSES_AT_ONCE = 256  # taken together: who came later does not wait for more than that
MAX_RESPONSES_PER_ROW = 16  # behind one prompt, as in the command score


class Busy(Exception):
    """Too many requests wait already."""


@dataclass(frozen=True)
class Encoded:
    """A prompt and responses as ids, and what of them was longer than the model's limits."""

    example: Example
    prompt_is_cut: bool
    responses_are_cut: Sequence[bool]


class Texts(Protocol):
    """What a request wants scored. Raises UserError where it cannot be read as this model reads texts."""

    def __len__(self) -> int:
        """Responses."""

    def encode(self, scorer: RewardScorer) -> list[Encoded]: ...


@dataclass(frozen=True)
class Conversations:
    """Prompts as messages, and the responses to each."""

    prompts: Sequence[tuple[Sequence[Message], Sequence[Answer], Sequence[bool | None]]]

    def __len__(self) -> int:
        return sum(len(responses) for _, responses, _ in self.prompts)

    def encode(self, scorer: RewardScorer) -> list[Encoded]:
        return [
            Encoded(*tokenize_and_tell_cuts(scorer.tokenizer, prompt, responses, scorer.batch, ended=ended))
            for prompt, responses, ended in self.prompts
        ]


@dataclass(frozen=True)
class RenderedTexts:
    """Texts that a trainer has written in the chat template already: each prompt, and prompt and response together.

    The template is not applied again. A response that has the end token is read there, another one at its last token;
    the texts of special tokens within a response are text, as everywhere.
    """

    prompts: Sequence[str]
    queries: Sequence[str]

    def __len__(self) -> int:
        return len(self.queries)

    def encode(self, scorer: RewardScorer) -> list[Encoded]:
        header = answer_header(scorer.tokenizer)
        return [
            self._encode(scorer, number, prompt, query, header)
            for number, (prompt, query) in enumerate(zip(self.prompts, self.queries, strict=True))
        ]

    @staticmethod
    def _encode(scorer: RewardScorer, number: int, prompt: str, query: str, header: str) -> Encoded:
        tokenizer, limits = scorer.tokenizer, scorer.batch
        if not prompt or not query.startswith(prompt):
            raise UserError(
                f"query.{number}: does not begin with its prompt (prompts.{number}), so that the response cannot be "
                "told from it; send messages and responses to /score instead"
            )
        if not prompt.endswith(header):
            raise UserError(
                f"prompts.{number}: is not written in this model's chat template, which ends a prompt with {header!r}; "
                "send messages and responses to /score instead"
            )
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        prompt_is_cut = len(prompt_ids) > limits.max_prompt_tokens
        if prompt_is_cut:
            start = prompt_ids[:1] if prompt_ids[0] == tokenizer.bos_token_id else []
            prompt_ids = [*start, *prompt_ids[len(prompt_ids) - limits.max_prompt_tokens + len(start) :]]
        response = query[len(prompt) :]
        ended = response.endswith(tokenizer.eos_token)
        ids, is_cut = encode_response_or_cut(
            tokenizer, response.removesuffix(tokenizer.eos_token), limits.max_response_tokens, ended=ended
        )
        return Encoded(Example(prompt_ids=prompt_ids, response_ids=[ids]), prompt_is_cut, [is_cut])


def answer_header(tokenizer: Any) -> str:
    """What the chat template writes between a user's last words and the answer; empty where it says nothing there."""
    mark = "zqmark"
    rendered = render_template(tokenizer, [{"role": "user", "content": mark}], add_generation_prompt=True)
    return rendered.rpartition(mark)[2]


@dataclass
class ScoreRequest:
    """One request on its way: filled in by the thread that scores, awaited by the one that asked."""

    texts: Texts
    deadline: float  # by time.monotonic(): nobody waits for it any more
    finished: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] | None = None
    refusal: str = ""  # a mistake of whoever asked
    failure: str = ""  # what went wrong here

    def finish(self, *, answer: dict[str, Any] | None = None, refusal: str = "", failure: str = "") -> None:
        self.answer, self.refusal, self.failure = answer, refusal, failure
        self.finished.set()


class ScoreQueue:
    """Requests in the order they came; a bounded number of them."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._waiting: deque[ScoreRequest] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, request: ScoreRequest) -> None:
        with self._changed:
            if self._closed or len(self._waiting) >= self.max_waiting:
                raise Busy
            self._waiting.append(request)
            self._changed.notify()

    def take(self, timeout: float) -> list[ScoreRequest]:
        """Those that wait, as many as are scored together; none when none came in time."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout)
            taken: list[ScoreRequest] = []
            n = 0
            while self._waiting and (not taken or n + len(self._waiting[0].texts) <= MAX_RESPONSES_AT_ONCE):
                taken.append(self._waiting.popleft())
                n += len(taken[-1].texts)
            return taken

    def close(self) -> None:
        """Nothing more is taken on; what waits is still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def __len__(self) -> int:
        return len(self._waiting)


def answer_requests(scorer: RewardScorer, requests: Sequence[ScoreRequest]) -> int:
    """Score these requests together and finish each; the number of rewards given.

    One that cannot be read is refused alone. Where scoring fails, each is tried by itself, so that nobody is answered
    for what somebody else sent.
    """
    encoded: list[tuple[ScoreRequest, list[Encoded]]] = []
    for request in requests:
        if time.monotonic() > request.deadline:
            request.finish(failure="nobody waits for this request any more")
            continue
        try:
            encoded.append((request, request.texts.encode(scorer)))
        except UserError as error:
            request.finish(refusal=str(error))
        except Exception as error:
            logger.exception("a request could not be encoded")
            request.finish(failure=f"its texts could not be encoded ({type(error).__name__})")
    return _answer(scorer, encoded)


def _answer(scorer: RewardScorer, encoded: Sequence[tuple[ScoreRequest, list[Encoded]]]) -> int:
    if not encoded:
        return 0
    try:
        rewards = _rewards(scorer, [item for _, items in encoded for item in items])
    except Exception as error:
        if len(encoded) > 1:
            return sum(_answer(scorer, [one]) for one in encoded)
        logger.exception("a request could not be scored")
        encoded[0][0].finish(failure=f"its texts could not be scored ({type(error).__name__})")
        return 0
    place = n = 0
    for request, items in encoded:
        own = [value for values in rewards[place : place + len(items)] for value in values]
        place += len(items)
        if not all(map(math.isfinite, own)):
            request.finish(failure="the model gives no finite number for these texts")
            continue
        n += len(own)
        request.finish(
            answer={
                "rewards": own,
                "truncated": [is_cut for item in items for is_cut in item.responses_are_cut],
                "truncated_prompts": [item.prompt_is_cut for item in items],
            }
        )
    return n


def _rewards(scorer: RewardScorer, items: Sequence[Encoded]) -> list[list[float]]:
    """Rewards of the responses of each item; those to one and the same prompt go through the model behind it."""
    open_group: dict[tuple[int, ...], int] = {}
    groups: list[tuple[Sequence[int], list[Sequence[int]]]] = []
    places: list[list[tuple[int, int]]] = []
    for item in items:
        key = tuple(item.example.prompt_ids)
        own = []
        for ids in item.example.response_ids:
            number = open_group.get(key)
            if number is None or len(groups[number][1]) == MAX_RESPONSES_PER_ROW:
                number = open_group[key] = len(groups)
                groups.append((item.example.prompt_ids, []))
            own.append((number, len(groups[number][1])))
            groups[number][1].append(ids)
        places.append(own)
    scores = scorer.score_examples([Example(prompt, responses) for prompt, responses in groups])
    return [[scores[group][index] for group, index in own] for own in places]


def warm_up(scorer: RewardScorer) -> None:
    """Decide the layout before the first request does, on texts of ours, and allocate what a pass needs."""
    encode = scorer.tokenizer
    words = [encode_text(encode, text) for text in ("A first answer.", "Another one, a little longer.")]
    prompts = [encode_text(encode, text) for text in ("Which is better?", "And what do you think of this?")]
    scorer.score_examples([Example(prompt, words) for prompt in prompts])


def read_texts(body: Mapping[str, Any]) -> Texts:
    """The texts of a request's body, which the site has checked. Raises UserError for what is no such body."""
    try:
        if "queries" in body:
            prompts, queries = body["prompts"], body["queries"]
            if len(prompts) != len(queries) or not all(
                isinstance(text, str) for text in (*prompts, *queries)
            ):
                raise ValueError
            texts: Texts = RenderedTexts(prompts, queries)
        else:
            texts = Conversations(
                [(item["messages"], item["responses"], item["ended"]) for item in body["conversations"]]
            )
        if not len(texts):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise UserError("the request has no texts as the site sends them") from error
    return texts
