"""Option classes that every trainer shares. Light: the web process builds configurations from them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from learning.interface.options import added_option

Architecture = Literal["llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt"]
Layout = Literal["shared_prompt", "padded"]
Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["torch", "deepspeed"]
ZERO_STAGES = (0, 1, 2, 3)
MAX_PROCESSES = 64  # of one run, on one machine


@dataclass(frozen=True, kw_only=True)
class ModelArchitecture:
    """Shape of a model that starts from random weights; the tokenizer gives the vocabulary."""

    architecture: Architecture = "llama"
    hidden_size: int = 64
    intermediate_size: int = 192
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int | None = None  # None: as many as heads (no grouped-query attention)
    max_position_embeddings: int = 512
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
        ):
            require_at_least(name, getattr(self, name), 1)
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.num_key_value_heads is not None:
            require_at_least("num_key_value_heads", self.num_key_value_heads, 1)
            if self.num_attention_heads % self.num_key_value_heads:
                raise ValueError(
                    f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                    f"num_key_value_heads {self.num_key_value_heads}"
                )
            if self.architecture in ("gpt2", "gpt_neox", "opt"):
                raise ValueError(f"num_key_value_heads is not an option of {self.architecture}; leave it out")
        if self.initializer_range <= 0:
            raise ValueError(f"initializer_range must be positive, found {self.initializer_range}")


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a model comes from: one of a folder, a hub id, or an architecture to start from scratch."""

    path: str | None = None
    hub_id: str | None = None
    revision: str | None = None
    from_scratch: ModelArchitecture | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("path", "hub_id", "from_scratch") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of path, hub_id and from_scratch, found {' and '.join(given) or 'none'}"
            )
        if self.revision is not None and self.hub_id is None:
            raise ValueError(f"revision {self.revision!r} belongs to a hub_id, and none is given")

    @property
    def location(self) -> str:
        """What `from_pretrained` takes first: the folder or the hub id."""
        return self.path or self.hub_id or ""

    @property
    def short_name(self) -> str:
        """What a model is called that nobody has named: its folder's name, or its hub id."""
        return Path(self.path).name if self.path else self.hub_id or ""

    @property
    def from_pretrained_options(self) -> dict[str, Any]:
        """A path never reaches for the network, and nothing runs code that came with a model."""
        options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": self.path is not None}
        return options | ({"revision": self.revision} if self.revision else {})

    @property
    def display_name(self) -> str:
        return self.location or "the model from scratch"


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions:
    """The tokenizer of a model that starts from random weights; any other start brings its own."""

    path: str | None = None  # a folder with a tokenizer; None trains one on the training texts
    vocabulary_size: int = 2048

    def __post_init__(self) -> None:
        if self.vocabulary_size < 300:
            raise ValueError(
                f"vocabulary_size is {self.vocabulary_size}, below the 256 bytes and the special tokens"
            )


