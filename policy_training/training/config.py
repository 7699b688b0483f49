"""Options of the policy's commands. Light: no torch, so that the web process may build them."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from learning.interface.options import added_option
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    TokenizerOptions,
    require_at_least,
)
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.server_config import ServerOptions


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How a token is drawn, but for the temperature."""

    top_p: float = 1.0  # 1: off
    top_k: int = 0  # 0: off
    repetition_penalty: float = 1.0  # 1: off
    # Which tokens are penalised: those written so far (Secrets of RLHF I, 6.1), or the prompt's too (transformers).
    repetition_penalty_scope: Literal["response", "prompt_and_response"] = "response"
    batch_size: int = 256  # responses generated together

    def __post_init__(self) -> None:
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be above 0 and at most 1, found {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, found {self.top_k}")
        if not self.repetition_penalty > 0:
            raise ValueError(f"repetition_penalty must be positive, found {self.repetition_penalty}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {self.batch_size}")

    def require_known_to_servers(self) -> None:
        """Raises ValueError for what a server that samples could not heed."""
        if self.repetition_penalty != 1 and self.repetition_penalty_scope == "response":
            raise ValueError(
                "repetition_penalty_scope is 'response', and servers penalise the prompt's tokens too: set it to "
                "'prompt_and_response', repetition_penalty to 1, or sample without a server"
            )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(DecodingOptions):
    """How a token is drawn. Only evaluation may truncate: PPO's rollouts need the policy's own distribution."""

    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a positive number, found {self.temperature}")

    def require_untruncated(self) -> None:
        """Raises ValueError, naming the option, where the sampled distribution is not the policy's own."""
        for name, neutral in (("top_p", 1.0), ("top_k", 0), ("repetition_penalty", 1.0)):
            if getattr(self, name) != neutral:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; rollouts that train are sampled from the policy itself, "
                    f"so it must stay {neutral} (with anything else every update is off-policy from the start)"
                )


@dataclass(frozen=True, kw_only=True)
class ServedSamplingOptions(SamplingOptions):
    """How a token is drawn, and by whom."""

    # That samples instead of this program.
    server: ServerOptions = added_option(ServerOptions(), before=ServerOptions())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.server.name:
            self.require_known_to_servers()


@dataclass(frozen=True, kw_only=True)
class LanguageModelDataOptions:
    """How texts become optimizer steps, for pretraining and SFT.

    With `packing` a row of `max_length` tokens is filled with whole conversations that do not see each other,
    without it a row holds one conversation. `steps`, when given, overrides `epochs`.
    """

    packing: bool = False
    examples_per_step: int = 64  # rows: conversations, or packed sequences; texts mixed in are among them
    max_length: int = 1024  # tokens of a packed sequence
    epochs: float = 1.0  # over the demonstrations, where texts are mixed in
    steps: int | None = None
    # The checkpoint of each epoch's end stays, also when the run is done: to choose the best by a reward model's score.
    keep_epoch_ends: bool = added_option(False, before=False)
    # Of SFT only. Every assistant turn of a demonstration is learned, not only the last.
    every_assistant_turn: bool = False
    texts_share: float = 0.0  # of the rows: pretraining texts, of which every token counts
    # Demonstrations whose response has fewer or more tokens (the end not counted) are left out.
    min_demonstration_tokens: int = 0
    max_demonstration_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("examples_per_step", "max_length"):
            require_at_least(name, getattr(self, name), 1)
        if not 0.0 <= self.texts_share < 1.0:
            raise ValueError(f"texts_share must be at least 0 and below 1, found {self.texts_share}")
        require_at_least("min_demonstration_tokens", self.min_demonstration_tokens, 0)
        if self.max_demonstration_tokens is not None:
            require_at_least(
                "max_demonstration_tokens",
                self.max_demonstration_tokens,
                max(1, self.min_demonstration_tokens),
            )
        if self.epochs <= 0:
            raise ValueError(f"epochs must be positive, found {self.epochs}")
        if self.steps is not None:
            require_at_least("steps", self.steps, 1)


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """Options of `pretrain` (the loss counts every token) and `sft` (the loss counts the responses)."""

    model: ModelOptions
    optimizer: OptimizerOptions
    batch: BatchOptions = field(default_factory=BatchOptions)
    data: LanguageModelDataOptions = field(default_factory=LanguageModelDataOptions)
    tokenizer: TokenizerOptions = field(
        default_factory=TokenizerOptions
    )  # read for a model from scratch only
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        self.model.require_whole_base(self.runtime.zero_stage)


@dataclass(frozen=True, kw_only=True)
class GuidanceOptions:
    """A critic leads the sampling: each candidate for the next token is drawn by the policy's probability times
    exp(coefficient times the critic's value of the response with it) (Liu et al. 2023). Without a policy none does.
    """

    policy: str = ""  # name of a policy that PPO made: the critic that its run has left
    path: str = ""  # the critic's folder; filled in by the site
    coefficient: float = (
        1.0  # per unit of the critic's value: the larger, the further from the policy's own answers
    )
    candidates: int = 10  # the most probable tokens, of which one is drawn; each costs the critic a token

    @property
    def leads(self) -> bool:
        return bool(self.policy or self.path)

    def require_own_sampling(self) -> None:
        """Of a sampling by a server. Raises ValueError."""
        if self.leads:
            raise ValueError(
                "guidance needs the policy's probabilities of every token: sample without a server"
            )

    def __post_init__(self) -> None:
        if not math.isfinite(self.coefficient):
            raise ValueError(f"coefficient must be a number, found {self.coefficient}")
        require_at_least("candidates", self.candidates, 2)


