"""Options of the policy's commands. Light: no torch, so that the web process may build them."""

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from learning.interface.training_options import (
    BatchOptions,
    ModelOptions,
    ModelSource,
    OptimiserOptions,
    RuntimeOptions,
)
from rewardmodel.training.config import TokenizerOptions

# Plain text for pretraining, one document a row; `split` is "train", or anything else for held out.
TEXTS = pa.schema(
    [pa.field("text", pa.string(), nullable=False), pa.field("split", pa.string(), nullable=False)]
)


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How a token is drawn. Only evaluation may truncate: rollouts that train need the distribution they are
    scored by.
    """

    temperature: float = 1.0
    top_p: float = 1.0  # 1: off
    top_k: int = 0  # 0: off
    repetition_penalty: float = 1.0  # 1: off
    rows_a_batch: int = 256

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, found {self.temperature}")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be above 0 and at most 1, found {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, found {self.top_k}")
        if not self.repetition_penalty > 0:
            raise ValueError(f"repetition_penalty must be positive, found {self.repetition_penalty}")
        if self.rows_a_batch < 1:
            raise ValueError(f"rows_a_batch must be at least 1, found {self.rows_a_batch}")

    def require_untruncated(self) -> None:
        """Raises ValueError, naming the option, where the sampled distribution is not the policy's own."""
        for name, neutral in (("top_p", 1.0), ("top_k", 0), ("repetition_penalty", 1.0)):
            if getattr(self, name) != neutral:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; rollouts that train are sampled from the policy itself, "
                    f"so it must stay {neutral} (with anything else every update is off-policy from the start)"
                )


@dataclass(frozen=True, kw_only=True)
class LanguageModelDataOptions:
    """How texts become optimiser steps, for pretraining and SFT.

    `conversations` puts one conversation in a row; `windows` fills rows of `window_tokens` with whole
    conversations that do not see each other. `steps`, when given, overrides `epochs`.
    """

    rows: Literal["conversations", "windows"] = "conversations"
    examples_a_step: int = 64  # conversations, or windows
    window_tokens: int = 1024
    epochs: float = 1.0
    steps: int | None = None

    def __post_init__(self) -> None:
        for name in ("examples_a_step", "window_tokens"):
            _require_at_least(name, getattr(self, name), 1)
        if self.epochs <= 0:
            raise ValueError(f"epochs must be positive, found {self.epochs}")
        if self.steps is not None:
            _require_at_least("steps", self.steps, 1)


@dataclass(frozen=True, kw_only=True)
class LanguageModelWatchingOptions:
    evaluate_every_steps: int = 0  # 0: only before and after training
    evaluation_examples: int = 256  # held-out examples in each evaluation, the first ones of the file
    samples: int = 4  # held-out prompts answered and written to samples.jsonl at each evaluation (SFT)

    def __post_init__(self) -> None:
        for name in ("evaluate_every_steps", "evaluation_examples", "samples"):
            _require_at_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """Options of `pretrain` (the loss counts every token) and `sft` (the loss counts the responses)."""

    model: ModelOptions
    optimiser: OptimiserOptions
    batch: BatchOptions = field(default_factory=BatchOptions)
    data: LanguageModelDataOptions = field(default_factory=LanguageModelDataOptions)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)  # read for a fresh model only
    watching: LanguageModelWatchingOptions = field(default_factory=LanguageModelWatchingOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Options of `sample`: every prompt x every temperature x n."""

    policy: ModelSource
    policy_name: str = ""  # written into the rows' `policy` column
    samples_a_prompt: int = 1
    temperatures: tuple[float, ...] = (1.0,)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)  # its temperature is not read
    max_prompt_tokens: int = 512
    max_response_tokens: int = 256
    id_prefix: str = ""  # set in front of every response_id, so that ids of several runs never meet
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        for name in ("samples_a_prompt", "max_prompt_tokens", "max_response_tokens"):
            _require_at_least(name, getattr(self, name), 1)
        if not self.temperatures or min(self.temperatures) <= 0:
            raise ValueError(f"temperatures must be one or more positive numbers, found {self.temperatures}")
        if len(set(self.temperatures)) != len(self.temperatures):
            raise ValueError(f"temperatures must differ from each other, found {self.temperatures}")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Options of `evaluate`: sample on held-out prompts, score, and measure the KL to a reference."""

    policy: ModelSource
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    reference: ModelSource | None = None  # None: no KL
    samples_a_prompt: int = 1
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    samples: int = 16  # texts written to samples.jsonl
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        _require_at_least("samples_a_prompt", self.samples_a_prompt, 1)
        _require_at_least("samples", self.samples, 0)


@dataclass(frozen=True, kw_only=True)
class RolloutOptions:
    steps: int = 100  # rollout-and-update rounds, critic pre-training not counted
    prompts_a_step: int = 32
    samples_a_prompt: int = 4
    sampling: SamplingOptions = field(default_factory=SamplingOptions)

    def __post_init__(self) -> None:
        for name in ("steps", "prompts_a_step", "samples_a_prompt"):
            _require_at_least(name, getattr(self, name), 1)
        try:
            self.sampling.require_untruncated()
        except ValueError as problem:
            raise ValueError(f"sampling.{problem}") from None

    @property
    def responses_a_step(self) -> int:
        return self.prompts_a_step * self.samples_a_prompt


@dataclass(frozen=True, kw_only=True)
class RewardOptions:
    """From the reward model's score to what the policy is paid, in this order.

    missing-EOS rule `replace` -> normalise by the moments of all scores so far -> clip -> missing-EOS rule
    `subtract` -> per-token KL to the reference.
    """

    normalise: bool = True
    clip: float | None = 0.8  # in standard deviations; None: no clip; read only with `normalise`
    missing_eos: Literal["off", "replace", "subtract"] = "off"
    missing_eos_score: float = -1.0  # `replace`: the raw score; `subtract`: added to the normalised one
    kl_coefficient: float = 0.05
    kl_target: float | None = None  # nats a response; None: the coefficient is fixed
    kl_rule: Literal["paper", "code"] = "code"

    def __post_init__(self) -> None:
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"clip must be positive, found {self.clip}")
        if self.missing_eos == "subtract" and self.missing_eos_score > 0:
            raise ValueError(
                f"missing_eos_score must not be positive with 'subtract', found {self.missing_eos_score}"
            )
        if self.kl_coefficient < 0:
            raise ValueError(f"kl_coefficient must be at least 0, found {self.kl_coefficient}")
        if self.kl_target is not None and self.kl_target <= 0:
            raise ValueError(f"kl_target must be positive, found {self.kl_target}")


