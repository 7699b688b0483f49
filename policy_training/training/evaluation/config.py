"""Options of measuring a policy on tasks. Light: no torch, so that the web process may build them."""

from dataclasses import dataclass, field, replace

from learning.interface.options import added_option
from learning.interface.training_options import BatchOptions, ModelSource, RuntimeOptions, require_at_least
from policy_training.training.config import GuidanceOptions, ServedSamplingOptions
from policy_training.training.judge_config import CHAT, JudgeOptions
from policy_training.training.server_config import ServerOptions

MAX_FURTHER_MODELS = 15  # all are in memory together


@dataclass(frozen=True, kw_only=True)
class JudgeTasksConfig:
    """Options of `judge_tasks`: a language model judges tasks of people's."""

    judge: JudgeOptions
    logged_samples: int = 16  # comparisons written to samples.jsonl
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        require_at_least("logged_samples", self.logged_samples, 0)
        if not self.judge.server.name:
            raise ValueError("judge.server.name is empty; name the server that judges")
        if self.judge.weight != 1.0:
            raise ValueError(f"judge.weight is of a reward; here it must stay 1, found {self.judge.weight}")


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Options of `benchmark`. A generated answer is the likeliest token at each place, of at most
    batch.max_response_tokens tokens.
    """

    policy: ModelSource
    # Solved examples of its task that stand before each prompt, as earlier turns; None: all that the file has.
    few_shot: int | None = None
    batch: BatchOptions = field(default_factory=BatchOptions)
    batch_size: int = 64  # answers generated together
    logged_samples: int = 16  # texts written to samples.jsonl, of each task
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        if self.few_shot is not None:
            require_at_least("few_shot", self.few_shot, 0)
        require_at_least("batch_size", self.batch_size, 1)
        require_at_least("logged_samples", self.logged_samples, 0)


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Whom the policy is compared with: a policy's folder, a checkpoint of a training that started from the policy, an
    outside model on a server, or (none of these) whoever gave the answers of inputs/answers.
    """

    name: str
    source: ModelSource | None = None
    checkpoint_path: str = ""
    step: int | None = None  # of the training
    outside_model: str = added_option("", before="")  # as the server of outside models calls it

    def __post_init__(self) -> None:
        if sum(map(bool, (self.source, self.checkpoint_path, self.outside_model))) > 1:
            raise ValueError(
                f"{self.name} is two of a folder, a checkpoint and an outside model; name one of them"
            )

    @property
    def answers_itself(self) -> bool:
        return bool(self.source or self.checkpoint_path or self.outside_model)


@dataclass(frozen=True, kw_only=True)
class FurtherRewardModel:
    """Another reward model that scores the same answers; its base and tokenizer may be its own."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True)
class ComparePoliciesConfig:
    """Options of `compare`: a policy and others answer the same prompts; reward models and a judge say who wins."""

    policy: ModelSource
    reward_model_path: str
    # Each says by itself who wins, in scores of its own: nothing is added up.
    further_reward_models: tuple[FurtherRewardModel, ...] = added_option((), before=())
    others: tuple[Contestant, ...] = ()
    judge: JudgeOptions = field(default_factory=JudgeOptions)  # without a server no model judges
    policy_name: str = added_option("", before="")  # of {policy} in sampling.server.model
    # A server that samples must have this very policy, and all the others that are policies ({policy} in its model).
    sampling: ServedSamplingOptions = field(default_factory=ServedSamplingOptions)
    # That has the outside models, which the others name.
    outside: ServerOptions = added_option(CHAT, before=CHAT)
    # Of the answers of the policy that is compared; the others answer by themselves.
    guidance: GuidanceOptions = added_option(GuidanceOptions(), before=GuidanceOptions())
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_model_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    logged_samples: int = 8  # prompts whose answers are written to samples.jsonl
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)

    def __post_init__(self) -> None:
        if not self.others:
            raise ValueError("others is empty; name whom the policy is compared with")
        if len({other.name for other in self.others}) < len(self.others):
            raise ValueError("others: two have the same name")
        further = self.further_reward_models
        if len(further) > MAX_FURTHER_MODELS:
            raise ValueError(f"further_reward_models: at most {MAX_FURTHER_MODELS}, found {len(further)}")
        paths = [self.reward_model_path, *(model.path for model in further)]
        if len({model.name for model in further}) < len(further) or len(set(paths)) < len(paths):
            raise ValueError("further_reward_models: one stands twice; name each reward model once")
        if self.sampling.server.name:
            self.sampling.server.require_policy_itself("sampling.server")
            self.guidance.require_own_sampling()
            policies = sum(other.source is not None for other in self.others)
            self.sampling.server.require_model_of_each("sampling.server", 1 + policies)
            if any(other.checkpoint_path for other in self.others):
                raise ValueError(
                    "sampling.server.name is given, and no server has the checkpoints of a training: sample without a "
                    "server"
                )
        if self.outside.model:
            raise ValueError("outside.model must be empty: the others name their models")
        for other in self.others:
            if other.outside_model:
                if not self.outside.name:
                    raise ValueError(f"outside.name is empty; name the server that has {other.outside_model}")
                replace(self.outside, model=other.outside_model).require_outside("outside")
                self.sampling.require_known_to_servers()
        require_at_least("logged_samples", self.logged_samples, 0)
        if self.judge.weight != 1.0:
            raise ValueError(f"judge.weight is of a reward; here it must stay 1, found {self.judge.weight}")
