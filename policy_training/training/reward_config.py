"""Where a policy's reward comes from: one reward model, several, functions. Light: no torch."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from learning.interface.options import added_option
from learning.interface.training_options import BatchOptions, require_at_least
from policy_training.training.judge_config import JudgeOptions

MAIN_PART = "reward_model"  # the part that `reward_model_path` names
JUDGE_PART = "judge"
MAX_PARTS = 16

# Functions that come with the program; others are named in the setting ROUNDTABLE_REWARD_FUNCTIONS.
LENGTH_PENALTY = "policy_training.training.rewards.functions.length_penalty"
EXACT_ANSWER = "policy_training.training.rewards.functions.exact_answer"
BUILT_IN_FUNCTIONS = (LENGTH_PENALTY, EXACT_ANSWER)


@dataclass(frozen=True, kw_only=True)
class RewardModelPart:
    """A further reward model, by name or as the newest of a criterion. Its base and its tokenizer may be its own."""

    name: str = ""  # of a reward model of the project, or what logs call it
    # In place of a name: the newest reward model that learned this criterion alone when the run is asked for. The site
    # fills in its name beside it, so that the run says which one it was.
    criterion: str = added_option("", before="")
    path: str = ""  # its folder; the site fills it in by the name
    weight: float = 1.0  # read by `weighted_sum`
    # In its own tokens; None: as that of the first reward model, from which the site fills in what is not named.
    batch: BatchOptions | None = None

    def __post_init__(self) -> None:
        if not part_key(self.name) and (self.name or not self.criterion):
            raise ValueError(f"name is {self.name!r}; give the name of a reward model, or a criterion")
        if self.path and not self.name:
            raise ValueError(f"path is {self.path!r} and name is empty; give the reward model there a name")
        _require_number("weight", self.weight)

    @property
    def key(self) -> str:
        """What metrics call it; no reward model's key where its name is not known yet."""
        return part_key(self.name) or f"newest of {self.criterion}"


@dataclass(frozen=True, kw_only=True)
class RewardFunctionPart:
    """A function of prompts, responses and the prompts' records, added to what the reward models make together."""

    function: str  # package.module.function, of those that the settings allow
    weight: float = 1.0
    # For the responses of one step; a function that takes longer ends the run.
    time_limit_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", self.function):
            raise ValueError(f"function is {self.function!r}; write it as package.module.function")
        _require_number("weight", self.weight)
        if not 0 < self.time_limit_seconds <= 86_400:
            raise ValueError(
                f"time_limit_seconds must be above 0 and at most 86400, found {self.time_limit_seconds}"
            )


@dataclass(frozen=True, kw_only=True)
class RewardSourcesOptions:
    """How several reward models become one score. With one model and no function it is that model's score."""

    # weighted_sum: each score times its weight. safety_gate (Llama 2, 3.2.3): the first model scores helpfulness, the
    # one further model safety; where safety is below the threshold, or the prompt has the tag, its score counts, else
    # helpfulness. ensemble: the mean of the models' scores minus spread_coefficient times their standard deviation.
    combination: Literal["weighted_sum", "safety_gate", "ensemble"] = "weighted_sum"
    weight: float = 1.0  # of the first reward model; read by weighted_sum
    models: tuple[RewardModelPart, ...] = ()
    functions: tuple[RewardFunctionPart, ...] = ()
    # Each model's score minus its mean, divided by its standard deviation: those of the policy's answers before
    # training (in an evaluation: of the reference's answers), so that the weights compare like with like.
    normalize_models: bool = False
    normalization_prompts: int = 64  # so many prompts are answered for it, once
    safety_threshold: float = 0.15  # a probability, 1 / (1 + exp(-score)); Llama 2, 3.2.3
    risky_tag: str = (
        ""  # prompts with this tag are scored by the safety model; empty: the threshold alone decides
    )
    spread_coefficient: float = 1.0  # read by ensemble
    # The step's scores minus their mean, divided by their standard deviation (Llama 2, 3.2.3: whitened), instead of the
    # running moments of reward.normalize.
    whiten: bool = False
    # A language model that compares a prompt's answers with each other; its reward is added.
    judge: JudgeOptions = added_option(JudgeOptions(), before=JudgeOptions())

    def __post_init__(self) -> None:
        _require_number("weight", self.weight)
        _require_number("spread_coefficient", self.spread_coefficient)
        require_at_least("normalization_prompts", self.normalization_prompts, 2)
        if not 0.0 <= self.safety_threshold < 1.0:
            raise ValueError(f"safety_threshold is a probability below 1, found {self.safety_threshold}")
        if len(self.models) + len(self.functions) >= MAX_PARTS:
            raise ValueError(f"models and functions: at most {MAX_PARTS - 1} together")
        names = [MAIN_PART, *(part.key for part in self.models)]
        names += [function_key(part.function) for part in self.functions]
        names += [JUDGE_PART] if self.judge.server.name else []
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"models and functions must have names of their own; {twice!r} stands twice")
        if self.combination == "safety_gate" and len(self.models) != 1:
            raise ValueError(
                f"combination is 'safety_gate', which takes one further model (safety), found {len(self.models)}"
            )
        if self.combination == "safety_gate" and self.normalize_models:
            raise ValueError(
                "normalize_models moves the scores, and safety_threshold reads the safety model's own: with "
                "'safety_gate' it must be false"
            )
        if self.combination == "ensemble" and not self.models:
            raise ValueError("combination is 'ensemble', which takes one further model at least, found none")

    @property
    def is_single(self) -> bool:
        """One reward model's score as it is."""
        several = self.models or self.functions or self.judge.server.name or self.normalize_models
        return not several and self.weight == 1.0

    @property
    def safety_logit(self) -> float:
        """The score whose probability is safety_threshold."""
        if self.safety_threshold == 0.0:
            return -math.inf
        return math.log(self.safety_threshold / (1.0 - self.safety_threshold))


def part_key(name: str) -> str:
    """A reward model's name as metrics have it: letters, digits and underscores."""
    return re.sub(r"\W+", "_", name).strip("_")[:60]


def function_key(function: str) -> str:
    """A function's name as metrics have it: without its module."""
    return function.rpartition(".")[2][:60]


def _require_number(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, found {value}")
