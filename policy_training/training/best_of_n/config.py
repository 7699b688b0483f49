"""Options of best-of-n fine-tuning. Light: no torch, so that the web process may build them."""

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
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions, SamplingOptions
from policy_training.training.reward_config import RewardSourcesOptions

# Options that its sections share with other recipes: of rewards that are measured step by step, of demonstrations.
NOT_FOR_BEST_OF_N = (
    ("rewards", ("whiten", "normalize_models", "normalization_prompts")),
    ("alarms", ("window",)),
    ("data", ("every_assistant_turn", "texts_share", "min_demonstration_tokens", "max_demonstration_tokens")),
)


@dataclass(frozen=True, kw_only=True)
class CandidateOptions:
    """How many answers a prompt gets, and which of them are learned."""

    samples_per_prompt: int = 8  # of each policy that answers
    keep: int = 1  # answers of a prompt that are learned: those that score highest; the same text counts once
    # Where answers share the last place that is kept: the one sampled first, or all of them.
    ties: Literal["first", "all"] = "first"
    min_score: float | None = None  # answers below it are not learned; a prompt may be left with none
    only_ended: bool = (
        True  # answers that were cut off at the limit are not learned: they would teach never to end
    )

    def __post_init__(self) -> None:
        for name in ("samples_per_prompt", "keep"):
            require_at_least(name, getattr(self, name), 1)


@dataclass(frozen=True, kw_only=True)
class BestOfNConfig:
    model: ModelOptions  # what is fine-tuned
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    optimizer: OptimizerOptions
    samplers: tuple[ModelSource, ...] = ()  # the policies that answer; empty: the one that is fine-tuned
    rewards: RewardSourcesOptions = field(default_factory=RewardSourcesOptions)
    reward_model_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    candidates: CandidateOptions = field(default_factory=CandidateOptions)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    data: LanguageModelDataOptions = field(default_factory=LanguageModelDataOptions)
    alarms: AlarmOptions = field(default_factory=AlarmOptions)  # after the fine-tuning beside before it
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        require_at_least("evaluation.max_examples", self.evaluation.max_examples, 1)
        if self.model.source.from_scratch is not None:
            raise ValueError(
                "model.source: best-of-n starts from a policy that answers already, not from scratch"
            )
        if self.alarms.action == "pause":
            raise ValueError(
                "alarms.action 'pause': best-of-n measures its answers once it has learned them; choose note or off"
            )
        for section, names in NOT_FOR_BEST_OF_N:
            options = getattr(self, section)
            plain = type(options)()
            for name in names:
                if getattr(options, name) != getattr(plain, name):
                    raise ValueError(
                        f"{section}.{name} is {getattr(options, name)}, which best-of-n does not have: leave it out"
                    )

    @property
    def answering(self) -> tuple[ModelSource, ...]:
        return self.samplers or (self.model.source,)

    @property
    def supervised(self) -> LanguageModelConfig:
        """The fine-tuning on what was kept."""
        return LanguageModelConfig(
            model=self.model,
            optimizer=self.optimizer,
            batch=self.batch,
            data=self.data,
            evaluation=self.evaluation,
            runtime=self.runtime,
            preset=self.preset,
        )
