"""What a recipe that learns from rollouts reports between its steps: an evaluation, and texts to read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from learning.engine import Engine
from learning.interface.training_options import EvaluationOptions, ModelOptions, ModelSource, RuntimeOptions
from learning.models.tokenization import decode_response
from learning.run_context import RunContext
from policy_training.training.alarms.alarms import HELD_OUT_OBJECTIVE
from policy_training.training.ppo.config import RewardOptions
from policy_training.training.ppo.experience import RolloutConfig, RolloutState
from policy_training.training.ppo.objective import kl_weight_in_loss, penalised_score, score_deviation
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.rewards.sources import measure_scales, scorer_report
from policy_training.training.rollouts.measures import thinned
from policy_training.training.rollouts.model_sources import model_source_sha256s
from policy_training.training.rollouts.policy_evaluation import PolicyEvaluation, evaluate_policy
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Prompt,
    Rollout,
    RolloutScorer,
    part_texts,
)
from policy_training.training.rollouts.sampler import SamplingRequest


class ReportedConfig(RolloutConfig, Protocol):
    @property
    def reward(self) -> RewardOptions: ...

    @property
    def rewards(self) -> RewardSourcesOptions: ...

    @property
    def evaluation(self) -> EvaluationOptions: ...

    @property
    def runtime(self) -> RuntimeOptions: ...

    @property
    def policy(self) -> ModelOptions: ...

    @property
    def reference(self) -> ModelSource | None: ...


class ReportedProgress(Protocol):
    initial_evaluation: dict[str, Any]
    initial_scores: list[float]
    episodes: int
    seconds: float
    stopped_at_kl: float | None


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
    def train_prompts(self) -> list[Prompt]: ...

    @property
    def evaluation_prompts(self) -> list[Prompt]: ...

    @property
    def evaluation_split(self) -> str: ...

    @property
    def layout_reason(self) -> str: ...

    @property
    def progress(self) -> ReportedProgress: ...


def sampling_request(config: RolloutConfig, *, n_samples: int, seed: str) -> SamplingRequest:
    return SamplingRequest(
        n_samples=n_samples,
        max_response_tokens=config.batch.max_response_tokens,
        options=config.rollout.sampling,
        seed=seed,
    )


def own_request(config: ReportedConfig, *, purpose: str) -> SamplingRequest:
    """One sample a prompt of the policy as it is trained, always with the same noise, whoever samples the rollouts."""
    request = sampling_request(config, n_samples=1, seed=f"{config.runtime.seed}/{purpose}")
    options = replace(request.options, temperature=config.rollout.trained_temperature)
    return replace(request, options=options)


def evaluate(state: ReportedState) -> tuple[PolicyEvaluation, list[Rollout]]:
    """One sample for each held-out prompt, always with the same noise: what changes is the policy."""
    config = state.config
    return evaluate_policy(
        state.policy,
        state.reference,
        state.evaluation_prompts,
        state.scorer,
        own_request(config, purpose="evaluation"),
        max_micro_batch_tokens=config.batch.micro_batch_tokens,
        layout="padded",
        distributed=state.distributed,
    )


def evaluate_start(state: ReportedState) -> None:
    """What the run begins with, kept in its progress: rewards are put on their scales, then the policy is measured."""
    measure_scales(
        state.scorer,
        state.policy,
        state.train_prompts,
        own_request(state.config, purpose="normalization"),
        distributed=state.distributed,
        before_token=state.context.require_current,
    )
    before, rollouts = evaluate(state)
    state.progress.initial_evaluation = before.as_dict()
    state.progress.initial_scores = thinned([rollout.score for rollout in rollouts])
    log_samples(state, rollouts, 0, before)


def evaluate_step(state: ReportedState, step: int) -> dict[str, Any]:
    """A step's metrics of the held-out prompts, whose first answers are logged."""
    evaluation, rollouts = evaluate(state)
    log_samples(state, rollouts, step, evaluation)
    return {
        "eval_score": evaluation.score,
        "eval_kl": evaluation.kl,
        HELD_OUT_OBJECTIVE: step_objective(state, rollouts, evaluation.kl or 0.0),
        "eval_scores": thinned([rollout.score for rollout in rollouts]),
        **{f"eval_score_{name}": mean for name, mean in evaluation.parts.items()},
    }


def step_objective(state: ReportedState, rollouts: Sequence[Rollout], kl: float) -> float:
    """What the best checkpoint is chosen by, of these rollouts at a mean `kl` (nats a response)."""
    config = state.config
    deviation = score_deviation(
        config.reward, state.progress.initial_evaluation, whiten=config.rewards.whiten
    )
    return penalised_score(
        rollouts,
        kl=kl,
        options=config.reward,
        deviation=deviation,
        kl_in_loss=kl_weight_in_loss(config.algorithm, rollouts),
    )


def result_of(
    state: ReportedState,
    after: PolicyEvaluation,
    rollouts: Sequence[Rollout],
    *,
    steps: int,
    alarms: Sequence[str],
    ended_early_at_step: int | None,
    model_sha256s: Mapping[str, str],
) -> dict[str, Any]:
    """What result.json says of every recipe that learns from rollouts; `rollouts` are those of `after`."""
    config, progress = state.config, state.progress
    before = PolicyEvaluation(**progress.initial_evaluation)
    return {
        "score_before": before.score,
        "score_after": after.score,
        "score_std_before": before.score_std,
        "kl_before": before.kl,
        "kl": after.kl,
        **({"parts_before": before.parts, "parts_after": after.parts} if after.parts else {}),
        "eos_rate_before": before.eos_rate,
        "eos_rate_after": after.eos_rate,
        "tokens_before": before.tokens,
        "tokens_after": after.tokens,
        "perplexity_before": before.perplexity,
        "perplexity_after": after.perplexity,
        "evaluation_split": state.evaluation_split,
        "evaluation_responses": after.responses,
        "steps": steps,
        "stopped_at_kl": progress.stopped_at_kl,
        "scores_before": progress.initial_scores,
        "scores_after": thinned([rollout.score for rollout in rollouts]),
        "alarms": list(alarms),
        "ended_early_at_step": ended_early_at_step,
        "episodes": progress.episodes,
        "same_tokenizer": state.scorer.same_tokenizer,
        "layout": state.layout,
        "layout_reason": state.layout_reason,
        "model_sha256s": dict(model_sha256s),
        "policy_sha256s": model_source_sha256s(config.policy.source),
        "reference_sha256s": model_source_sha256s(config.reference or config.policy.source),
        "reward_model_sha256s": state.scorer.sha256s,
        **scorer_report(state.scorer),
        "seconds": progress.seconds,
    }


def log_samples(
    state: ReportedState, rollouts: Sequence[Rollout], step: int, evaluation: PolicyEvaluation | None = None
) -> None:
    """Texts to read: of a step's own rollouts, or of an `evaluation`, whose prompts are the same each time. The run's
    page shows these by prompt, and knows them by the name.
    """
    name, further, log = "prompt", {}, state.context.log_sample
    if evaluation is not None:
        name, log = "evaluation_prompt", state.context.log_evaluation_sample
        further = {} if evaluation.kl is None else {"kl": f"{evaluation.kl:.4f}"}
    for rollout in rollouts[: state.config.evaluation.logged_samples]:
        log(
            step,
            **{name: rollout.prompt.text},
            response=decode_response(state.tokenizer, rollout.response.token_ids),
            score=f"{rollout.score:.4f}",
            **part_texts(rollout),
            **further,
        )
