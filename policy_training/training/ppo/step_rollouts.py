"""The rollouts of a step: by the policy itself, or by a server."""

from collections.abc import Sequence
from typing import Protocol

from learning.batches.samplers import ContinuousBatchSampler
from policy_training.training.ppo.reports import ReportedState, sampling_request
from policy_training.training.rollouts.rollouts import Prompt, Rollout, generate_rollouts
from policy_training.training.rollouts.sampler import SampledResponse
from policy_training.training.servers.rollouts import RolloutServer


class SampledState(ReportedState, Protocol):
    @property
    def prompt_sampler(self) -> ContinuousBatchSampler: ...

    @property
    def rollout_server(self) -> RolloutServer | None: ...


def step_rollouts(state: SampledState, step: int) -> list[Rollout]:
    """Of the next prompts, scored. The noise comes from `step`."""
    config = state.config
    prompts = [state.train_prompts[index] for index in state.prompt_sampler.next()]
    request = sampling_request(
        config, n_samples=config.rollout.samples_per_prompt, seed=f"{config.runtime.seed}/{step}"
    )
    server = state.rollout_server
    if server is None:
        return generate_rollouts(state.policy, prompts, state.scorer, request, distributed=state.distributed)

    def sample(own: Sequence[Prompt]) -> list[SampledResponse]:
        return server.sample(state.policy, own, request, step=step)

    return generate_rollouts(
        state.policy, prompts, state.scorer, request, distributed=state.distributed, sample=sample
    )
