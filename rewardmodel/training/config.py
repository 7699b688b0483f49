"""Options of the reward model's three commands. Light: no torch, so that the web process may build them."""

from dataclasses import dataclass, field
from typing import Literal

from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    OptimizerOptions,
    RuntimeOptions,
    TokenizerOptions,
    require_at_least,
)
from learning.interface.usable_comparisons import RankingLossName

MarginTable = Literal["none", "small", "large"]
PairWeight = Literal["untied", "all"]


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """Which loss; the formulas are in losses.py."""

    ranking_loss: RankingLossName = "pairwise"
    margin: MarginTable = "none"  # pairwise only
    pair_weight: PairWeight = "untied"  # 1/number of untied pairs, or 1/C(K, 2)
    strength_weighted: bool = False  # pairwise and soft_labels
    center_rewards_coefficient: float = 0.0  # c of c E[(r_w + r_l)^2]
    lm_coefficient: float = 0.0  # beta_rm, times the mean token loss of the top-tier responses

    def __post_init__(self) -> None:
        if self.margin != "none" and self.ranking_loss != "pairwise":
            raise ValueError(
                f"margin {self.margin!r} belongs to the pairwise loss, not to {self.ranking_loss!r}"
            )
        if self.strength_weighted and self.ranking_loss not in ("pairwise", "soft_labels"):
            raise ValueError(f"strength_weighted belongs to losses of pairs, not to {self.ranking_loss!r}")
        for name in ("center_rewards_coefficient", "lm_coefficient"):
            require_at_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How comparisons become optimizer steps.

    With tokens_per_step a step takes comparisons until its rows hold about that many tokens, between
    min_comparisons_per_step and comparisons_per_step of them; without it always comparisons_per_step.
    """

    epochs: int = 1
    comparisons_per_step: int = 64
    tokens_per_step: int | None = None
    min_comparisons_per_step: int = 4

    def __post_init__(self) -> None:
        for name in ("epochs", "comparisons_per_step", "min_comparisons_per_step"):
            require_at_least(name, getattr(self, name), 1)
        if self.tokens_per_step is None:
            return
        require_at_least("tokens_per_step", self.tokens_per_step, 1)
        if self.min_comparisons_per_step > self.comparisons_per_step:
            raise ValueError(
                f"min_comparisons_per_step {self.min_comparisons_per_step} is above comparisons_per_step "
                f"{self.comparisons_per_step}"
            )


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig:
    """python -m rewardmodel.training.train"""

    model: ModelOptions
    optimizer: OptimizerOptions
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    data: DataOptions = field(default_factory=DataOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""  # the name the values came from, for the record only
    criterion: str = ""  # what the comparisons are about, for the record only


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """python -m rewardmodel.training.score"""

    model_path: str  # a reward model's folder
    batch: BatchOptions = field(default_factory=BatchOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """python -m rewardmodel.training.evaluate"""

    model_path: str  # a reward model's folder
    split: Literal["train", "validation", "test"] = "validation"
    logged_samples: int = 4  # comparisons written to samples.jsonl
    batch: BatchOptions = field(default_factory=BatchOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
