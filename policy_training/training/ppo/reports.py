"""What a recipe that learns from rollouts reports between its steps: an evaluation, and texts to read."""

from collections.abc import Sequence
from typing import Any, Protocol

from learning.engine import Engine
from learning.interface.training_options import EvaluationOptions, RuntimeOptions
from learning.models.tokenization import decode_response
from learning.run_context import RunContext
from policy_training.training.ppo.experience import RolloutConfig, RolloutState
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    PolicyEvaluation,
    Prompt,
    Rollout,
    RolloutScorer,
    evaluate_policy,
    part_texts,
)
from policy_training.training.rollouts.sampler import SamplingRequest


class ReportedConfig(RolloutConfig, Protocol):
    @property
    def evaluation(self) -> EvaluationOptions: ...

    @property
    def runtime(self) -> RuntimeOptions: ...


class ReportedState(RolloutState, Protocol):
    @property
    def config(self) -> ReportedConfig: ...

    @property
    def context(self) -> RunContext[Any]: ...

    @property
    def policy(self) -> Engine: ...

    @property
    def reference(self) -> FrozenModel: ...

    @property
    def scorer(self) -> RolloutScorer: ...

    @property
    def evaluation_prompts(self) -> list[Prompt]: ...


def sampling_request(config: RolloutConfig, *, n_samples: int, seed: str) -> SamplingRequest:
    return SamplingRequest(
        n_samples=n_samples,
        max_response_tokens=config.batch.max_response_tokens,
        options=config.rollout.sampling,
        seed=seed,
    )


def evaluate(state: ReportedState) -> tuple[PolicyEvaluation, list[Rollout]]:
    """One sample for each held-out prompt, always with the same noise: what changes is the policy."""
    config = state.config
    return evaluate_policy(
        state.policy,
        state.reference,
        state.evaluation_prompts,
        state.scorer,
        sampling_request(config, n_samples=1, seed=f"{config.runtime.seed}/evaluation"),
        max_micro_batch_tokens=config.batch.micro_batch_tokens,
        layout="padded",
        distributed=state.distributed,
    )


def log_samples(state: ReportedState, rollouts: Sequence[Rollout], step: int) -> None:
    for rollout in rollouts[: state.config.evaluation.logged_samples]:
        state.context.log_sample(
            step,
            prompt=rollout.prompt.text,
            response=decode_response(state.tokenizer, rollout.response.token_ids),
            score=f"{rollout.score:.4f}",
            **part_texts(rollout),
        )
