"""Options of DPO. Light: no torch, so that the web process may build them."""

from dataclasses import dataclass, field
from typing import Literal

from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    require_at_least,
)
from rewardmodel.training.config import DataOptions, MarginTable, ObjectiveOptions, PairWeight


@dataclass(frozen=True, kw_only=True)
class DPOObjectiveOptions:
    """A response's implicit reward is beta times the log of how much likelier the policy makes it than the reference
    does; the losses are those that a reward model learns by.
    """

    beta: float = 0.1  # how strongly the policy is held near the reference; larger: nearer
    # pairwise: every untied pair (Rafailov et al. 2023, equation 7); soft_labels: the share of people for each answer,
    # a tie is one half; plackett_luce: whole rankings (their appendix A.3).
    loss: Literal["pairwise", "soft_labels", "plackett_luce"] = "pairwise"
    # Share of pairs that are taken to be judged the wrong way round (conservative DPO); pairwise only.
    label_smoothing: float = 0.0
    margin: MarginTable = "none"  # pairwise only: by how much, for each strength, the better one has to lead
    pair_weight: PairWeight = "untied"  # 1/number of untied pairs, or 1/C(K, 2)
    strength_weighted: bool = False  # pairwise and soft_labels
    # Times the mean negative log-likelihood of a token of the preferred responses, added to the loss.
    sft_coefficient: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta must be positive, found {self.beta}")
        if not 0.0 <= self.label_smoothing < 0.5:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 0.5, found {self.label_smoothing}"
            )
        if self.label_smoothing and (self.loss != "pairwise" or self.margin != "none"):
            raise ValueError("label_smoothing belongs to the pairwise loss without a margin")
        require_at_least("sft_coefficient", self.sft_coefficient, 0)
        self.ranking  # noqa: B018 - what a reward model refuses, this refuses

    @property
    def ranking(self) -> ObjectiveOptions:
        """The same loss as a reward model has it."""
        return ObjectiveOptions(
            ranking_loss=self.loss,
            margin=self.margin,
            pair_weight=self.pair_weight,
            strength_weighted=self.strength_weighted,
        )


@dataclass(frozen=True, kw_only=True)
class DPOConfig:
    model: ModelOptions
    optimizer: OptimizerOptions
    reference: ModelSource | None = None  # None: the policy as it is at the start
    objective: DPOObjectiveOptions = field(default_factory=DPOObjectiveOptions)
    data: DataOptions = field(default_factory=DataOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""
    criterion: str = ""  # what the comparisons are about, for the record only

    def __post_init__(self) -> None:
        self.model.require_whole_base(self.runtime.zero_stage)
        if self.model.source.from_scratch is not None:
            raise ValueError("model.source: DPO starts from a policy that answers already, not from scratch")
