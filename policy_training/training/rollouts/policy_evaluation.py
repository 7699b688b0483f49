"""A policy measured on prompts: the score of its answers, and how far it is from a reference.

Suffixes: N responses, in the order of the prompts and of the samples of each; R response tokens, right-padded.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from learning.batches.collation import TokenBatch
from learning.batches.forward import compute_token_logprobs
from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.training_options import Layout
from policy_training.training.rollouts.guidance import Guidance
from policy_training.training.rollouts.importance import Mismatch, mean_mismatch, padded_logprobs
from policy_training.training.rollouts.measures import perplexity
from policy_training.training.rollouts.rewards import kl_estimates
from policy_training.training.rollouts.rollouts import (
    InferenceModel,
    Prompt,
    Rollout,
    RolloutScorer,
    Sampler,
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
    # How far a server that sampled is from the policy, where it says log-probabilities (mean_mismatch); else empty.
    sampler: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "sampler" or value}


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
    sample: Sampler | None = None,
    guidance: Guidance | None = None,
) -> tuple[PolicyEvaluation, list[Rollout]]:
    """Sample, score, and measure the distance to the reference. Every rank returns the same figures.

    `sample` takes the place of the policy's own sampling: the log-probabilities of its answers are then computed here.
    """
    if not prompts:
        raise UserError("inputs/prompts: has no prompts to evaluate on; add at least one")
    rollouts = generate_rollouts(
        policy,
        prompts,
        scorer,
        request,
        distributed=distributed,
        before_token=before_pass,
        sample=sample,
        guidance=guidance,
    )
    is_served, mismatch = sample is not None, Mismatch()
    kl_total, temperature = torch.zeros((), dtype=torch.float64), request.options.temperature
    own: dict[int, list[float]] = {}  # of the policy, by rollout
    batches = (
        inference_batches(
            rollouts_to_examples(rollouts, request.n_samples),
            layout=layout,
            max_tokens=max_micro_batch_tokens,
            pad_id=scorer.policy_tokenizer.pad_token_id,
            device=distributed.device,
        )
        if is_served or reference is not None
        else []
    )
    for indices, batch in batches:
        before_pass()
        logprobs_NR: Tensor = policy.infer(compute_token_logprobs, batch, temperature=temperature)
        if is_served:
            places = [index * request.n_samples + n for index in indices for n in range(request.n_samples)]
            for place, row_R, is_response_R in zip(places, logprobs_NR, batch.is_response_NR, strict=True):
                own[place] = row_R[is_response_R].tolist()
            if temperature == 1.0:  # at another one a server may say those at 1
                _compare_with_server([rollouts[place] for place in places], logprobs_NR, batch, mismatch)
        if reference is not None:
            log_ratio_NR = logprobs_NR - reference.infer(
                compute_token_logprobs, batch, temperature=temperature
            )
            kl_total += kl_estimates(log_ratio_NR[batch.is_response_NR], "k1").double().sum().cpu()
    if is_served:
        rollouts = [
            replace(rollout, response=replace(rollout.response, logprobs=own[place]))
            for place, rollout in enumerate(rollouts)
        ]
    kl = None
    if reference is not None:
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
        sampler=mean_mismatch([mismatch] if mismatch.tokens else [], distributed),
    )
    return evaluation, rollouts


def _compare_with_server(
    rollouts: Sequence[Rollout], own_NR: Tensor, batch: TokenBatch, mismatch: Mismatch
) -> None:
    """Adds the responses of which the server said each token's log-probability."""
    said = [len(rollout.response.logprobs) == len(rollout.response.token_ids) for rollout in rollouts]
    is_said_NR = batch.is_response_NR & torch.tensor(said, device=own_NR.device)[:, None]
    logprobs = [
        rollout.response.logprobs if is_said else [] for rollout, is_said in zip(rollouts, said, strict=True)
    ]
    mismatch.add(own_NR, padded_logprobs(logprobs, is_said_NR), is_said_NR, None)
