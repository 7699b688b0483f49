"""PPO's state from parts, and the experience of a step, for the tests of its modules."""

import torch

from learning.batches.samplers import ContinuousBatchSampler
from learning.distributed import DistributedContext
from policy_training.training.ppo import experience
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.policy_loss import PenaltyController
from policy_training.training.ppo.setup import PPOState, TrainingState, build_engines
from policy_training.training.ppo.weight_average import WeightAverage
from policy_training.training.rollouts.rewards import KLController, RunningMoments
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    generate_rollouts,
)
from policy_training.training.rollouts.sampler import SamplingRequest

CPU = torch.device("cpu")


def build_state(
    config: PPOConfig,
    policy,
    reference,
    critic,
    scorer,
    prompts,
    *,
    ptx=None,
    layout="shared_prompt",
):
    """A PPOState from parts, as ppo_setup.build_state builds it from a folder."""
    processes = DistributedContext.start(config.runtime)
    prompt_sampler = ContinuousBatchSampler(
        len(prompts), seed=0, examples_per_step=config.rollout.prompts_per_step
    )
    policy_engine, critic_engine = build_engines(
        config, policy, critic, processes, prompts_per_step=prompt_sampler.examples_per_step
    )
    return PPOState(
        context=None,
        config=config,
        distributed=processes,
        tokenizer=scorer.policy_tokenizer,
        policy=policy_engine,
        critic=critic_engine,
        reference=FrozenModel(reference, config.runtime, CPU),
        scorer=scorer,
        train_prompts=list(prompts),
        evaluation_prompts=list(prompts),
        evaluation_split="train",
        layout=layout,
        layout_reason="",
        prompt_sampler=prompt_sampler,
        ptx=ptx,
        score_moments=RunningMoments(),
        kl_controller=KLController(config.reward.kl_coefficient, config.reward.kl_target),
        penalty_controller=PenaltyController(
            config.policy_loss.kl_penalty_coefficient, config.policy_loss.kl_penalty_target
        ),
        progress=TrainingState(),
        weight_average=WeightAverage(policy, config.ema_decay) if config.ema_decay is not None else None,
        entropy_weight=config.policy_loss.entropy_coefficient,
    )


def collect_experience(state: PPOState, step: int = 1, *, gather: bool = True):
    """Rollouts of one step with everything the update reads (not yet, without `gather`)."""
    rollouts = generate_rollouts(
        state.policy,
        state.train_prompts[: state.config.rollout.prompts_per_step],
        state.scorer,
        SamplingRequest(
            n_samples=state.config.rollout.samples_per_prompt,
            max_response_tokens=state.config.batch.max_response_tokens,
            options=state.config.rollout.sampling,
            seed=str(step),
        ),
        distributed=state.distributed,
    )
    minibatches = experience.make_minibatches(state, rollouts)
    if gather:
        experience.gather_experience(state, rollouts, minibatches)
    return rollouts, minibatches
