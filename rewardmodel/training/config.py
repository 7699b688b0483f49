"""Options of the reward model's commands. Light: no torch, so that the web process may build them."""

from dataclasses import dataclass, field
from typing import Literal

from learning.interface.options import added_option
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    OptimizerOptions,
    RuntimeOptions,
    TokenizerOptions,
    require_at_least,
)
from learning.interface.usable_comparisons import LossName, learns_from_ratings

MarginTable = Literal["none", "small", "large"]
PairWeight = Literal["untied", "all"]


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """Which loss; the formulas are in losses.py and, of regression and ordinal, in rating_losses.py."""

    ranking_loss: LossName = (
        "pairwise"  # regression and ordinal learn from ratings, all others from comparisons
    )
    margin: MarginTable = "none"  # pairwise only
    pair_weight: PairWeight = "untied"  # 1/number of untied pairs, or 1/C(K, 2)
    strength_weighted: bool = False  # pairwise and soft_labels
    ranking_coefficient: float = added_option(1.0, before=1.0)  # lambda, times the ranking loss
    center_rewards_coefficient: float = 0.0  # c of c E[(r_w + r_l)^2]
    lm_coefficient: float = 0.0  # beta_rm, times the mean token loss of the top-tier responses

    def __post_init__(self) -> None:
        if self.margin != "none" and self.ranking_loss != "pairwise":
            raise ValueError(
                f"margin {self.margin!r} belongs to the pairwise loss, not to {self.ranking_loss!r}"
            )
        if self.strength_weighted and self.ranking_loss not in ("pairwise", "soft_labels"):
            raise ValueError(f"strength_weighted belongs to losses of pairs, not to {self.ranking_loss!r}")
        if self.center_rewards_coefficient and learns_from_ratings(self.ranking_loss):
            raise ValueError(
                f"center_rewards_coefficient belongs to losses of comparisons: {self.ranking_loss!r} fixes the zero of "
                "the rewards itself, so set it to 0"
            )
        if not self.ranking_coefficient > 0:
            raise ValueError(f"ranking_coefficient must be positive, found {self.ranking_coefficient}")
        for name in ("center_rewards_coefficient", "lm_coefficient"):
            require_at_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How comparisons become optimizer steps, and when to end: after so many epochs, or after so many steps.

    A step takes comparisons_per_step comparisons at most; the steps of an epoch are within one of each other. With
    balance_tokens they hold about equally many tokens: comparisons_per_step comparisons on average, between
    min_comparisons_per_step and max_comparisons_per_step. With tokens_per_step they hold about that many tokens,
    between min_comparisons_per_step and comparisons_per_step comparisons.
    """

    epochs: int | None = 1
    steps: int | None = None  # instead of epochs; the last epoch may end in its middle
    comparisons_per_step: int = 64
    tokens_per_step: int | None = None
    balance_tokens: bool = False
    min_comparisons_per_step: int = 4
    max_comparisons_per_step: int | None = None  # with balance_tokens; None: no limit

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "steps",
            "comparisons_per_step",
            "tokens_per_step",
            "min_comparisons_per_step",
            "max_comparisons_per_step",
        ):
            if getattr(self, name) is not None:
                require_at_least(name, getattr(self, name), 1)
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                f"give exactly one of epochs and steps (null for the other), found {self.epochs} and {self.steps}"
            )
        if self.tokens_per_step is not None and self.balance_tokens:
            raise ValueError("tokens_per_step and balance_tokens are two ways to divide an epoch: give one")
        if self.max_comparisons_per_step is not None and not self.balance_tokens:
            raise ValueError("max_comparisons_per_step belongs to balance_tokens")
        if self.tokens_per_step is None and not self.balance_tokens:
            return
        if self.min_comparisons_per_step > self.comparisons_per_step:
            raise ValueError(
                f"min_comparisons_per_step {self.min_comparisons_per_step} is above comparisons_per_step "
                f"{self.comparisons_per_step}"
            )
        if self.max_comparisons_per_step and self.max_comparisons_per_step < self.comparisons_per_step:
            raise ValueError(
                f"max_comparisons_per_step {self.max_comparisons_per_step} is below comparisons_per_step "
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

    def __post_init__(self) -> None:
        self.model.require_whole_base(self.runtime.zero_stage)


@dataclass(frozen=True, kw_only=True)
class AdoptConfig(RewardModelConfig):
    """python -m rewardmodel.training.adopt: what the training was asked, and which of its checkpoints."""

    checkpoint_path: str  # a folder in checkpoints/ of the training's run directory

    def __post_init__(self) -> None:
        if self.runtime.backend != "torch":
            raise ValueError(
                f'runtime.backend is "{self.runtime.backend}", whose checkpoints keep the weights in parts; '
                "let the run end instead"
            )


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


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """python -m rewardmodel.training.serve_scores"""

    model_path: str  # a reward model's folder
    host: str = "127.0.0.1"  # address to listen on
    batch: BatchOptions = field(default_factory=BatchOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    # It ends by itself when nobody has asked for its status for so long: who started it is gone.
    orphaned_after_seconds: float = 60.0
    max_waiting_requests: int = 256

    def __post_init__(self) -> None:
        require_at_least("max_waiting_requests", self.max_waiting_requests, 1)
