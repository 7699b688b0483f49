"""What PPO builds before its first step: models, engines, prompts, cursors, and the counters a checkpoint
keeps.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from learning.architectures import require_positions
from learning.batching import SteadyCursor
from learning.engine import Engine
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS, PROMPTS
from learning.interface.training_options import Layout, ModelSource
from learning.language_models import load_policy, load_reward_model, load_tokenizer
from learning.packing import Example, choose_layout
from learning.processes import Processes
from learning.run_context import RunContext
from learning.tokenization import encode_prompt, encode_response
from policy_training.training.config import PPOConfig
from policy_training.training.rewards import KLController, RunningMoments
from policy_training.training.rollouts import (
    Frozen,
    Prompt,
    Scorer,
    load_reference,
    probe_examples,
    tokenized_prompts,
)


@dataclass
class Progress:
    """What a checkpoint keeps beside models, optimisers, cursors, moments and the KL coefficient."""

    policy_steps: int = 0
    critic_updates_alone: int = 0
    critic_losses: list[float] = field(default_factory=list)
    episodes: int = 0
    # The critic's raw output is on the reward model's scale; its value is (output - shift) / scale, fixed at the start.
    value_shift: float = 0.0
    value_scale: float = 1.0
    before: dict[str, Any] = field(default_factory=dict)  # the evaluation before training
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@dataclass
class PPORun:
    """Everything a step needs, built once."""

    attempt: RunContext[PPOConfig]
    config: PPOConfig
    processes: Processes
    tokenizer: Any
    policy: Engine
    critic: Engine
    reference: Frozen
    scorer: Scorer
    train_prompts: list[Prompt]
    evaluation_prompts: list[Prompt]
    evaluation_split: str
    demonstrations: list[Example]
    layout: Layout
    layout_reason: str
    prompt_cursor: SteadyCursor
    ptx_cursor: SteadyCursor | None
    moments: RunningMoments
    kl_controller: KLController
    progress: Progress


def load(attempt: RunContext[PPOConfig]) -> PPORun:
    """Models, prompts and counters of the run. Raises UserError for anything the user can put right."""
    config = attempt.options
    processes = Processes.start(config.runtime)
    rows = attempt.read_input("prompts", PROMPTS)
    train_rows = [row for row in rows if row["split"] == "train"]
    heldout_rows = [row for row in rows if row["split"] != "train"]
    if not train_rows:
        raise UserError(
            f"inputs/prompts: none of its {len(rows)} prompts has split 'train'; add prompts to train the policy on"
        )
    tokenizer = load_tokenizer(config.policy.source)
    policy = load_policy(config.policy.source, tokenizer)
    reference = load_reference(config.reference or config.policy.source, tokenizer)
    scorer = Scorer(
        config.reward_model_path,
        tokenizer,
        policy_batch=config.batch,
        batch=config.reward_batch or config.batch,
        runtime=config.runtime,
        processes=processes,
    )
    critic = load_critic(config, scorer, tokenizer)
    for trained in (policy, critic):
        require_positions(trained, config.batch.max_prompt_tokens + config.batch.max_response_tokens)
        if config.policy.gradient_checkpointing:
            trained.activation_checkpointing_enable({"use_reentrant": False})
    train_prompts = tokenized_prompts(train_rows, tokenizer, config.batch.max_prompt_tokens)
    scorer.settle_layout(train_prompts, config.rollout.samples_a_prompt)
    evaluation_prompts = tokenized_prompts(
        (heldout_rows or train_rows)[: config.watching.evaluation_prompts],
        tokenizer,
        config.batch.max_prompt_tokens,
    )
    layout, layout_reason = choose_layout(
        policy,
        probe_examples(train_prompts, config.rollout.samples_a_prompt),
        dtype=config.runtime.dtype,
        requested=config.batch.layout,
    )
    demonstrations = read_demonstrations(attempt, tokenizer)
    policy_engine, critic_engine = engines(config, policy, critic, processes)
    return PPORun(
        attempt=attempt,
        config=config,
        processes=processes,
        tokenizer=tokenizer,
        policy=policy_engine,
        critic=critic_engine,
        reference=Frozen(reference, config.runtime, processes.device),
        scorer=scorer,
        train_prompts=train_prompts,
        evaluation_prompts=evaluation_prompts,
        evaluation_split="heldout" if heldout_rows else "train",
        demonstrations=demonstrations,
        layout=layout,
        layout_reason=layout_reason,
        prompt_cursor=cursor(train_prompts, config.rollout.prompts_a_step, config.runtime.seed),
        ptx_cursor=cursor(
            demonstrations,
            config.algorithm.ptx_examples_a_minibatch or config.algorithm.responses_a_minibatch,
            config.runtime.seed + 1,
        )
        if demonstrations
        else None,
        moments=RunningMoments(),
        kl_controller=KLController(
            config.reward.kl_coefficient, config.reward.kl_target, config.reward.kl_rule
        ),
        progress=Progress(),
    )


def engines(config: PPOConfig, policy: Any, critic: Any, processes: Processes) -> tuple[Engine, Engine]:
    minibatches = math.ceil(config.rollout.responses_a_step / config.algorithm.responses_a_minibatch)
    updates = config.rollout.steps * config.algorithm.epochs * minibatches
    runtime, alone = config.runtime, config.critic.pretraining_updates
    return (
        Engine(
            policy,
            optimiser=config.policy_optimiser,
            steps_total=updates,
            runtime=runtime,
            processes=processes,
        ),
        Engine(
            critic,
            optimiser=config.critic_optimiser,
            steps_total=updates + alone,
            runtime=runtime,
            processes=processes,
        ),
    )


def load_critic(config: PPOConfig, scorer: Scorer, tokenizer: Any) -> Any:
    """A copy of the reward model, or the policy's trunk under a new head."""
    if config.critic.start == "policy":
        return load_reward_model(config.policy.source, tokenizer)
    if not scorer.same_tokenizer:
        raise UserError(
            "config.critic.start: the reward model has another tokenizer than the policy, so it cannot become the "
            "critic; set it to 'policy'"
        )
    return load_reward_model(ModelSource(path=config.reward_model_path), tokenizer)


def cursor(rows: Sequence[Any], rows_a_step: int, seed: int) -> SteadyCursor:
    # Steady: an optimiser like Adam makes an update of one prompt as large as one of many.
    return SteadyCursor(len(rows), seed=seed, examples_a_step=rows_a_step)


def read_demonstrations(attempt: RunContext[PPOConfig], tokenizer: Any) -> list[Example]:
    """Training demonstrations for the ptx loss; none when it is off."""
    config = attempt.options
    if config.algorithm.ptx_coefficient == 0:
        return []
    if not attempt.has_input("demonstrations"):
        raise UserError(
            f"config.algorithm.ptx_coefficient: {config.algorithm.ptx_coefficient} needs inputs/demonstrations; add "
            "demonstrations or set it to 0"
        )
    rows = attempt.read_input("demonstrations", DEMONSTRATIONS)
    examples = [
        Example(
            encode_prompt(tokenizer, row["prompt"], config.batch.max_prompt_tokens),
            [encode_response(tokenizer, row["response"], config.batch.max_response_tokens)],
        )
        for row in rows
        if row["split"] == "train"
    ]
    if not examples:
        raise UserError(
            "inputs/demonstrations: no row has split 'train'; the ptx loss has nothing to learn from"
        )
    return examples
