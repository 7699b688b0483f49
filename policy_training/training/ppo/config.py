"""Options of PPO. Light: no torch, so that the web process may build them."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from learning.interface.options import added_option
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    LoraOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    require_at_least,
)
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.config import SamplingOptions
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.rollouts.config import (
    ImportanceOptions,
    RolloutServerOptions,
    require_possible_ptx,
)


@dataclass(frozen=True, kw_only=True)
class RolloutOptions:
    steps: int = 100  # of rollouts and updates, critic pre-training not counted
    passes: float | None = None  # over the training prompts; when given, it says how many steps there are
    # Nats a response, to the reference: the run ends with the step whose responses are so far away. None: never.
    stop_at_kl: float | None = added_option(None, before=None)
    prompts_per_step: int = (
        32  # times samples_per_prompt: the buffer of responses that a step's updates learn from
    )
    samples_per_prompt: int = 4
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    # Of the probabilities that are trained, and measured by evaluations. None: the temperature that responses are drawn
    # at; another one needs importance weights.
    policy_temperature: float | None = added_option(None, before=None)
    server: RolloutServerOptions = added_option(RolloutServerOptions(), before=RolloutServerOptions())
    importance: ImportanceOptions = added_option(ImportanceOptions(), before=ImportanceOptions())

    def __post_init__(self) -> None:
        for name in ("steps", "prompts_per_step", "samples_per_prompt"):
            require_at_least(name, getattr(self, name), 1)
        if self.passes is not None and self.passes <= 0:
            raise ValueError(f"passes must be positive, found {self.passes}")
        if self.stop_at_kl is not None and self.stop_at_kl <= 0:
            raise ValueError(f"stop_at_kl must be positive, found {self.stop_at_kl}")
        try:
            self.sampling.require_untruncated()
        except ValueError as problem:
            raise ValueError(f"sampling.{problem}") from None
        self._require_the_same_probabilities()

    def _require_the_same_probabilities(self) -> None:
        """Of sampler and trained policy, unless weights make up for what differs. Raises ValueError."""
        own, drawn = self.policy_temperature, self.sampling.temperature
        if own is not None and not 0.0 < own < math.inf:
            raise ValueError(f"policy_temperature must be a positive number, found {own}")
        weighted = self.importance.weights != "none"
        if own is not None and own != drawn and not weighted:
            raise ValueError(
                f"policy_temperature is {own} and sampling.temperature {drawn}: set importance.weights, so that "
                "responses count by what the trained policy would have drawn, or make the two equal"
            )
        if not self.server.name:
            return
        if drawn != 1.0 and not self.server.logprobs_at_temperature:
            raise ValueError(
                f"sampling.temperature is {drawn}, and servers say log-probabilities at 1 unless told otherwise: set "
                "server.logprobs_at_temperature where this one says those it draws with, or the temperature to 1"
            )
        if self.server.weights == "start" and not weighted:
            raise ValueError(
                "server.weights is 'start': the policy moves away from what the server samples, so set "
                "importance.weights, or server.weights to 'each_step'"
            )

    @property
    def trained_temperature(self) -> float:
        return self.sampling.temperature if self.policy_temperature is None else self.policy_temperature

    @property
    def measures_mismatch(self) -> bool:
        """Whether the sampler's log-probs may differ from the trained policy's by more than rounding."""
        return bool(self.server.name) or self.importance.weights != "none"

    def steps_over(self, prompts: int, *, prompts_per_step: int) -> int:
        """Of a run on so many training prompts, taken so many a step: the last pass is carried to its end."""
        return self.steps if self.passes is None else math.ceil(self.passes * prompts / prompts_per_step)

    def is_far_enough(self, kl: float) -> bool:
        """Whether a step with this mean KL is the run's last."""
        return self.stop_at_kl is not None and kl >= self.stop_at_kl

    @property
    def responses_per_step(self) -> int:
        return self.prompts_per_step * self.samples_per_prompt


