"""The rollouts of a step: by the policy itself, or by a server."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from learning.batches.samplers import ContinuousBatchSampler
from policy_training.training.ppo.reports import ReportedState, sampling_request
from policy_training.training.rollouts.rollouts import Prompt, Rollout, sample_groups, score_rollouts
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest
from policy_training.training.servers.rollouts import RolloutServer


class SampledState(ReportedState, Protocol):
    @property
    def prompt_sampler(self) -> ContinuousBatchSampler: ...

    @property
    def rollout_server(self) -> RolloutServer | None: ...


def step_rollouts(state: SampledState, step: int) -> tuple[list[Rollout], dict[str, float]]:
    """Of the next prompts, scored, and how long that took, for the step's metrics. The noise comes from `step`."""
    config, server = state.config, state.rollout_server
    prompts = [state.train_prompts[index] for index in state.prompt_sampler.next()]
    request = sampling_request(
        config, n_samples=config.rollout.samples_per_prompt, seed=f"{config.runtime.seed}/{step}"
    )
    began_at = time.perf_counter()
    groups = sample_groups(
        state.policy,
        prompts,
        state.tokenizer,
        request,
        distributed=state.distributed,
        sample=None if server is None else sampler_of(server, state, request, step),
    )
    sampled_at = time.perf_counter()
    rollouts = score_rollouts(prompts, groups, state.scorer)
    scored_at = time.perf_counter()
    return rollouts, {"seconds_sampling": sampled_at - began_at, "seconds_scoring": scored_at - sampled_at}


def sampler_of(
    server: RolloutServer, state: SampledState, request: SamplingRequest, step: int
) -> Callable[[Sequence[Prompt]], list[SampledResponse]]:
    return lambda own: server.sample(state.policy, own, request, step=step)
