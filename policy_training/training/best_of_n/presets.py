"""Named values for best-of-n fine-tuning, each with its source. Light: no torch.

"ours" marks what the source does not publish.
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
from policy_training.training.best_of_n.config import BestOfNConfig, CandidateOptions
from policy_training.training.config import LanguageModelDataOptions, ServedSamplingOptions


@dataclass(frozen=True, kw_only=True)
class BestOfNPreset:
    name: str
    source: str  # where to read about it
    optimizer: OptimizerOptions
    candidates: CandidateOptions
    sampling: ServedSamplingOptions = field(default_factory=ServedSamplingOptions)
    data: LanguageModelDataOptions = field(default_factory=LanguageModelDataOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def config(
        self, source: ModelSource, reward_model_path: str, *, runtime: RuntimeOptions | None = None
    ) -> BestOfNConfig:
        return BestOfNConfig(
            model=ModelOptions(source=source),
            reward_model_path=reward_model_path,
            optimizer=self.optimizer,
            candidates=self.candidates,
            sampling=self.sampling,
            data=self.data,
            batch=self.batch,
            evaluation=self.evaluation,
            runtime=runtime or RuntimeOptions(),
            preset=self.name,
        )


LLAMA2 = BestOfNPreset(
    name="llama2",
    source="Llama 2 (Touvron et al. 2023), 3.2.3: rejection sampling; the fine-tuning's values are those of its 3.1",
    optimizer=OptimizerOptions(
        learning_rate=2e-5,  # 3.1
        schedule="cosine",  # 3.1
        min_lr_ratio=0.1,  # 2.2
        beta1=0.9,  # 2.2
        beta2=0.95,  # 2.2
        epsilon=1e-5,  # 2.2
        weight_decay=0.1,  # 3.1
        max_grad_norm=1.0,  # 2.2
    ),
    candidates=CandidateOptions(
        samples_per_prompt=10,  # ours; figure 7 goes up to 100
        keep=1,  # 3.2.3: the best answer of each prompt
    ),
    sampling=ServedSamplingOptions(
        temperature=1.0,  # 3.2.3: between 1.2 and 1.3 was best for 10 to 100 samples of its RLHF model
    ),
    data=LanguageModelDataOptions(
        epochs=2,  # 3.1
        examples_per_step=64,  # 3.1
    ),
    batch=BatchOptions(
        max_prompt_tokens=1024,  # ours
        max_response_tokens=512,  # ours
    ),
)

TINY = BestOfNPreset(
    name="tiny",
    source="ours: models of about one million parameters, one or two CPU cores",
    optimizer=OptimizerOptions(
        learning_rate=1e-3,  # ours
        schedule="cosine",  # ours
        min_lr_ratio=0.1,  # ours
        warmup_steps=5,  # ours
    ),
    candidates=CandidateOptions(
        samples_per_prompt=8,  # ours
    ),
    data=LanguageModelDataOptions(
        epochs=2,  # ours
        examples_per_step=48,  # ours
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours
        max_response_tokens=96,  # ours
    ),
    evaluation=EvaluationOptions(
        max_examples=64,  # ours
    ),
)

BEST_OF_N_PRESETS: Mapping[str, BestOfNPreset] = {preset.name: preset for preset in (LLAMA2, TINY)}
