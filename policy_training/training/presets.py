"""Named values for policy training, each with its source. Light: no torch.

"ours" marks what the source does not publish. A preset leaves open which models it starts from, how long PPO
runs, and the machine. What a source asks for and these recipes do not have is said at the preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    TokenizerOptions,
)
from policy_training.training.config import (
    AlgorithmOptions,
    CriticOptions,
    LanguageModelConfig,
    LanguageModelDataOptions,
    PPOConfig,
    RewardOptions,
    RolloutOptions,
    SamplingOptions,
)


@dataclass(frozen=True, kw_only=True)
class LanguageModelPreset:
    name: str
    source: str  # where to read about it
    optimizer: OptimizerOptions
    data: LanguageModelDataOptions = field(default_factory=LanguageModelDataOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    dropout: float = 0.0
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def config(
        self,
        source: ModelSource,
        *,
        runtime: RuntimeOptions | None = None,
        tokenizer: TokenizerOptions | None = None,
    ) -> LanguageModelConfig:
        return LanguageModelConfig(
            model=ModelOptions(source=source, dropout=self.dropout),
            optimizer=self.optimizer,
            batch=self.batch,
            data=self.data,
            tokenizer=tokenizer or TokenizerOptions(),
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
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
    critic: CriticOptions = field(default_factory=CriticOptions)
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
            policy=ModelOptions(source=policy),
            reward_model_path=reward_model_path,
            reference=reference,
            policy_optimizer=self.policy_optimizer,
            critic_optimizer=self.critic_optimizer,
            batch=self.batch,
            rollout=self.rollout if steps is None else replace(self.rollout, steps=steps),
            reward=self.reward,
            algorithm=self.algorithm,
            critic=self.critic,
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
        )


SFT_SECRETS = LanguageModelPreset(
    name="sft_secrets",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.1",
    optimizer=OptimizerOptions(
        learning_rate=9.5e-6,  # 5.1
        schedule="cosine",  # 5.1
        min_lr_ratio=0.1,  # 5.1: to 10 % of the peak
    ),
    data=LanguageModelDataOptions(
        epochs=2,  # 5.1
        examples_per_step=1024,  # 5.1
    ),
)

SFT_LLAMA2 = LanguageModelPreset(
    name="sft_llama2",
    source="Llama 2 (Touvron et al. 2023), 3.1",
    optimizer=OptimizerOptions(
        learning_rate=2e-5,  # 3.1
        schedule="cosine",  # 3.1
        min_lr_ratio=0.1,  # 2.2: down to 10 % of the peak
        beta1=0.9,  # 2.2
        beta2=0.95,  # 2.2
        epsilon=1e-5,  # 2.2
        weight_decay=0.1,  # 3.1
        max_grad_norm=1.0,  # 2.2
    ),
    data=LanguageModelDataOptions(
        packing=True,  # 3.1: concatenated to full sequences (here none is cut, and neighbours are masked)
        max_length=4096,  # 3.1
        epochs=2,  # 3.1
        examples_per_step=64,  # 3.1
    ),
    batch=BatchOptions(
        max_prompt_tokens=2048,  # ours
        max_response_tokens=2048,  # ours
        max_micro_batch_tokens=8192,  # ours
    ),
)

SFT_INSTRUCTGPT = LanguageModelPreset(
    name="sft_instructgpt",
    source="InstructGPT (Ouyang et al. 2022), C.1; its choice of the best epoch by reward model is left to the caller",
    optimizer=OptimizerOptions(
        learning_rate=9.65e-6,  # C.1 for 1.3B and 6B; 5.03e-6 for 175B
        schedule="cosine",  # C.1
        min_lr_ratio=0.1,  # C.1
    ),
    data=LanguageModelDataOptions(
        epochs=16,  # C.1
        examples_per_step=32,  # C.1 for 1.3B and 6B; 8 for 175B
    ),
    dropout=0.2,  # C.1: residual dropout; ours sets every dropout the architecture has (Llama: that of attention)
)

SFT_TINY = LanguageModelPreset(
    name="tiny",
    source="ours: models of about one million parameters from scratch, a dialogue a row, one or two CPU cores",
    optimizer=OptimizerOptions(
        learning_rate=4e-3,  # ours
        schedule="cosine",  # ours
        min_lr_ratio=0.05,  # ours
        warmup_steps=20,  # ours
        weight_decay=0.01,  # ours
    ),
    data=LanguageModelDataOptions(
        packing=False,  # ours: learns faster than packed rows at this size
        examples_per_step=48,  # ours
        steps=400,  # ours
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours
        max_response_tokens=192,  # ours
        max_micro_batch_tokens=1024,  # ours: rows of like length together; 4096 pads a third more
    ),
    evaluation=EvaluationOptions(
        evaluate_every_steps=100,  # ours
        max_examples=96,  # ours
    ),
)

PPO_MAX = PPOPreset(
    name="ppo_max",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.1, 5.3, 5.4, B.1 (the paper; the authors' code deviates)",
    policy_optimizer=OptimizerOptions(
        learning_rate=5e-7,  # B.1
        schedule="constant",  # ours: no warm-up, because the critic is pre-trained (5.4)
    ),
    critic_optimizer=OptimizerOptions(
        learning_rate=1.65e-6,  # B.1
        schedule="constant",  # ours
    ),
    rollout=RolloutOptions(
        prompts_per_step=128,  # B.1: 128 rollouts a step
        samples_per_prompt=1,  # ours: the paper names no number
    ),
    reward=RewardOptions(
        normalize=True,  # 5.3.1: running mean and standard deviation of history
        clip_range=0.8,  # 5.3.1 tries 0.3 and 0.8; the code has 10
        kl_coefficient=0.05,  # 5.3.2
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=32,  # B.1
        clip_range=0.2,  # B.1
        clip_range_value=0.2,  # B.1
        gamma=1.0,  # the authors' configuration
        gae_lambda=0.95,  # the authors' configuration
        whiten_advantages=False,  # 5.3.1: constrain on the reward level only
        ptx_coefficient=1.0,  # ours: 5.4 mixes pretraining data and names no weight
    ),
    critic=CriticOptions(
        init_from="reward_model",  # 5.4
        max_pretraining_updates=50,  # ours
        plateau_window=10,  # ours
        plateau_min_improvement=0.01,  # ours
    ),
)

PPO_VANILLA = PPOPreset(
    name="ppo_vanilla",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.2: ppo_max without what 5.3 and 5.4 add",
    policy_optimizer=PPO_MAX.policy_optimizer,
    critic_optimizer=PPO_MAX.critic_optimizer,
    rollout=PPO_MAX.rollout,
    reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.0),  # 5.2
    algorithm=AlgorithmOptions(
        responses_per_minibatch=32,  # B.1
        clip_range=0.2,  # B.1
        clip_range_value=None,  # 5.2
        gamma=1.0,
        gae_lambda=0.95,
    ),
    critic=CriticOptions(init_from="reward_model", max_pretraining_updates=0),  # 5.2
)

PPO_STIENNON = PPOPreset(
    name="stiennon",
    source="Learning to summarize from human feedback (Stiennon et al. 2020), B.1",
    policy_optimizer=OptimizerOptions(
        learning_rate=1.5e-5,  # B.1 for 1.3B parameters; 7e-6 for 6.7B
        schedule="linear",  # ours
        min_lr_ratio=0.0,  # ours
    ),
    critic_optimizer=OptimizerOptions(learning_rate=1.5e-5, schedule="linear", min_lr_ratio=0.0),
    rollout=RolloutOptions(
        prompts_per_step=512,  # B.1 for 1.3B; 256 for 6.7B
        samples_per_prompt=1,
    ),
    reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.05),  # B.1
    algorithm=AlgorithmOptions(
        responses_per_minibatch=512,  # ours
        ppo_epochs=4,  # B.1
        gamma=1.0,  # B.1
        gae_lambda=0.95,  # B.1
        whiten_advantages=True,  # ours, as in the code it grew from (Ziegler et al. 2019)
    ),
    critic=CriticOptions(
        init_from="reward_model", max_pretraining_updates=0
    ),  # B.1: its own network, from the reward model
)

PPO_N_PLUS = PPOPreset(
    name="n_plus",
    source="The N+ implementation details of RLHF with PPO (Huang et al. 2024)",
    policy_optimizer=OptimizerOptions(
        learning_rate=3e-6,
        schedule="linear",
        min_lr_ratio=0.0,
        beta1=0.9,  # Adam as PyTorch has it
        beta2=0.999,
        epsilon=1e-5,
    ),
    # Its value weight of 0.1 belongs to one loss for two networks; a critic with its own Adam does not feel a factor.
    critic_optimizer=OptimizerOptions(
        learning_rate=3e-6, schedule="linear", min_lr_ratio=0.0, beta1=0.9, beta2=0.999, epsilon=1e-5
    ),
    rollout=RolloutOptions(
        steps=1954,  # one million episodes
        prompts_per_step=512,
        samples_per_prompt=1,
        sampling=SamplingOptions(temperature=0.7),
    ),
    reward=RewardOptions(
        normalize=False,  # reward whitening is optional there, and off
        clip_range=None,
        missing_eos_rule="replace",  # before any whitening
        missing_eos_score=-1.0,
        kl_coefficient=0.05,
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=512,  # 1 minibatch
        ppo_epochs=4,
        clip_range=0.2,
        clip_range_value=0.2,
        gamma=1.0,
        gae_lambda=0.95,
        whiten_advantages=True,
    ),
    critic=CriticOptions(init_from="reward_model", max_pretraining_updates=0),
)

PPO_TINY = PPOPreset(
    name="tiny",
    source="ours: models of about one million parameters, PPO-max's ingredients, one or two CPU cores",
    policy_optimizer=OptimizerOptions(
        learning_rate=8e-4,  # ours
        schedule="linear",  # ours
        min_lr_ratio=0.3,  # ours
        beta2=0.95,  # ours
    ),
    critic_optimizer=OptimizerOptions(learning_rate=1e-3, schedule="constant"),  # ours
    rollout=RolloutOptions(
        steps=20,  # ours
        prompts_per_step=32,  # ours
        samples_per_prompt=4,  # ours: one prefill and one shared-prompt row a prompt
    ),
    reward=RewardOptions(
        normalize=True,  # as ppo_max
        clip_range=3.0,  # ours: 0.8 hides the best answers of so small a batch from the update
        missing_eos_rule="subtract",  # ours
        missing_eos_score=-1.0,  # ours
        kl_coefficient=0.04,  # ours
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=64,  # ours
        ppo_epochs=1,  # ours: a second pass gains less than fresh rollouts do in the same time
        whiten_advantages=True,  # ours: speed matters more than purity here
    ),
    critic=CriticOptions(
        init_from="reward_model",  # as ppo_max
        max_pretraining_updates=8,  # ours
        plateau_window=4,  # ours
        plateau_min_improvement=0.05,  # ours
    ),
    batch=SFT_TINY.batch,
    evaluation=EvaluationOptions(max_examples=128),  # ours
)

LANGUAGE_MODEL_PRESETS: Mapping[str, LanguageModelPreset] = {
    preset.name: preset for preset in (SFT_SECRETS, SFT_LLAMA2, SFT_INSTRUCTGPT, SFT_TINY)
}
PPO_PRESETS: Mapping[str, PPOPreset] = {
    preset.name: preset for preset in (PPO_MAX, PPO_VANILLA, PPO_STIENNON, PPO_N_PLUS, PPO_TINY)
}
