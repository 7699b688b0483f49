"""Named values for reward models, each with its source. Light: no torch.

"ours" marks what the source does not publish. A preset leaves open where the model starts and the
machine it runs on. All of them drop ties and put every pair of a comparison into one batch element. The
score head is new, normal with standard deviation 1/sqrt(h + 1) and bias 0 (N+ implementation details;
Stiennon 2020, B.1), unless the start is an earlier reward model; the reward is shifted to mean 0 on
demonstrations (InstructGPT, 3.5).
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
    TokenizerOptions,
)
from rewardmodel.training.config import (
    DataOptions,
    ObjectiveOptions,
    RewardModelConfig,
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    name: str
    source: str  # where to read about it
    optimizer: OptimizerOptions
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    data: DataOptions = field(default_factory=DataOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def config(
        self,
        source: ModelSource,
        *,
        runtime: RuntimeOptions | None = None,
        tokenizer: TokenizerOptions | None = None,
        criterion: str = "",
    ) -> RewardModelConfig:
        return RewardModelConfig(
            model=ModelOptions(source=source),
            optimizer=self.optimizer,
            objective=self.objective,
            data=self.data,
            batch=self.batch,
            tokenizer=tokenizer or TokenizerOptions(),
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
            criterion=criterion,
        )


INSTRUCTGPT = Preset(
    name="instructgpt",
    source="InstructGPT (Ouyang et al. 2022), 3.5 and C.2",
    optimizer=OptimizerOptions(
        learning_rate=9e-6,  # C.2
        schedule="cosine",  # C.2
        min_lr_ratio=0.1,  # C.2: to 10 % of the peak
    ),
    objective=ObjectiveOptions(
        ranking_loss="pairwise",  # 3.5, equation 1
        pair_weight="all",  # 3.5: 1/C(K, 2); tied pairs are dropped, C.2
    ),
    data=DataOptions(
        epochs=1,  # C.2: more overfits
        comparisons_per_step=64,  # C.2: 64 prompts, K = 4..9 responses each
    ),
)

LLAMA2 = Preset(
    name="llama2",
    source="Llama 2 (Touvron et al. 2023), 3.2.2",
    optimizer=OptimizerOptions(
        learning_rate=1e-5,  # 3.2.2; 5e-6 for the 70B model
        schedule="cosine",  # 3.2.2
        min_lr_ratio=0.1,  # 3.2.2: down to 10 % of the maximum
        warmup_ratio=0.03,  # 3.2.2
        warmup_steps=5,  # 3.2.2: at least 5
        beta1=0.9,  # 3.2.2: the parameters of the base model, 2.2
        beta2=0.95,  # 2.2
        epsilon=1e-5,  # 2.2
        weight_decay=0.1,  # 2.2
        max_grad_norm=1.0,  # 2.2
    ),
    objective=ObjectiveOptions(
        ranking_loss="pairwise",  # 3.2.2
        margin="large",  # table 27 has a small and a large one; the choice is ours
    ),
    data=DataOptions(
        epochs=1,  # 3.2.2: longer overfits
        comparisons_per_step=512,  # 3.2.2: 512 pairs, and a comparison there is one pair
    ),
)

SECRETS_DEVICES = 8  # ours: 4.2 says nothing; the machine of its PPO runs (5.1)

SECRETS = Preset(
    name="secrets",
    source="Secrets of RLHF I (Zheng et al. 2023), 3.1 and 4.2",
    optimizer=OptimizerOptions(
        learning_rate=5e-6,  # 4.2
        schedule="linear",  # ours: 4.2 names none
        min_lr_ratio=0.1,  # ours
        warmup_ratio=0.1,  # 4.2: the first 10 % of steps
    ),
    objective=ObjectiveOptions(
        ranking_loss="pairwise",  # 3.1, equation 1
        lm_coefficient=1.0,  # 3.1, beta_rm of equation 2; its value in 4.2
    ),
    # 4.2 balances the tokens of each device's batch, which holds 4 to 128 pairs. Its 1,000 steps are 1.06 epochs of
    # 160,000 pairs: 170 pairs an optimizer step over all devices. A step is the same here on any number of processes.
    data=DataOptions(
        epochs=None,  # 4.2: steps are fixed
        steps=1000,  # 4.2: steps are fixed, not epochs
        comparisons_per_step=170,  # 4.2: 1.06 * 160,000 / 1,000
        balance_tokens=True,  # 4.2
        min_comparisons_per_step=4 * SECRETS_DEVICES,  # 4.2: at least 4 a device
        max_comparisons_per_step=128 * SECRETS_DEVICES,  # 4.2: at most 128 a device
    ),
)

STIENNON = Preset(
    name="stiennon",
    source="Learning to summarize from human feedback (Stiennon et al. 2020), B.1",
    optimizer=OptimizerOptions(
        learning_rate=1.5e-5,  # B.1 for 1.3B parameters; 5e-6 for 6.7B
        schedule="cosine",  # B.1
        min_lr_ratio=0.0,  # ours: B.1 names no end
    ),
    data=DataOptions(
        epochs=1,  # B.1
        comparisons_per_step=64,  # B.1
    ),
)

N_PLUS = Preset(
    name="n_plus",
    source="The N+ implementation details of RLHF with PPO (Huang et al. 2024)",
    optimizer=OptimizerOptions(
        learning_rate=3e-6,  # the reward model's table
        schedule="cosine",  # the reward model's table
        min_lr_ratio=0.0,  # ours
        beta1=0.9,  # Adam as PyTorch has it
        beta2=0.999,  # Adam as PyTorch has it
        epsilon=1e-5,  # the source's Adam detail
    ),
    data=DataOptions(
        epochs=1,  # the reward model's table
        comparisons_per_step=64,  # ours
    ),
)

TINY = Preset(
    name="tiny",
    source="ours: about one million parameters from scratch, 1000 to 3000 pairs, one or two CPU cores",
    optimizer=OptimizerOptions(
        learning_rate=2e-3,  # ours: on 1,250 noisy pairs 3e-4 learned nothing in 2 epochs, 4e-3 less
        schedule="linear",  # ours
        min_lr_ratio=0.0,  # ours
        warmup_steps=10,  # ours
        weight_decay=0.01,  # ours
    ),
    objective=ObjectiveOptions(
        ranking_loss="pairwise",  # ours
        center_rewards_coefficient=0.01,  # Eisenstein et al. 2023
    ),
    data=DataOptions(
        epochs=3,  # ours
        comparisons_per_step=16,  # ours: 32 at half the rate was slower to learn
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours
        max_response_tokens=192,  # ours
    ),
    evaluation=EvaluationOptions(
        evaluate_every_steps=50,  # ours
        max_examples=64,  # ours
    ),
)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset for preset in (INSTRUCTGPT, LLAMA2, SECRETS, STIENNON, N_PLUS, TINY)
}
