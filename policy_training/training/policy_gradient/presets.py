"""Named values for REINFORCE, RLOO and GRPO, each with its source. Light: no torch.

"ours" marks what the source does not publish; how often it evaluates while it trains, none does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.policy_gradient.config import PolicyGradientConfig, PolicyGradientOptions
from policy_training.training.ppo.config import RewardOptions, RolloutOptions


@dataclass(frozen=True, kw_only=True)
class PolicyGradientPreset:
    name: str
    source: str  # where to read about it
    policy_optimizer: OptimizerOptions
    rollout: RolloutOptions
    reward: RewardOptions
    algorithm: PolicyGradientOptions
    batch: BatchOptions = field(default_factory=BatchOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def config(
        self, source: ModelSource, reward_model_path: str, *, runtime: RuntimeOptions | None = None
    ) -> PolicyGradientConfig:
        return PolicyGradientConfig(
            policy=ModelOptions(source=source),
            reward_model_path=reward_model_path,
            policy_optimizer=self.policy_optimizer,
            rollout=self.rollout,
            reward=self.reward,
            algorithm=self.algorithm,
            batch=self.batch,
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
        )


REINFORCE = PolicyGradientPreset(
    name="reinforce",
    source="REINFORCE (Williams 1992): the whole response's log-likelihood times the centred return",
    policy_optimizer=OptimizerOptions(
        learning_rate=1e-6,  # ours
        schedule="constant",  # ours
    ),
    rollout=RolloutOptions(
        steps=1000,  # ours
        prompts_per_step=128,  # ours
        samples_per_prompt=1,  # one response a prompt
    ),
    reward=RewardOptions(
        normalize=False,  # the centred return takes the place of it
        clip_range=None,  # ours
        kl_coefficient=0.05,  # ours
    ),
    algorithm=PolicyGradientOptions(
        advantage="return",  # Secrets of RLHF I, equation 5, first form
        baseline="batch_mean",  # the return, centred
        objective="log_probability",  # Williams 1992
        averaging="responses",  # the sum over a response's tokens
        responses_per_minibatch=128,  # one update a step
    ),
    evaluation=EvaluationOptions(evaluate_every_steps=100),  # ours: every tenth of the steps
)

RLOO = PolicyGradientPreset(
    name="rloo",
    source="RLOO (Ahmadian et al. 2024, Back to Basics, arXiv 2402.14740), 2.3 and 3; C for TL;DR",
    policy_optimizer=OptimizerOptions(
        learning_rate=1e-6,  # C
        schedule="constant",  # C
        warmup_ratio=0.03,  # C: of the steps, linear
    ),
    rollout=RolloutOptions(
        steps=600,  # C
        prompts_per_step=128,  # C: 512 responses a step
        samples_per_prompt=4,  # section 5: k = 2 and 4
    ),
    reward=RewardOptions(
        normalize=False,  # 2.1: the score less the KL alone
        clip_range=None,  # 2.1
        kl_coefficient=0.03,  # C; 0.10 for Anthropic HH
    ),
    algorithm=PolicyGradientOptions(
        advantage="leave_one_out",  # 2.3
        objective="log_probability",  # 2.3; 3.2: no ratio, no clip
        averaging="responses",  # 3.3: the whole response is one action
        responses_per_minibatch=256,  # C: two updates a step
    ),
    evaluation=EvaluationOptions(evaluate_every_steps=60),  # ours: every tenth of the steps
)

GRPO = PolicyGradientPreset(
    name="grpo",
    source="GRPO (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300), 4.1 and 4.2",
    policy_optimizer=OptimizerOptions(
        learning_rate=1e-6,  # 4.2
        schedule="constant",  # ours
    ),
    rollout=RolloutOptions(
        steps=1000,  # ours
        prompts_per_step=16,  # 4.2: 1024 responses a step, 64 of each prompt
        samples_per_prompt=64,  # 4.2
    ),
    reward=RewardOptions(
        normalize=False,  # 4.1.2: by the group instead
        clip_range=None,  # 4.1
        kl_coefficient=0.0,  # 4.1.1: the KL stands in the loss
    ),
    algorithm=PolicyGradientOptions(
        advantage="group_standardized",  # 4.1.2
        objective="ratio",  # equation 3
        clip_range=0.2,  # ours
        averaging="tokens_of_each",  # equation 3
        kl_loss_coefficient=0.04,  # 4.2
        responses_per_minibatch=1024,  # 4.2: one update a step
    ),
    batch=BatchOptions(
        max_prompt_tokens=512,  # ours
        max_response_tokens=1024,  # 4.2
    ),
    evaluation=EvaluationOptions(evaluate_every_steps=100),  # ours: every tenth of the steps
)

TINY = PolicyGradientPreset(
    name="tiny",
    source="ours: RLOO for models of about one million parameters, one or two CPU cores",
    policy_optimizer=OptimizerOptions(
        learning_rate=3e-4,  # ours
        schedule="linear",  # ours
        min_lr_ratio=0.1,  # ours
    ),
    rollout=RolloutOptions(
        steps=60,  # ours
        prompts_per_step=32,  # ours
        samples_per_prompt=4,  # ours
    ),
    reward=RewardOptions(
        normalize=True,  # ours: of rewards that are far from unit size too
        clip_range=3.0,  # ours
        kl_coefficient=0.05,  # ours
    ),
    algorithm=PolicyGradientOptions(
        advantage="leave_one_out",  # as RLOO
        responses_per_minibatch=128,  # one update a step
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours
        max_response_tokens=96,  # ours
    ),
    evaluation=EvaluationOptions(
        evaluate_every_steps=20,  # ours
        max_examples=64,  # ours
    ),
)

POLICY_GRADIENT_PRESETS: Mapping[str, PolicyGradientPreset] = {
    preset.name: preset for preset in (REINFORCE, RLOO, GRPO, TINY)
}