@dataclass(frozen=True, kw_only=True)
class SampleOptions(DecodingOptions):
    """How responses are drawn for annotation: every prompt at every temperature."""

    temperatures: tuple[float, ...] = (1.0,)
    max_prompt_tokens: int = 512
    max_response_tokens: int = 256
    # That samples instead of this program.
    server: ServerOptions = added_option(ServerOptions(), before=ServerOptions())
    guidance: GuidanceOptions = added_option(GuidanceOptions(), before=GuidanceOptions())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.server.name:
            self.require_known_to_servers()
            self.guidance.require_own_sampling()
        for name in ("max_prompt_tokens", "max_response_tokens"):
            require_at_least(name, getattr(self, name), 1)
        if not self.temperatures:
            raise ValueError("temperatures must be one or more positive numbers, found none")
        if len(set(self.temperatures)) != len(self.temperatures):
            raise ValueError(f"temperatures must differ from each other, found {self.temperatures}")
        for temperature in self.temperatures:
            self.at(temperature)

    def at(self, temperature: float) -> SamplingOptions:
        """Raises ValueError for a temperature that is not a positive number."""
        decoding = {option.name: getattr(self, option.name) for option in fields(DecodingOptions)}
        return SamplingOptions(temperature=temperature, **decoding)


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Options of `sample`: every prompt x every temperature x n."""

    policy: ModelSource
    policy_name: str = ""  # written into the rows' `policy` column
    samples_per_prompt: int = 1
    sampling: SampleOptions = field(default_factory=SampleOptions)
    id_prefix: str = ""  # set in front of every response_id, so that ids of several runs never meet
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        require_at_least("samples_per_prompt", self.samples_per_prompt, 1)


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Options of `serve_policy`: a policy that stays loaded and answers conversations."""

    policy: ModelSource
    host: str = "127.0.0.1"  # address to listen on
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    max_prompt_tokens: int = (
        2048  # longer conversations lose their earliest turns; less where the model's context is
    )
    max_response_tokens: int = 1024  # what one answer may ask for at most
    max_waiting_requests: int = 64  # more are refused
    # Nobody has asked what an answer says by now for so long: it is not written any further.
    abandoned_after_seconds: float = 60.0
    # It ends by itself when nobody has asked for its status for so long: who started it is gone.
    orphaned_after_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_prompt_tokens", "max_response_tokens", "max_waiting_requests"):
            require_at_least(name, getattr(self, name), 1)
        if self.abandoned_after_seconds <= 0:
            raise ValueError(
                f"abandoned_after_seconds must be positive, found {self.abandoned_after_seconds}"
            )


@dataclass(frozen=True, kw_only=True)
class AdoptConfig:
    """Options of `adopt`: a run's checkpoint becomes a policy."""

    checkpoint_path: str  # the folder of a checkpoint
    policy: ModelSource  # what the run started from
    # A folder, where that is a model from scratch: the tokenizer that its run trained.
    tokenizer_path: str = added_option("", before="")
    # A model of the shape of PPO's critic, which then becomes the policy's; null: the policy alone is adopted.
    critic: ModelSource | None = added_option(None, before=None)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Options of `evaluate`: sample on held-out prompts, score, and measure the KL to a reference."""

    policy: ModelSource
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    reference: ModelSource | None = None  # None: no KL
    # The reference answers the same prompts, and the scores say who wins on each, overall and by the prompts' tags.
    against_reference: bool = True
    policy_name: str = added_option("", before="")  # of {policy} in sampling.server.model
    samples_per_prompt: int = 1
    # A server that samples must have this very policy; the reference answers in this program.
    sampling: ServedSamplingOptions = field(default_factory=ServedSamplingOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_model_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    logged_samples: int = 16  # texts written to samples.jsonl
    rewards: RewardSourcesOptions = field(default_factory=RewardSourcesOptions)
    # Of the policy's answers alone; the reference answers by itself.
    guidance: GuidanceOptions = added_option(GuidanceOptions(), before=GuidanceOptions())
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        if self.rewards.whiten:
            raise ValueError("rewards.whiten is for training; an evaluation reports the scores themselves")
        if self.rewards.normalize_models and self.reference is None:
            raise ValueError(
                "rewards.normalize_models measures by the reference's answers, and there is no reference; name one"
            )
        if self.rewards.judge.server.name and self.samples_per_prompt < 2:
            raise ValueError(
                "rewards.judge compares a prompt's answers with each other; set samples_per_prompt to at least 2"
            )
        if self.sampling.server.name:
            self.sampling.server.require_policy_itself("sampling.server")
            self.guidance.require_own_sampling()
        require_at_least("samples_per_prompt", self.samples_per_prompt, 1)
        require_at_least("logged_samples", self.logged_samples, 0)
