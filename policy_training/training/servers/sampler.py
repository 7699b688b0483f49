"""Responses that a server of language models samples, as those of sampler.py, and a file that keeps them as they come.

The token ids are the server's where it says them, else those of its text. Log-probs are the server's where it says
them for these very tokens, else there are none.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from learning.interface.text import replace_unstorable_characters
from learning.models.tokenization import decode_response, encode_response
from policy_training.training.config import SamplingOptions
from policy_training.training.rollouts.rollouts import Prompt
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest
from policy_training.training.servers.requests import Malformed, ModelServer, Usage

ENDED, CUT = "stop", "length"


@dataclass(frozen=True, kw_only=True)
class WantedAnswers:
    """Some samples of one prompt; equal seeds ask for equal noise, where the server heeds seeds."""

    prompt: Prompt
    temperature: float
    sample_indices: tuple[int, ...]
    seed: str


@dataclass(frozen=True, kw_only=True)
class ServedAnswer:
    """`logprobs` is empty where the server does not say them.

    `prompt_tokens`, `reply_tokens`: what the server counted for the request that it came with; of several answers to
    one request the first has them.
    """

    prompt_id: str
    temperature: float
    sample_index: int
    text: str
    token_ids: list[int]
    logprobs: list[float]
    has_eos: bool
    prompt_tokens: int = 0  # lines of an earlier version have none
    reply_tokens: int = 0

    @property
    def response(self) -> SampledResponse:
        return SampledResponse(
            prompt_id=self.prompt_id,
            sample_index=self.sample_index,
            token_ids=self.token_ids,
            logprobs=self.logprobs,
            has_eos=self.has_eos,
        )

    @property
    def key(self) -> tuple[str, float, int]:
        return self.prompt_id, self.temperature, self.sample_index


class AnswerFile:
    """Answers one a line, appended as they come: a run that is started again asks for the others alone.

    `beside`: files of the other processes, of this start and of earlier ones with more of them. Their answers are there
    as well: what was asked does not depend on which process asked it. Of several to the same, this file's own counts.
    """

    def __init__(self, path: Path, beside: Iterable[Path] = ()) -> None:
        self.path = path
        self.answers: dict[tuple[str, float, int], ServedAnswer] = {}
        self._end_line()
        for file in (*sorted(set(beside) - {path}), path):
            found = file.read_bytes() if file.exists() else b""
            # Another process may be writing the last line of its own.
            for line in found[: found.rfind(b"\n") + 1].splitlines():
                answer = ServedAnswer(**json.loads(line))
                self.answers[answer.key] = answer

    def add(self, answers: Sequence[ServedAnswer]) -> None:
        """On the disk when it returns. What is there already stays as it is."""
        new = [answer for answer in answers if answer.key not in self.answers]
        if not new:
            return
        with open(self.path, "ab") as file:
            file.write(b"".join(json.dumps(asdict(answer)).encode() + b"\n" for answer in new))
            file.flush()
            os.fsync(file.fileno())
        self.answers |= {answer.key: answer for answer in new}

    def _end_line(self) -> None:
        """A last line that was cut off, because the machine stopped, goes: its answers are asked for again."""
        if not self.path.exists():
            return
        found = self.path.read_bytes()
        whole = found.rfind(b"\n") + 1
        if whole < len(found):
            os.truncate(self.path, whole)


def missing_answers(
    kept: AnswerFile, prompts: Sequence[Prompt], request: SamplingRequest
) -> list[WantedAnswers]:
    """Those of n samples of each prompt that are not in the file."""
    temperature = request.options.temperature
    return [
        WantedAnswers(prompt=prompt, temperature=temperature, sample_indices=left, seed=request.seed)
        for prompt in {prompt.prompt_id: prompt for prompt in prompts}.values()
        if (
            left := tuple(
                number
                for number in range(request.n_samples)
                if (prompt.prompt_id, temperature, number) not in kept.answers
            )
        )
    ]


def ask_for_answers(
    server: ModelServer,
    wanted: Sequence[WantedAnswers],
    *,
    body_of: Callable[[WantedAnswers], tuple[str, dict[str, Any]]],
    read: Callable[[WantedAnswers, Mapping[str, Any]], list[ServedAnswer]],
    on_answers: Callable[[Sequence[ServedAnswer]], None],
    check: Callable[[], None] = lambda: None,
) -> None:
    """All of them, handed to `on_answers` in this thread as they come. `body_of`: (path, body) of a request, as
    `request_for`; `read`: the answers in a reply, as `read_answers`. Raises UserError, ServerUnavailable.
    """
    each = server.options.samples_per_request
    requests = [
        replace(one, sample_indices=one.sample_indices[begin : begin + each])
        for one in wanted
        for begin in range(0, len(one.sample_indices), each)
    ]
    while requests:
        missing: list[WantedAnswers] = []

        def take(asked: WantedAnswers, answers: list[ServedAnswer], missing: Any = missing) -> None:
            on_answers(answers)
            if len(answers) < len(asked.sample_indices):  # a server without n gives one
                missing.append(replace(asked, sample_indices=asked.sample_indices[len(answers) :]))

        def ask(one: WantedAnswers) -> list[ServedAnswer]:
            path, body = body_of(one)
            return server.ask(path, body, lambda answer: read(one, answer))

        server.ask_all(requests, ask, on_answer=take, check=check)
        requests = missing


def request_for(
    server: ModelServer,
    tokenizer: Any,
    wanted: WantedAnswers,
    *,
    model: str,
    options: SamplingOptions,
    max_response_tokens: int,
) -> tuple[str, dict[str, Any]]:
    """(path, body). What is as a server has it anyway is not said: servers refuse fields that they do not know."""
    asked = server.options
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_response_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "seed": seed_of(wanted),
    }
    further = {
        "n": (len(wanted.sample_indices), 1),
        "stop": (list(asked.stop), []),
        "top_k": (options.top_k, 0),
        "repetition_penalty": (options.repetition_penalty, 1.0),
        "return_token_ids": (asked.returns_token_ids, False),
    }
    body |= {name: value for name, (value, usual) in further.items() if value != usual}
    if asked.protocol == "chat":
        body["messages"] = [dict(message) for message in wanted.prompt.messages]
        if asked.returns_logprobs:
            body["logprobs"] = True
        return "chat/completions", body
    body["prompt"] = prompt_text(tokenizer, wanted.prompt)
    if asked.returns_logprobs:
        body["logprobs"] = 0  # of the token that was drawn, and of no other
    return "completions", body


def seed_of(wanted: WantedAnswers) -> int:
    key = f"{wanted.seed}\0{wanted.temperature!r}\0{wanted.prompt.prompt_id}\0{wanted.sample_indices[0]}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) >> 1


def prompt_text(tokenizer: Any, prompt: Prompt) -> str:
    """The prompt's tokens as text, without those that the server's tokenizer puts in front by itself."""
    token_ids, added = prompt.token_ids, tokenizer("")["input_ids"]
    if added and token_ids[: len(added)] == added:
        token_ids = token_ids[len(added) :]
    return str(tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def read_answers(
    server: ModelServer, tokenizer: Any, wanted: WantedAnswers, answer: Mapping[str, Any], max_tokens: int
) -> list[ServedAnswer]:
    """At least one, at most as many as were asked for. Raises Malformed."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("its answer has no choices")
    first, *others = (
        _read_choice(server, tokenizer, wanted, sample_index, choice, max_tokens)
        for sample_index, choice in zip(wanted.sample_indices, choices, strict=False)
    )
    usage = Usage.of(answer)
    return [
        replace(first, prompt_tokens=usage.prompt_tokens, reply_tokens=usage.completion_tokens),
        *others,
    ]