@dataclass(frozen=True, kw_only=True)
class LoraOptions:
    """LoRA (Hu et al. 2021): the weights stay as they are, and small matrices beside them are trained."""

    rank: int = 0  # of the trained matrices; 0: no LoRA, every weight is trained
    alpha: float = 32.0  # what they add is multiplied by alpha / rank
    # Linear layers of the trunk: all, or names with commas between (q_proj, v_proj).
    target_modules: str = "all"
    # Of the weights beneath. int8: linear layers of the trunk take 8 bit a weight, a quarter of the memory, and more
    # time.
    base_precision: Literal["full", "int8"] = added_option("full", before="full")

    def __post_init__(self) -> None:
        require_at_least("rank", self.rank, 0)
        if self.base_precision != "full" and not self.rank:
            raise ValueError(
                f"base_precision is {self.base_precision!r}, and rank is 0: weights in 8 bit cannot be trained, so "
                "give rank a number (LoRA), or set base_precision to 'full'"
            )
        if self.alpha <= 0:
            raise ValueError(f"alpha must be positive, found {self.alpha}")
        if self.target_modules != "all" and not self.module_names:
            raise ValueError('target_modules is empty: write "all", or names of layers')

    @property
    def module_names(self) -> tuple[str, ...]:
        """Of the layers that are named; none where all are meant."""
        return () if self.target_modules == "all" else tuple(re.findall(r"[\w.]+", self.target_modules))


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A model to train. `dropout` replaces every dropout probability of the architecture."""

    source: ModelSource
    dropout: float = 0.0
    gradient_checkpointing: bool = False  # less memory: activations are computed again for the backward pass
    lora: LoraOptions = field(default_factory=LoraOptions)

    def __post_init__(self) -> None:
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), found {self.dropout}")
        if self.lora.rank and self.source.from_scratch is not None:
            raise ValueError(
                f"lora.rank is {self.lora.rank}, and a model from scratch has nothing to add to; set it to 0"
            )

    def require_whole_base(self, zero_stage: int) -> None:
        """Raises ValueError for a base in 8 bit whose weights DeepSpeed would divide among processes."""
        if self.lora.base_precision != "full" and zero_stage == 3:
            raise ValueError(
                f"lora.base_precision {self.lora.base_precision!r} needs whole weights in every process: use a "
                "zero_stage below 3, or set base_precision to 'full'"
            )


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """AdamW and its learning-rate schedule. Schedules count optimizer steps, never seconds."""

    learning_rate: float
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_steps: int = 0
    warmup_ratio: float = 0.0  # of all steps; the larger of the two warm-ups counts
    warmup_start_ratio: float = 0.0  # of the peak, where the warm-up begins
    min_lr_ratio: float = 0.1  # of the peak, where linear and cosine end
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.0  # on matrices only: biases, norms and other vectors are left alone
    max_grad_norm: float = 1.0  # global norm; 0 turns clipping off

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be positive, found {self.learning_rate}")
        for name in ("warmup_steps", "weight_decay", "max_grad_norm"):
            require_at_least(name, getattr(self, name), 0)
        for name in ("warmup_ratio", "warmup_start_ratio", "min_lr_ratio"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, found {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be in [0, 1), found {getattr(self, name)}")
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be positive, found {self.epsilon}")


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Limits on lengths, and how many tokens one forward pass may hold (padding counted)."""

    max_prompt_tokens: int = 512
    max_response_tokens: int = 256
    # Of one forward pass. "auto": by device and width of the model (learning.micro_batch_size.py).
    max_micro_batch_tokens: int | Literal["auto"] = "auto"
    layout: Literal["auto", "shared_prompt", "padded"] = "auto"

    def __post_init__(self) -> None:
        for name in ("max_prompt_tokens", "max_response_tokens"):
            require_at_least(name, getattr(self, name), 1)
        if self.max_micro_batch_tokens != "auto":
            require_at_least("max_micro_batch_tokens", self.max_micro_batch_tokens, 1)

    @property
    def max_sequence_tokens(self) -> int:
        """Of a prompt with its response."""
        return self.max_prompt_tokens + self.max_response_tokens

    @property
    def micro_batch_tokens(self) -> int:
        """max_micro_batch_tokens, which somebody has made a number by now."""
        if self.max_micro_batch_tokens == "auto":
            raise RuntimeError('max_micro_batch_tokens is "auto" still; resolve it once the model is loaded')
        return self.max_micro_batch_tokens


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Evaluation on held-out data during training; before and after it, each recipe has its own."""

    evaluate_every_steps: int = 0  # 0: not during training
    max_examples: int = 256  # held-out examples in each evaluation, the first ones of the file
    logged_samples: int = 4  # texts or comparisons written to samples.jsonl each time

    def __post_init__(self) -> None:
        for name in ("evaluate_every_steps", "max_examples", "logged_samples"):
            require_at_least(name, getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """How a run is executed. Bit-exact resumption needs all of it unchanged."""

    threads: int = 1  # the fastest up to a width of about 512, whatever else runs (docs/benchmarks.md)
    seed: int = 0
    dtype: Literal["fp32", "bf16"] = "fp32"  # bf16: weights stay fp32, forward passes are autocast
    device: Device = "cpu"
    backend: Backend = "torch"
    zero_stage: int = 0
    checkpoint_every_steps: int = 100
    keep_checkpoints: int = 2  # the newest ones; the best is kept beside them
    # Steps (200, 400) whose checkpoints are written and stay, also when the run is done.
    keep_steps: tuple[int, ...] = added_option((), before=())

    def __post_init__(self) -> None:
        for name in ("threads", "checkpoint_every_steps", "keep_checkpoints"):
            require_at_least(name, getattr(self, name), 1)
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be between 0 and 2^32 - 1, found {self.seed}")
        if self.zero_stage not in ZERO_STAGES:
            raise ValueError(f"zero_stage must be 0, 1, 2 or 3, found {self.zero_stage}")
        if self.zero_stage and self.backend == "torch":
            raise ValueError(f'zero_stage {self.zero_stage} needs backend "deepspeed", found "torch"')
        for step in self.keep_steps:
            require_at_least("keep_steps", step, 1)

    def require_processes(self, processes: int) -> None:
        """Raises ValueError for a number of processes that no run has."""
        if not 1 <= processes <= MAX_PROCESSES:
            raise ValueError(f"processes must be between 1 and {MAX_PROCESSES}, found {processes}")


def require_at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, found {value}")
