"""A policy measured on prompts: the score of its answers, and how far it is from a reference.

Suffixes: N responses, in the order of the prompts and of the samples of each; R response tokens, right-padded.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from learning.batches.forward import compute_token_logprobs
from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.training_options import Layout
from policy_training.training.rollouts.guidance import Guidance
from policy_training.training.rollouts.measures import perplexity
from policy_training.training.rollouts.rewards import kl_estimates
from policy_training.training.rollouts.rollouts import (
    InferenceModel,
    Prompt,
    Rollout,
    RolloutScorer,
    generate_rollouts,
    inference_batches,
    part_means,
    rollouts_to_examples,
)
from policy_training.training.rollouts.sampler import SamplingRequest


@dataclass(frozen=True, kw_only=True)
class PolicyEvaluation:
    """Means over responses. `kl`: KL(policy || reference), nats a response, estimator k1; None without reference. Where
    a critic led it is that of what was drawn from.
    """

    score: float
    score_std: float
    kl: float | None
    eos_rate: float
    tokens: float
    responses: int
    # Means of what each model and function said, where the score is made of several.
    parts: dict[str, float] = field(default_factory=dict)
    perplexity: float | None = None  # of its responses, under the policy itself at the sampling temperature

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate_policy(
    policy: InferenceModel,
    reference: InferenceModel | None,
    prompts: Sequence[Prompt],
    scorer: RolloutScorer,
    request: SamplingRequest,
    *,
    max_micro_batch_tokens: int,
    layout: Layout,
    distributed: DistributedContext,
    before_pass: Callable[[], None] = lambda: None,
    guidance: Guidance | None = None,
) -> tuple[PolicyEvaluation, list[Rollout]]:
    """Sample, score, and measure the distance to the reference. Every rank returns the same figures."""
    if not prompts:
        raise UserError("inputs/prompts: has no prompts to evaluate on; add at least one")
    rollouts = generate_rollouts(
        policy,
        prompts,
        scorer,
        request,
        distributed=distributed,
        before_token=before_pass,
        guidance=guidance,
    )
    kl = None
    if reference is not None:
        kl_total, temperature = torch.zeros((), dtype=torch.float64), request.options.temperature
        for _, batch in inference_batches(
            rollouts_to_examples(rollouts, request.n_samples),
            layout=layout,
            max_tokens=max_micro_batch_tokens,
            pad_id=scorer.policy_tokenizer.pad_token_id,
            device=distributed.device,
        ):
            before_pass()
            log_ratio_NR: Tensor = policy.infer(
                compute_token_logprobs, batch, temperature=temperature
            ) - reference.infer(compute_token_logprobs, batch, temperature=temperature)
            kl_total += kl_estimates(log_ratio_NR[batch.is_response_NR], "k1").double().sum().cpu()
        # What was drawn from, over the policy itself; nothing where no critic led.
        kl_led = math.fsum(
            led - own
            for rollout in rollouts
            for led, own in zip(rollout.response.guided_logprobs, rollout.response.logprobs, strict=False)
        )
        kl = (float(kl_total) + kl_led) / len(rollouts)
    scores = torch.tensor([rollout.score for rollout in rollouts], dtype=torch.float64)
    evaluation = PolicyEvaluation(
        score=float(scores.mean()),
        score_std=float(scores.std(unbiased=False)),
        kl=kl,
        eos_rate=sum(rollout.response.has_eos for rollout in rollouts) / len(rollouts),
        tokens=sum(len(rollout.response.token_ids) for rollout in rollouts) / len(rollouts),
        responses=len(rollouts),
        parts=part_means(rollouts),
        perplexity=perplexity(
            math.fsum(value for rollout in rollouts for value in rollout.response.logprobs),
            sum(len(rollout.response.logprobs) for rollout in rollouts),
        ),
    )
    return evaluation, rollouts
