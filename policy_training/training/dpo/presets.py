"""Named values for DPO, each with its source. Light: no torch.

"ours" marks what the source does not publish. A preset leaves open which policy it starts from, and the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    LoraOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.dpo.config import DPOConfig, DPOObjectiveOptions
from rewardmodel.training.config import DataOptions


@dataclass(frozen=True, kw_only=True)
class DPOPreset:
    name: str
    source: str  # where to read about it
    optimizer: OptimizerOptions
    objective: DPOObjectiveOptions = field(default_factory=DPOObjectiveOptions)
    data: DataOptions = field(default_factory=DataOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    lora: LoraOptions = field(default_factory=LoraOptions)
    gradient_checkpointing: bool = False

    def config(self, source: ModelSource, *, runtime: RuntimeOptions | None = None) -> DPOConfig:
        return DPOConfig(
            model=ModelOptions(
                source=source, lora=self.lora, gradient_checkpointing=self.gradient_checkpointing
            ),
            optimizer=self.optimizer,
            objective=self.objective,
            data=self.data,
            batch=self.batch,
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
        )


DPO_PAPER = DPOPreset(
    name="dpo_paper",
    source="DPO (Rafailov et al. 2023, arXiv 2305.18290), appendix B; its RMSprop is AdamW here",
    optimizer=OptimizerOptions(
        learning_rate=1e-6,  # appendix B
        schedule="constant",  # appendix B
        warmup_steps=150,  # appendix B: linearly from 0
    ),
    objective=DPOObjectiveOptions(
        beta=0.1,  # appendix B; 0.5 for its summaries
    ),
    data=DataOptions(
        comparisons_per_step=64,  # appendix B
        epochs=1,  # ours
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours
        max_response_tokens=256,  # ours
    ),
)

DPO_ZEPHYR = DPOPreset(
    name="dpo_zephyr",
    source="Zephyr (Tunstall et al. 2023, arXiv 2310.16944), section 4",
    optimizer=OptimizerOptions(
        learning_rate=5e-7,  # section 4
        schedule="linear",  # section 4
        warmup_ratio=0.1,  # section 4
        min_lr_ratio=0.0,  # ours
    ),
    objective=DPOObjectiveOptions(
        beta=0.1,  # section 4
    ),
    data=DataOptions(
        comparisons_per_step=32,  # section 4
        epochs=3,  # section 4: one to three
    ),
    batch=BatchOptions(
        max_prompt_tokens=512,  # ours
        max_response_tokens=512,  # ours
    ),
)

DPO_LLAMA3 = DPOPreset(
    name="dpo_llama3",
    source="Llama 3 (Dubey et al. 2024, arXiv 2407.21783), 4.1.4; its masking of formatting tokens is not here",
    optimizer=OptimizerOptions(
        learning_rate=1e-5,  # 4.1.4
        schedule="cosine",  # ours
        warmup_ratio=0.03,  # ours
    ),
    objective=DPOObjectiveOptions(
        beta=0.1,  # 4.1.4
        sft_coefficient=0.2,  # 4.1.4: a term on the chosen answers
    ),
    data=DataOptions(
        comparisons_per_step=64,  # ours
        epochs=1,  # ours
    ),
)

DPO_TINY = DPOPreset(
    name="tiny",
    source="ours: models of about one million parameters, one or two CPU cores",
    optimizer=OptimizerOptions(
        learning_rate=3e-4,  # ours
        schedule="cosine",  # ours
        min_lr_ratio=0.1,  # ours
        warmup_steps=10,  # ours
    ),
    objective=DPOObjectiveOptions(
        beta=0.1,  # as in the paper
    ),
    data=DataOptions(
        comparisons_per_step=32,  # ours
        epochs=2,  # ours
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours
        max_response_tokens=192,  # ours
    ),
    evaluation=EvaluationOptions(
        evaluate_every_steps=20,  # ours
    ),
)

DPO_LORA = replace(
    DPO_ZEPHYR,
    name="lora",
    source="dpo_zephyr by LoRA (Hu et al. 2021) with gradient checkpointing, where two full models do not fit (ours)",
    optimizer=replace(DPO_ZEPHYR.optimizer, learning_rate=5e-6),  # ours: ten times dpo_zephyr's
    lora=LoraOptions(
        rank=16,  # ours
        alpha=32.0,  # ours
        target_modules="all",  # ours
    ),
    gradient_checkpointing=True,  # ours
)

DPO_PRESETS: Mapping[str, DPOPreset] = {
    preset.name: preset for preset in (DPO_PAPER, DPO_ZEPHYR, DPO_LLAMA3, DPO_LORA, DPO_TINY)
}
