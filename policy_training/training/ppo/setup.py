"""What PPO builds before its first step: models, engines, prompts, samplers, and the counters a checkpoint keeps."""

from dataclasses import dataclass, field, replace
from typing import Any

from learning.batches.branch_attention import checkpoint_layers
from learning.batches.layout import choose_layout
from learning.batches.samplers import ContinuousBatchSampler, even_parts
from learning.checkpoints import DataclassState
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.options import UserError
from learning.interface.record_schemas import PROMPTS
from learning.interface.training_options import Layout, ModelSource
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.adapters import add_adapter
from learning.models.architectures import require_max_positions
from learning.models.loading import load_reward_model
from learning.models.sizes import role_sizes, sizes_as_rows
from learning.models.tokenizers import load_tokenizer
from learning.run_context import RunContext
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.micro_batches import ExperienceBuffer
from policy_training.training.ppo.policy_loss import PenaltyController
from policy_training.training.ppo.shared_base import SharedBase, base_of, load_policy_on, load_reference_on
from policy_training.training.ppo.shared_trunk import SharedCritic, attach_value_head
from policy_training.training.ppo.weight_average import WeightAverage
from policy_training.training.ptx import PtxMix, read_ptx_mix
from policy_training.training.rewards.function_calls import require_functions
from policy_training.training.rewards.sources import load_scorer, models_by_role
from policy_training.training.rollouts.rewards import KLController, RunningMoments
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Prompt,
    RolloutScorer,
    cut_notes,
    self_check_examples,
    tokenize_prompts,
)
from policy_training.training.servers.rollouts import RolloutServer, connect_rollout_server
from policy_training.training.supervised.demonstrations import Row, split_train


@dataclass
class TrainingState(DataclassState):
    """What a checkpoint keeps beside models, optimizers, samplers, moments and the KL coefficient."""

    policy_steps: int = 0
    critic_pretraining_updates: int = 0
    critic_losses: list[float] = field(default_factory=list)
    episodes: int = 0
    # The critic's raw output is on the reward model's scale; its value is (output - shift) / scale, fixed at the start.
    value_shift: float = 0.0
    value_scale: float = 1.0
    initial_evaluation: dict[str, Any] = field(default_factory=dict)  # before training
    initial_scores: list[float] = field(default_factory=list)  # of that evaluation, in ascending order
    seconds: float = 0.0
    stopped_at_kl: float | None = None  # the KL that ended the run before its steps


@dataclass
class PPOState:
    """Everything a step needs, built once."""

    context: RunContext[PPOConfig]
    config: PPOConfig
    distributed: DistributedContext
    tokenizer: Any
    policy: Engine
    critic: Engine | SharedCritic
    reference: FrozenModel
    scorer: RolloutScorer
    train_prompts: list[Prompt]
    evaluation_prompts: list[Prompt]
    evaluation_split: str
    layout: Layout
    layout_reason: str
    prompt_sampler: ContinuousBatchSampler
    ptx: PtxMix | None
    score_moments: RunningMoments
    kl_controller: KLController
    penalty_controller: PenaltyController
    progress: TrainingState
    weight_average: WeightAverage | None
    entropy_weight: float  # of the step's updates, in the policy's objective
    rollout_server: RolloutServer | None = None  # that samples the rollouts instead of the policy
    buffer: ExperienceBuffer = field(default_factory=ExperienceBuffer)


