"""Rollouts that a server samples: its tokens and log-probabilities, checked, and kept as they come.

A run that is started again learns from the very answers that it had: those of a step are in a file of their own
(rollout_answers/step-000012-RANK.jsonl) until no checkpoint can lead back to it.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.training_options import ModelOptions, ModelSource, RuntimeOptions
from learning.run_context import RunContext
from policy_training.training.rollouts.config import RolloutServerOptions
from policy_training.training.rollouts.rollouts import Prompt
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest
from policy_training.training.servers.own_tokens import own_tokens_body, require_logprobs, require_own_tokens
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

ANSWERS, WEIGHTS = "rollout_answers", "served_policy"  # folders of the run


class ServedConfig(Protocol):
    @property
    def policy(self) -> ModelOptions: ...

    @property
    def rollout(self) -> "ServedRollouts": ...

    @property
    def runtime(self) -> RuntimeOptions: ...


class ServedRollouts(Protocol):
    @property
    def server(self) -> RolloutServerOptions: ...


def connect_rollout_server(
    context: RunContext[Any], config: ServedConfig, tokenizer: Any, distributed: DistributedContext
) -> "RolloutServer | None":
    """None where the run samples by itself. Raises UserError where the environment does not name the server."""
    if not config.rollout.server.name:
        return None
    return RolloutServer(
        config.rollout.server,
        policy=config.policy.source,
        tokenizer=tokenizer,
        runtime=config.runtime,
        run_path=context.path,
        distributed=distributed,
        check=context.require_current,
    )


class RolloutServer:
    """One rank's client. Every rank calls `sample` at every step."""

    def __init__(
        self,
        options: RolloutServerOptions,
        *,
        policy: ModelSource,
        tokenizer: Any,
        runtime: RuntimeOptions,
        run_path: Path,
        distributed: DistributedContext,
        check: Callable[[], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`check` is called while answers are waited for and may raise. Raises UserError for an unknown server."""
        self.server = ModelServer(options, environment)
        self.options, self._policy, self._tokenizer = options, policy, tokenizer
        self._distributed, self._check = distributed, check
        self._answers, self._weights = run_path / ANSWERS, run_path / WEIGHTS
        # A run goes on from one of its newest two checkpoints.
        self._kept_steps = 2 * runtime.checkpoint_every_steps

    def close(self) -> None:
        self.server.close()

    def sample(
        self, engine: Engine, prompts: Sequence[Prompt], request: SamplingRequest, *, step: int
    ) -> list[SampledResponse]:
        """n samples of each of this rank's prompts, in their order. `engine` holds the weights of the step.

        Raises UserError where the server's tokens are not the policy's, ServerUnavailable.
        """
        self._answers.mkdir(exist_ok=True)
        self._forget(before=step - self._kept_steps)
        kept = AnswerFile(
            self._answers / f"step-{step:06d}-{self._distributed.rank}.jsonl",
            self._answers.glob(f"step-{step:06d}-*.jsonl"),
        )
        temperature, indices = request.options.temperature, range(request.n_samples)
        missing = missing_answers(kept, prompts, request)
        if self._distributed.any(bool(missing)):
            model = self._publish(engine, step)
            self._ask(missing, request, model, kept)
            self._withdraw(model)
        return [
            kept.answers[prompt.prompt_id, temperature, i].response for prompt in prompts for i in indices
        ]

    def _publish(self, engine: Engine, step: int) -> str:
        """What the server is asked for as the model."""
        if self.options.weights == "start":
            return self.options.model or self._policy.path or self._policy.hub_id or ""
        # A name of its own for each step: servers keep what they have loaded by a name.
        folder = (self._weights / f"step-{step:06d}").resolve()
        engine.save_model(self._tokenizer, folder)
        return str(folder)

    def _withdraw(self, model: str) -> None:
        self._distributed.barrier()
        if self.options.weights == "each_step" and self._distributed.is_main:
            shutil.rmtree(model)

    def _ask(
        self, missing: Sequence[WantedAnswers], request: SamplingRequest, model: str, kept: AnswerFile
    ) -> None:
        def body_of(wanted: WantedAnswers) -> tuple[str, dict[str, Any]]:
            path, body = request_for(
                self.server,
                self._tokenizer,
                wanted,
                model=model,
                options=request.options,
                max_response_tokens=request.max_response_tokens,
            )
            return path, body | own_tokens_body(wanted, request.options)

        def read(wanted: WantedAnswers, answer: Mapping[str, Any]) -> list[ServedAnswer]:
            found = read_answers(self.server, self._tokenizer, wanted, answer, request.max_response_tokens)
            for one, choice in zip(found, answer["choices"], strict=False):
                require_own_tokens(self.server.server.name, self._tokenizer, wanted.prompt, one, choice)
                require_logprobs(self.server.server.name, one)
            return found

        ask_for_answers(
            self.server,
            missing,
            body_of=body_of,
            read=read,
            on_answers=kept.add,
            check=self._check,
        )

    def _forget(self, *, before: int) -> None:
        """Of all processes, of earlier starts too."""
        if not self._distributed.is_main:
            return
        for path in self._answers.glob("step-*.jsonl"):
            found = re.match(r"step-(\d+)-", path.name)
            if found and int(found[1]) < before:
                path.unlink()
