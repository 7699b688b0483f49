"""Options of the critic-free policy gradients (REINFORCE, RLOO, GRPO). Light: no torch."""

from dataclasses import dataclass, field
from typing import Literal

from learning.interface.options import added_option
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    require_at_least,
)
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.ppo.config import RewardOptions, RolloutOptions
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.rollouts.config import require_possible_ptx


@dataclass(frozen=True, kw_only=True)
class PolicyGradientOptions:
    """What a token's log-probability is multiplied by, and how an update counts tokens and responses.

    A response's return is its processed score less the KL penalty (reward.kl_coefficient) of all its tokens.
    """

    # return: of the whole response; reward_to_go: from the token on; leave_one_out: the return less the mean of the
    # prompt's other responses (RLOO); group_standardized: less the mean of all the prompt's responses, divided by
    # their standard deviation (GRPO).
    advantage: Literal["return", "reward_to_go", "leave_one_out", "group_standardized"] = "return"
    baseline: Literal["none", "batch_mean"] = (
        "batch_mean"  # of return and reward_to_go: the step's mean return
    )
    # log_probability: no importance sampling; ratio: to the policy that sampled, for several updates on one sample.
    objective: Literal["log_probability", "ratio"] = "log_probability"
    clip_range: float | None = None  # of the ratio; None: no clip
    # responses: a response counts by the sum over its tokens, its whole log-likelihood; tokens_of_each: by their mean;
    # tokens: all tokens of an update count alike.
    averaging: Literal["responses", "tokens_of_each", "tokens"] = "responses"
    kl_loss_coefficient: float = 0.0  # times the KL to the reference in the loss, by the estimator k3 (GRPO)
    responses_per_minibatch: int = 128
    epochs: int = 1  # passes over the rollouts of a step
    # Times the mean loss of the mixed-in tokens, in the same optimizer step.
    ptx_coefficient: float = added_option(0.0, before=0.0)
    # Of the mixed-in examples: 1 is pretraining texts only (every token counts), 0 demonstrations only (response tokens
    # count).
    ptx_texts_share: float = added_option(0.0, before=0.0)
    # Mixed-in examples to each response of a minibatch, of a small one too (InstructGPT, C.4: 8). None: 1, unless
    # ptx_examples_per_minibatch is given.
    ptx_examples_per_response: float | None = added_option(None, before=None)
    # Or so many a minibatch, however few responses it has; 0: as many as responses_per_minibatch says. None: by its
    # responses.
    ptx_examples_per_minibatch: int | None = added_option(None, before=None)

    def __post_init__(self) -> None:
        for name in ("responses_per_minibatch", "epochs"):
            require_at_least(name, getattr(self, name), 1)
        require_at_least("kl_loss_coefficient", self.kl_loss_coefficient, 0)
        require_possible_ptx(self)
        if self.clip_range is not None:
            if self.objective != "ratio":
                raise ValueError(
                    f"clip_range is {self.clip_range}, and objective {self.objective!r} has no ratio"
                )
            if not 0.0 < self.clip_range < 1.0:
                raise ValueError(
                    f"clip_range must be between 0 and 1, or null for no clip, found {self.clip_range}"
                )

    @property
    def compares_within_prompts(self) -> bool:
        return self.advantage in ("leave_one_out", "group_standardized")


@dataclass(frozen=True, kw_only=True)
class PolicyGradientConfig:
    policy: ModelOptions
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    policy_optimizer: OptimizerOptions
    reference: ModelSource | None = None  # None: the policy as it is at the start
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_model_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    rollout: RolloutOptions = field(default_factory=RolloutOptions)
    reward: RewardOptions = field(default_factory=RewardOptions)
    rewards: RewardSourcesOptions = field(default_factory=RewardSourcesOptions)
    algorithm: PolicyGradientOptions = field(default_factory=PolicyGradientOptions)
    alarms: AlarmOptions = field(default_factory=AlarmOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        require_at_least("evaluation.max_examples", self.evaluation.max_examples, 1)
        if self.rewards.whiten and (self.reward.normalize or self.reward.scale):
            raise ValueError(
                "rewards.whiten takes the place of reward.normalize and reward.scale; set these to false"
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
        if self.algorithm.compares_within_prompts and n < 2:
            raise ValueError(
                f"rollout.samples_per_prompt {n}: advantage {self.algorithm.advantage!r} compares the responses of a "
                "prompt, so sample at least 2"
            )
        if self.policy.dropout:
            raise ValueError(f"policy.dropout is {self.policy.dropout}; a policy gradient needs 0")