@dataclass(frozen=True, kw_only=True)
class RewardOptions:
    """From the reward model's score to the policy's token rewards, in this order.

    missing-EOS rule `replace` -> normalize or scale by the moments of all scores so far -> clip -> missing-EOS rule
    `subtract` -> per-token KL to the reference.
    """

    normalize: bool = True  # less the mean, divided by the standard deviation
    # Instead of normalize: divided by the standard deviation alone, the mean stays (Secrets of RLHF I, 5.3.1).
    scale: bool = False
    clip_range: float | None = 0.8  # in standard deviations; None: no clip; read with normalize or scale
    missing_eos_rule: Literal["off", "replace", "subtract"] = "off"
    missing_eos_score: float = -1.0  # `replace`: the raw score; `subtract`: added to the normalised one
    kl_coefficient: float = 0.05
    kl_target: float | None = None  # nats a response; None: the coefficient is fixed
    kl_controller: Literal["ziegler_paper", "ziegler_code"] = "ziegler_code"

    def __post_init__(self) -> None:
        if self.clip_range is not None and self.clip_range <= 0:
            raise ValueError(f"clip_range must be positive, found {self.clip_range}")
        if self.normalize and self.scale:
            raise ValueError("scale takes the place of normalize: set normalize to false, or leave scale out")
        if self.missing_eos_rule == "subtract" and self.missing_eos_score > 0:
            raise ValueError(
                f"missing_eos_score must not be positive with 'subtract', found {self.missing_eos_score}"
            )
        if self.kl_coefficient < 0:
            raise ValueError(f"kl_coefficient must be at least 0, found {self.kl_coefficient}")
        if self.kl_target is not None and self.kl_target <= 0:
            raise ValueError(f"kl_target must be positive, found {self.kl_target}")


