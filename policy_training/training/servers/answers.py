"""Answers of one model that a server samples in place of this program, each kept as it comes.

Who starts again with the same file asks for the others alone. A policy's tokens are those that the server says, checked
to be the policy's (servers/own_tokens.py), where it says them (returns_token_ids); else its text is tokenized again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from learning.interface.options import UserError
from policy_training.training.rollouts.rollouts import Prompt
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest
from policy_training.training.server_config import ServerOptions
from policy_training.training.servers.own_tokens import own_tokens_body, require_own_tokens
from policy_training.training.servers.requests import ModelServer
from policy_training.training.servers.sampler import (
    AnswerFile,
    ServedAnswer,
    WantedAnswers,
    ask_for_answers,
    missing_answers,
    read_answers,
    request_for,
)


class AnswerServer:
    """One process's client. Raises UserError where the environment does not name the server.

    `model`: what the server calls it. `tokenizer`: of the policy; of an outside model that of the policy which learns
    from its answers, or beside which they stand. `answers_file`, `beside`: see AnswerFile. `check` is called while
    answers are waited for and may raise.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        model: str,
        tokenizer: Any,
        answers_file: Path,
        beside: Iterable[Path] = (),
        check: Callable[[], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.server = ModelServer(options, environment)
        self._model, self._tokenizer, self._check = model, tokenizer, check
        answers_file.parent.mkdir(exist_ok=True)
        self._kept = AnswerFile(answers_file, beside)

    def close(self) -> None:
        self.server.close()

    def answers(self, prompts: Sequence[Prompt], request: SamplingRequest) -> list[ServedAnswer]:
        """n samples of each prompt, in their order. Raises UserError, ServerUnavailable."""
        with_tokens = self.server.options.returns_token_ids

        def body_of(wanted: WantedAnswers) -> tuple[str, dict[str, Any]]:
            path, body = request_for(
                self.server,
                self._tokenizer,
                wanted,
                model=self._model,
                options=request.options,
                max_response_tokens=request.max_response_tokens,
            )
            has_text = "messages" not in body
            return path, body | (own_tokens_body(wanted, request.options) if with_tokens and has_text else {})

        def read(wanted: WantedAnswers, answer: Mapping[str, Any]) -> list[ServedAnswer]:
            limit = request.max_response_tokens
            found = read_answers(self.server, self._tokenizer, wanted, answer, limit)
            for one, choice in zip(found, answer["choices"], strict=False):
                if with_tokens and "text" in choice:
                    require_own_tokens(self.server.server.name, self._tokenizer, wanted.prompt, one, choice)
                _require_tokens(self.server.server.name, one)
            return found

        ask_for_answers(
            self.server,
            missing_answers(self._kept, prompts, request),
            body_of=body_of,
            read=read,
            on_answers=self._kept.add,
            check=self._check,
        )
        temperature = request.options.temperature
        return [
            self._kept.answers[prompt.prompt_id, temperature, number]
            for prompt in prompts
            for number in range(request.n_samples)
        ]

    def sample(self, prompts: Sequence[Prompt], request: SamplingRequest) -> list[SampledResponse]:
        """The same as responses. What the policy's tokenizer makes longer than the limit counts as cut off: it would
        be learned, or scored, as if it ended there.
        """
        return [
            within(answer.response, request.max_response_tokens) for answer in self.answers(prompts, request)
        ]


def within(response: SampledResponse, max_tokens: int) -> SampledResponse:
    if len(response.token_ids) <= max_tokens:
        return response
    return replace(
        response,
        token_ids=response.token_ids[:max_tokens],
        logprobs=response.logprobs[:max_tokens],
        has_eos=False,
    )


def server_report(options: ServerOptions, models: Sequence[str], files: Iterable[Path]) -> dict[str, Any]:
    """For result.json: who answered, and the tokens that it counted, over all starts of the run."""
    kept = [answer for file in files for answer in AnswerFile(file).answers.values()]
    return {
        "name": options.name,
        "models": list(models),
        "answers": len(kept),
        "prompt_tokens": sum(answer.prompt_tokens for answer in kept),
        "reply_tokens": sum(answer.reply_tokens for answer in kept),
    }


def _require_tokens(server: str, answer: ServedAnswer) -> None:
    # Tokens made of an empty text here are an end token, which the server has not said.
    if not answer.token_ids or not (answer.text or answer.has_eos):
        raise UserError(
            f"the model server {server}, prompt {answer.prompt_id}: it gave an answer without text that had not ended; "
            "give it more tokens (batch.max_response_tokens)"
        )