@dataclass(frozen=True, kw_only=True)
class AlgorithmOptions:
    """The PPO update."""

    responses_a_minibatch: int = 32
    epochs: int = 1  # passes over the rollouts of a step
    ratio_clip: float = 0.2
    value_clip: float | None = 0.2
    discount: float = 1.0
    lambda_: float = 0.95
    whiten_advantages: bool = False
    stop_at_kl: float | None = (
        None  # nats a token to the sampling policy: above it the step's other updates are skipped
    )
    ptx_coefficient: float = 0.0  # times the mean token loss on demonstrations, in the same optimiser step
    ptx_examples_a_minibatch: int = 0  # 0: as many as the minibatch has responses

    def __post_init__(self) -> None:
        for name in ("responses_a_minibatch", "epochs"):
            _require_at_least(name, getattr(self, name), 1)
        for name in ("discount", "lambda_"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, found {getattr(self, name)}")
        if not 0.0 < self.ratio_clip < 1.0:
            raise ValueError(f"ratio_clip must be between 0 and 1, found {self.ratio_clip}")
        for name in ("value_clip", "stop_at_kl"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, found {value}")
        for name in ("ptx_coefficient", "ptx_examples_a_minibatch"):
            _require_at_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class CriticOptions:
    """The critic is trained alone first, until its loss gains less than `flat_gain` over `flat_window`
    updates.
    """

    start: Literal["reward_model", "policy"] = "reward_model"
    pretraining_updates: int = 50  # at most; 0: none
    flat_window: int = 10
    flat_gain: float = 0.01

    def __post_init__(self) -> None:
        _require_at_least("pretraining_updates", self.pretraining_updates, 0)
        _require_at_least("flat_window", self.flat_window, 1)
        if not 0.0 <= self.flat_gain < 1.0:
            raise ValueError(f"flat_gain must be at least 0 and below 1, found {self.flat_gain}")


@dataclass(frozen=True, kw_only=True)
class PPOWatchingOptions:
    evaluate_every_steps: int = 0  # 0: only before and after training
    evaluation_prompts: int = 256  # held-out prompts in each evaluation, the first ones of the file
    samples: int = 4  # texts written to samples.jsonl at each step

    def __post_init__(self) -> None:
        for name in ("evaluate_every_steps", "samples"):
            _require_at_least(name, getattr(self, name), 0)
        _require_at_least("evaluation_prompts", self.evaluation_prompts, 1)


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    policy: ModelOptions
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    policy_optimiser: OptimiserOptions
    critic_optimiser: OptimiserOptions
    reference: ModelSource | None = None  # None: the policy as it is at the start
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    rollout: RolloutOptions = field(default_factory=RolloutOptions)
    reward: RewardOptions = field(default_factory=RewardOptions)
    algorithm: AlgorithmOptions = field(default_factory=AlgorithmOptions)
    critic: CriticOptions = field(default_factory=CriticOptions)
    watching: PPOWatchingOptions = field(default_factory=PPOWatchingOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        n = self.rollout.samples_a_prompt
        if self.algorithm.responses_a_minibatch % n:
            raise ValueError(
                f"algorithm.responses_a_minibatch {self.algorithm.responses_a_minibatch} must be a multiple of "
                f"rollout.samples_a_prompt {n}: the responses of a prompt are updated together"
            )
        if self.policy.dropout:
            raise ValueError(
                f"policy.dropout is {self.policy.dropout}; PPO needs 0, or the first ratio is not 1"
            )


def _require_at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, found {value}")