@dataclass(frozen=True, kw_only=True)
class AlgorithmOptions:
    """Advantages and the PPO update."""

    responses_per_minibatch: int = 32
    ppo_epochs: int = 1  # passes over the rollouts of a step
    # Steps whose rollouts an update learns from, its own among them: 1 its own alone, 2 those of the step before too,
    # each by its ratio to the policy that sampled it.
    buffer_steps: int = added_option(1, before=1)
    clip_range: float | None = 0.2  # None: the importance-sampled objective as it is
    clip_range_value: float | None = 0.2
    gamma: float = 1.0
    gae_lambda: float = 0.95
    # Of the critic's targets. None: gae_lambda, so that they are advantage + value; 1: rewards-to-go.
    gae_lambda_value: float | None = None
    whiten_advantages: bool = False
    whitening_scope: Literal["step", "minibatch"] = (
        "step"  # whose mean and variance; read only with whitening
    )
    advantage_clip: float | None = None  # in standard deviations, after whitening; None: no clip
    # Nats a token to the sampling policy: above it the step's remaining updates are skipped. None: never.
    target_kl: float | None = None
    # Times the mean loss of the mixed-in tokens, in the same optimizer step.
    ptx_coefficient: float = 0.0
    # Of the mixed-in examples: 1 is pretraining texts only (every token counts), 0 demonstrations only (response tokens
    # count).
    ptx_texts_share: float = 0.0
    # Mixed-in examples to each response of a minibatch, of a small one too (InstructGPT, C.4: 8). None: 1, unless
    # ptx_examples_per_minibatch is given.
    ptx_examples_per_response: float | None = added_option(None, before=None)
    # Or so many a minibatch, however few responses it has; 0: as many as responses_per_minibatch says. None: by its
    # responses.
    ptx_examples_per_minibatch: int | None = None

    def __post_init__(self) -> None:
        for name in ("responses_per_minibatch", "ppo_epochs", "buffer_steps"):
            require_at_least(name, getattr(self, name), 1)
        for name in ("gamma", "gae_lambda", "gae_lambda_value"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, found {value}")
        if self.clip_range is not None and not 0.0 < self.clip_range < 1.0:
            raise ValueError(
                f"clip_range must be between 0 and 1, or null for no clip, found {self.clip_range}"
            )
        if self.advantage_clip is not None and not self.whiten_advantages:
            raise ValueError("advantage_clip is in standard deviations: it needs whiten_advantages")
        for name in ("clip_range_value", "advantage_clip", "target_kl"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, found {value}")
        require_possible_ptx(self)


@dataclass(frozen=True, kw_only=True)
class PolicyLossOptions:
    """What an update of the policy minimises, beside the ratio clip (algorithm.clip_range) and the ptx loss."""

    # ratio: of the present policy's probability to the old policy's, times the advantage (PPO). log_probability: times
    # the advantage (A2C): nothing knows how far the policy has moved since it sampled.
    objective: Literal["ratio", "log_probability"] = "ratio"
    # Whose probability is below the ratio's line: of the policy that sampled, or of the fixed reference (Secrets of
    # RLHF I, 5.3.2).
    old_policy: Literal["sampling", "reference"] = "sampling"
    # PPO-penalty: times KL(policy that sampled || present policy), nats a token; 0: off.
    kl_penalty_coefficient: float = 0.0
    # Nats a token: after a step above 1.5 times it the coefficient is doubled, below 1/1.5 of it halved. None: fixed.
    kl_penalty_target: float | None = None
    entropy_coefficient: float = 0.0  # of the bonus, per token; 0: off
    entropy_threshold: float | None = (
        None  # nats a token, of a step's responses; None: the bonus is always on
    )
    # At and above the threshold the bonus is off (raise_below), or lowers the entropy (hold_at).
    entropy_rule: Literal["raise_below", "hold_at"] = "raise_below"

    def __post_init__(self) -> None:
        for name in ("kl_penalty_coefficient", "entropy_coefficient"):
            require_at_least(name, getattr(self, name), 0)
        for name, needs in (
            ("kl_penalty_target", "kl_penalty_coefficient"),
            ("entropy_threshold", "entropy_coefficient"),
        ):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, found {value}")
            if value is not None and getattr(self, needs) == 0:
                raise ValueError(f"{name} is {value}, but {needs} is 0: give it too, or leave {name} out")
        if self.entropy_rule == "hold_at" and self.entropy_threshold is None:
            raise ValueError("entropy_rule 'hold_at' needs an entropy_threshold")
        if self.objective == "log_probability" and self.old_policy == "reference":
            raise ValueError("old_policy 'reference' belongs to objective 'ratio', found 'log_probability'")


@dataclass(frozen=True, kw_only=True)
class CriticOptions:
    """The critic is pre-trained before the policy's first update, until its loss falls by less than the share
    `plateau_min_improvement` from one `plateau_window` of updates to the next, or is below a threshold.
    """

    # policy and reference: their trunk under a new head. shared: the policy's own trunk, which learns both in one step.
    init_from: Literal["reward_model", "policy", "reference", "shared"] = "reward_model"
    shared_value_coefficient: float = 1.0  # times the value loss, beside the policy's; read with `shared`
    max_pretraining_updates: int = 50  # 0: none
    # Mean loss over a plateau_window below which pre-training ends; None: it ends when the loss is flat.
    pretraining_loss_threshold: float | None = None
    plateau_window: int = 10
    plateau_min_improvement: float = 0.01

    def __post_init__(self) -> None:
        require_at_least("max_pretraining_updates", self.max_pretraining_updates, 0)
        require_at_least("plateau_window", self.plateau_window, 1)
        if self.shared_value_coefficient <= 0:
            raise ValueError(
                f"shared_value_coefficient must be positive, found {self.shared_value_coefficient}"
            )
        if self.init_from == "shared" and self.max_pretraining_updates:
            raise ValueError(
                f"max_pretraining_updates is {self.max_pretraining_updates}, and a critic on the policy's own trunk "
                "cannot be trained without it: set it to 0"
            )
        threshold = self.pretraining_loss_threshold
        if threshold is not None and threshold <= 0:
            raise ValueError(f"pretraining_loss_threshold must be positive, found {threshold}")
        if not 0.0 <= self.plateau_min_improvement < 1.0:
            raise ValueError(
                f"plateau_min_improvement must be at least 0 and below 1, found {self.plateau_min_improvement}"
            )


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    policy: ModelOptions
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    policy_optimizer: OptimizerOptions
    critic_optimizer: OptimizerOptions
    reference: ModelSource | None = None  # None: the policy as it is at the start
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_model_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    rollout: RolloutOptions = field(default_factory=RolloutOptions)
    reward: RewardOptions = field(default_factory=RewardOptions)
    rewards: RewardSourcesOptions = field(default_factory=RewardSourcesOptions)
    algorithm: AlgorithmOptions = field(default_factory=AlgorithmOptions)
    policy_loss: PolicyLossOptions = field(default_factory=PolicyLossOptions)
    critic: CriticOptions = field(default_factory=CriticOptions)
    alarms: AlarmOptions = field(default_factory=AlarmOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    # Of a moving average of the policy's weights, per optimizer step; it is what is saved. None: the last weights are.
    ema_decay: float | None = None
    preset: str = ""

    def __post_init__(self) -> None:
        require_at_least("evaluation.max_examples", self.evaluation.max_examples, 1)
        if self.ema_decay is not None and not 0.0 < self.ema_decay < 1.0:
            raise ValueError(f"ema_decay must be between 0 and 1, or null, found {self.ema_decay}")
        if self.ema_decay is not None and self.runtime.zero_stage == 3:
            raise ValueError("ema_decay needs whole weights in every process: use a zero_stage below 3")
        if self.rewards.whiten and (self.reward.normalize or self.reward.scale):
            raise ValueError(
                "rewards.whiten takes the place of reward.normalize and reward.scale; set these to false"
            )
        if self.critic.init_from == "shared" and self.runtime.zero_stage == 3:
            raise ValueError(
                "critic.init_from 'shared' needs whole weights in every process: use a zero_stage below 3"
            )
        if self.policy.lora.rank and self.runtime.zero_stage == 3:
            raise ValueError(
                "policy.lora needs whole weights in every process, which several models share: use a zero_stage below 3"
            )
        n = self.rollout.samples_per_prompt
        if self.algorithm.responses_per_minibatch % n:
            raise ValueError(
                f"algorithm.responses_per_minibatch {self.algorithm.responses_per_minibatch} must be a multiple of "
                f"rollout.samples_per_prompt {n}: the responses of a prompt are updated together"
            )
        if self.algorithm.buffer_steps > 1:
            self._require_ratios_to_earlier_policies()
        if self.policy_loss.objective == "log_probability" and self.algorithm.clip_range is not None:
            raise ValueError(
                f"algorithm.clip_range is {self.algorithm.clip_range}, and policy_loss.objective 'log_probability' has "
                "no ratio to clip: set it to null"
            )
        if self.policy.dropout:
            raise ValueError(
                f"policy.dropout is {self.policy.dropout}; PPO needs 0, or the first ratio is not 1"
            )

    def _require_ratios_to_earlier_policies(self) -> None:
        """Of rollouts that an earlier policy sampled."""
        steps = self.algorithm.buffer_steps
        if self.policy_loss.objective == "log_probability" or self.policy_loss.old_policy == "reference":
            raise ValueError(
                f"algorithm.buffer_steps is {steps}, and rollouts of earlier steps need the ratio to the policy that "
                "sampled them: set policy_loss.objective to 'ratio' and policy_loss.old_policy to 'sampling'"
            )
        if self.algorithm.target_kl is not None:
            raise ValueError(
                f"algorithm.target_kl is {self.algorithm.target_kl}, and with algorithm.buffer_steps {steps} the "
                "policy is several steps away from some that sampled: set target_kl to null"
            )


@dataclass(frozen=True, kw_only=True)
class PPOPreset:
    name: str
    source: str  # where to read about it
    policy_optimizer: OptimizerOptions
    critic_optimizer: OptimizerOptions
    rollout: RolloutOptions
    reward: RewardOptions
    algorithm: AlgorithmOptions
    rewards: RewardSourcesOptions = field(default_factory=RewardSourcesOptions)
    policy_loss: PolicyLossOptions = field(default_factory=PolicyLossOptions)
    critic: CriticOptions = field(default_factory=CriticOptions)
    ema_decay: float | None = None
    lora: LoraOptions = field(default_factory=LoraOptions)
    gradient_checkpointing: bool = False
    batch: BatchOptions = field(default_factory=BatchOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def config(
        self,
        policy: ModelSource,
        reward_model_path: str,
        *,
        steps: int | None = None,
        reference: ModelSource | None = None,
        runtime: RuntimeOptions | None = None,
    ) -> PPOConfig:
        """`steps` replaces the preset's number of PPO steps."""
        return PPOConfig(
            policy=ModelOptions(
                source=policy, lora=self.lora, gradient_checkpointing=self.gradient_checkpointing
            ),
            reward_model_path=reward_model_path,
            reference=reference,
            policy_optimizer=self.policy_optimizer,
            critic_optimizer=self.critic_optimizer,
            batch=self.batch,
            rollout=self.rollout if steps is None else replace(self.rollout, steps=steps),
            reward=self.reward,
            rewards=self.rewards,
            algorithm=self.algorithm,
            policy_loss=self.policy_loss,
            critic=self.critic,
            ema_decay=self.ema_decay,
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
        )
