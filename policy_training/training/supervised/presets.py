"""Named values for pretraining and supervised fine-tuning, each with its source. Light: no torch.

"ours" marks what the source does not publish. A preset leaves open which model it starts from, and the machine.
What a source asks for and these recipes do not have is said at the preset.
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
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions


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
        every_assistant_turn=True,  # 5.1: 600,000 of its dialogues are multi-turn, and its loader counts every turn
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
    ),
)

SFT_INSTRUCTGPT = LanguageModelPreset(
    name="sft_instructgpt",
    source="InstructGPT (Ouyang et al. 2022), C.1; each epoch is kept, and the best by reward model is yours to choose",
    optimizer=OptimizerOptions(
        learning_rate=9.65e-6,  # C.1 for 1.3B and 6B; 5.03e-6 for 175B
        schedule="cosine",  # C.1
        min_lr_ratio=0.1,  # C.1
    ),
    data=LanguageModelDataOptions(
        epochs=16,  # C.1
        examples_per_step=32,  # C.1 for 1.3B and 6B; 8 for 175B
        keep_epoch_ends=True,  # C.1: the final model is chosen by the reward model's score
    ),
    dropout=0.2,  # C.1: residual dropout; ours sets every dropout the architecture has (Llama: that of attention)
)

SFT_PPO_START = LanguageModelPreset(
    name="instructgpt_ppo_start",
    source="InstructGPT (Ouyang et al. 2022), C.4: the model that PPO starts from",
    optimizer=OptimizerOptions(
        learning_rate=5e-6,  # C.4 for 1.3B; 1.04e-5 for 6B, 2.45e-6 for 175B
        schedule="cosine",  # C.4
        min_lr_ratio=0.1,  # C.4
    ),
    data=LanguageModelDataOptions(
        epochs=2,  # C.4
        examples_per_step=32,  # C.4 for 1.3B and 6B; 8 for 175B
        texts_share=0.1,  # C.4: 10 % pretraining data
    ),
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
    ),
    evaluation=EvaluationOptions(
        evaluate_every_steps=100,  # ours
        max_examples=96,  # ours
    ),
)

LANGUAGE_MODEL_PRESETS: Mapping[str, LanguageModelPreset] = {
    preset.name: preset for preset in (SFT_SECRETS, SFT_LLAMA2, SFT_INSTRUCTGPT, SFT_PPO_START, SFT_TINY)
}