def _read_choice(
    server: ModelServer,
    tokenizer: Any,
    wanted: WantedAnswers,
    sample_index: int,
    choice: Any,
    max_tokens: int,
) -> ServedAnswer:
    if not isinstance(choice, Mapping):
        raise Malformed("a choice of its answer is no object")
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    reason = choice.get("finish_reason")
    if text is None and reason == CUT:  # all tokens went into what is not shown
        text = ""
    if not isinstance(text, str) or reason not in (ENDED, CUT):
        raise Malformed(f"its answer has no text, or ended by {str(reason)[:40]!r}")
    text, has_ended = replace_unstorable_characters(text), reason == ENDED
    eos = tokenizer.eos_token_id
    token_ids = choice.get("token_ids")
    if token_ids is None:
        token_ids = encode_response(tokenizer, text, max_tokens, ended=False)
        logprobs = _logprobs_of_text(tokenizer, token_ids, choice, has_ended)
    elif all(isinstance(one, int) and 0 <= one < len(tokenizer) for one in token_ids):
        said = _said_logprobs(choice)
        logprobs = [value for _, value in said] if len(said) == len(token_ids) else []
    else:
        raise Malformed("its token ids are not those of the policy's tokenizer")
    if has_ended and (not token_ids or token_ids[-1] != eos):
        token_ids = [*token_ids, eos]
    return ServedAnswer(
        prompt_id=wanted.prompt.prompt_id,
        temperature=wanted.temperature,
        sample_index=sample_index,
        text=decode_response(tokenizer, token_ids) if choice.get("token_ids") is not None else text,
        token_ids=token_ids,
        # Without one for the end there are none: half of them would be taken for all.
        logprobs=logprobs if len(logprobs) == len(token_ids) else [],
        has_eos=has_ended,
    )


def _said_logprobs(choice: Mapping[str, Any]) -> list[tuple[str, float]]:
    """(token as text, log-prob) in either protocol's form; empty where they are not said."""
    said = choice.get("logprobs")
    if not isinstance(said, Mapping):
        return []
    if isinstance(said.get("content"), list):
        pairs = [
            (one.get("token"), one.get("logprob")) for one in said["content"] if isinstance(one, Mapping)
        ]
    else:
        pairs = list(zip(said.get("tokens") or (), said.get("token_logprobs") or (), strict=False))
    found = []
    for token, value in pairs:
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value > 1e-6:
            raise Malformed("its log-probs are no numbers up to 0")
        found.append((str(token), float(value)))
    return found


def _logprobs_of_text(
    tokenizer: Any, token_ids: Sequence[int], choice: Mapping[str, Any], has_ended: bool
) -> list[float]:
    """Those that the server says, if its tokens are the ones that the text has here; else none."""
    said = _said_logprobs(choice)
    own = [tokenizer.decode([one]) for one in token_ids]
    if has_ended and len(said) == len(own) + 1:
        own.append(said[-1][0])  # the end, however it is written
    return [value for _, value in said] if own and own == [token for token, _ in said] else []