def build_state(context: RunContext[PPOConfig]) -> PPOState:
    """Models, prompts and counters of the run. Raises UserError for anything the user can put right."""
    config = context.options
    distributed = DistributedContext.start(config.runtime)
    train_rows, heldout_rows = read_prompts(context)
    watched = (heldout_rows or train_rows)[: config.evaluation.max_examples]
    require_functions(config.rewards.functions, [*train_rows, *watched], distributed)
    tokenizer = load_tokenizer(config.policy.source)
    base = base_of(config.policy, tokenizer)
    policy = load_policy_on(base, config.policy.source, tokenizer)
    reference = load_reference_on(base, config.reference or config.policy.source, tokenizer)
    scorer = load_scorer(
        context,
        tokenizer,
        distributed,
        load_model=load_reward_model if base is None else base.load_reward_model,
    )
    critic = load_critic(config, scorer, tokenizer, base)
    if critic is None:
        attach_value_head(policy)
    roles = {"policy": policy, "reference": reference, **({} if critic is None else {"critic": critic})}
    context.write_models(
        sizes_as_rows(role_sizes(roles | models_by_role(scorer), trained=("policy", "critic")))
    )
    # The first update of a step learns from passes of policy and critic that are in memory together.
    models = [policy] if critic is None else [policy, critic]
    config = replace(
        config, batch=resolve_micro_batch_tokens(context, distributed, config.batch, *models, graphs=2)
    )
    for model in models:
        require_max_positions(model, config.batch.max_sequence_tokens)
        if config.policy.gradient_checkpointing:
            checkpoint_layers(model)
    train_prompts = tokenize_prompts(train_rows, tokenizer, config.batch.max_prompt_tokens)
    context.set_status(notes=cut_notes(train_prompts, config.batch.max_prompt_tokens))
    scorer.choose_layout(train_prompts, config.rollout.samples_per_prompt)
    evaluation_prompts = tokenize_prompts(watched, tokenizer, config.batch.max_prompt_tokens)
    layout, layout_reason = choose_layout(
        policy,
        self_check_examples(train_prompts, config.rollout.samples_per_prompt),
        dtype=config.runtime.dtype,
        requested=config.batch.layout,
    )
    ptx = read_ptx_mix(context, tokenizer)
    # Of constant size: an optimizer like Adam makes an update of one prompt as large as one of many.
    prompt_sampler = ContinuousBatchSampler(
        len(train_prompts), seed=config.runtime.seed, examples_per_step=config.rollout.prompts_per_step
    )
    steps = config.rollout.steps_over(len(train_prompts), prompts_per_step=prompt_sampler.examples_per_step)
    config = replace(config, rollout=replace(config.rollout, steps=steps))
    policy_engine, critic_engine = build_engines(
        config, policy, critic, distributed, prompts_per_step=prompt_sampler.examples_per_step
    )
    return PPOState(
        context=context,
        config=config,
        distributed=distributed,
        tokenizer=tokenizer,
        policy=policy_engine,
        critic=critic_engine,
        reference=FrozenModel(reference, config.runtime, distributed.device),
        scorer=scorer,
        train_prompts=train_prompts,
        evaluation_prompts=evaluation_prompts,
        evaluation_split="heldout" if heldout_rows else "train",
        layout=layout,
        layout_reason=layout_reason,
        prompt_sampler=prompt_sampler,
        ptx=ptx,
        score_moments=RunningMoments(),
        kl_controller=KLController(
            config.reward.kl_coefficient, config.reward.kl_target, config.reward.kl_controller
        ),
        penalty_controller=PenaltyController(
            config.policy_loss.kl_penalty_coefficient, config.policy_loss.kl_penalty_target
        ),
        progress=TrainingState(),
        weight_average=WeightAverage(policy, config.ema_decay) if config.ema_decay is not None else None,
        entropy_weight=config.policy_loss.entropy_coefficient,
        rollout_server=connect_rollout_server(context, config, tokenizer, distributed),
        buffer=ExperienceBuffer(
            config.algorithm.buffer_steps,
            layout=layout,
            pad_id=tokenizer.pad_token_id,
            device=distributed.device,
        ),
    )


def read_prompts(context: RunContext[Any]) -> tuple[list[Row], list[Row]]:
    """(those to roll out, those that are held out). Raises UserError."""
    rows = context.read_input("prompts", PROMPTS)
    train_rows, heldout_rows = split_train(rows)
    if not train_rows:
        raise UserError(
            f"inputs/prompts: none of its {len(rows)} prompts has split 'train'; add prompts to train the policy on"
        )
    return train_rows, heldout_rows


def build_engines(
    config: PPOConfig, policy: Any, critic: Any, distributed: DistributedContext, *, prompts_per_step: int
) -> tuple[Engine, Engine | SharedCritic]:
    """Policy and critic (None: the policy's own value head). Their schedules end with the last update of
    `prompts_per_step` prompts a step: how many there are, which may be fewer than the config asks for.
    """
    prompts_per_minibatch = config.algorithm.responses_per_minibatch // config.rollout.samples_per_prompt
    minibatches = len(even_parts(prompts_per_step, prompts_per_minibatch))
    # A step learns from its own minibatches and from those of the steps before it that the buffer has.
    kept = min(config.algorithm.buffer_steps, config.rollout.steps)
    taken = config.rollout.steps * kept - kept * (kept - 1) // 2
    updates = taken * config.algorithm.ppo_epochs * minibatches
    runtime, pretraining_updates = config.runtime, config.critic.max_pretraining_updates
    policy_engine = Engine(
        policy,
        optimizer=config.policy_optimizer,
        steps_total=updates,
        runtime=runtime,
        distributed=distributed,
    )
    if critic is None:
        return policy_engine, SharedCritic(policy_engine, config.critic.shared_value_coefficient)
    critic_engine = Engine(
        critic,
        optimizer=config.critic_optimizer,
        steps_total=updates + pretraining_updates,
        runtime=runtime,
        distributed=distributed,
    )
    return policy_engine, critic_engine


def load_critic(config: PPOConfig, scorer: RolloutScorer, tokenizer: Any, base: SharedBase | None) -> Any:
    """A copy of the reward model, or the policy's or reference's trunk under a new head. None: the policy itself."""
    if config.critic.init_from == "shared":
        return None
    reference = config.reference or config.policy.source
    own = config.policy.source if config.critic.init_from == "policy" else reference
    if base is not None and config.critic.init_from != "reward_model" and own == base.source:
        return base.critic()
    if config.critic.init_from == "policy":
        return load_reward_model(config.policy.source, tokenizer)
    if config.critic.init_from == "reference":
        critic = load_reward_model(reference, tokenizer)
        if base is not None:
            add_adapter(critic, base.lora, reference)
        return critic
    if not scorer.same_tokenizer:
        raise UserError(
            "config.critic.init_from: the reward model has another tokenizer than the policy, so it cannot become the "
            "critic; set it to 'policy'"
        )
    source = ModelSource(path=config.reward_model_path)
    if base is None:
        return load_reward_model(source, tokenizer)
    return base.critic(source, scorer.reward_model.model, tokenizer)
