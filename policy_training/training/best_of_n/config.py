"""Options of best-of-n fine-tuning. Light: no torch, so that the web process may build them."""

from dataclasses import dataclass, field
from typing import Literal

from learning.interface.options import added_option
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
from policy_training.training.config import (
    LanguageModelConfig,
    LanguageModelDataOptions,
    SamplingOptions,
    ServedSamplingOptions,
)
from policy_training.training.reward_config import RewardSourcesOptions

OUTSIDE = -2  # the sampler of answers of an outside model

# Options that its sections share with other recipes: of rewards that are measured step by step, of demonstrations.
NOT_FOR_BEST_OF_N = (
    ("rewards", ("whiten", "normalize_models", "normalization_prompts")),
    ("alarms", ("window",)),
    ("data", ("every_assistant_turn", "texts_share", "min_demonstration_tokens", "max_demonstration_tokens")),
)


@dataclass(frozen=True, kw_only=True)
class CandidateOptions:
    """How many answers a prompt gets, and which of them are learned."""

    # Of each policy that answers, at each temperature; 0: none, where answers that are there already are taken.
    samples_per_prompt: int = 8
    temperatures: tuple[
        float, ...
    ] = ()  # each policy answers at each of them; empty: at sampling.temperature
    # Whose answers a server's are (sampling.server). policies: those of the policies that answer, all of which it has.
    # outside: those of a model that is no policy here, which answers alone. outside_and_policies: such a model answers
    # beside the policies, which answer in this program.
    server_answers: Literal["policies", "outside", "outside_and_policies"] = added_option(
        "policies", before="policies"
    )
    keep: int = 1  # answers of a prompt that are learned: those that score highest; the same text counts once
    # Where answers share the last place that is kept: the one sampled first, or all of them.
    ties: Literal["first", "all"] = "first"
    min_score: float | None = None  # answers below it are not learned; a prompt may be left with none
    only_ended: bool = (
        True  # answers that were cut off at the limit are not learned: they would teach never to end
    )

    def __post_init__(self) -> None:
        require_at_least("samples_per_prompt", self.samples_per_prompt, 0)
        require_at_least("keep", self.keep, 1)
        if len(set(self.temperatures)) != len(self.temperatures):
            raise ValueError(f"temperatures {self.temperatures}: name each once")
        for temperature in self.temperatures:
            SamplingOptions(temperature=temperature)  # what it refuses


@dataclass(frozen=True, kw_only=True)
class StoredAnswersOptions:
    """Answers that are there already (input `candidates`), beside those that are sampled."""

    use: bool = False
    score_again: bool = False  # also those that the reward model has scored before

    def __post_init__(self) -> None:
        if self.score_again and not self.use:
            raise ValueError("score_again: no answers that are there already are taken")


@dataclass(frozen=True, kw_only=True)
class FreshSource:
    """Whose samples a set of candidates is."""

    sampler: int  # place among the policies that answer, or OUTSIDE
    name: str  # of the policy, or what the server calls its model
    temperature: float


@dataclass(frozen=True, kw_only=True)
class BestOfNConfig:
    model: ModelOptions  # what is fine-tuned
    reward_model_path: str  # a reward model's folder; its base and tokenizer may be others than the policy's
    optimizer: OptimizerOptions
    samplers: tuple[ModelSource, ...] = ()  # the policies that answer; empty: the one that is fine-tuned
    sampler_names: tuple[str, ...] = ()  # what reports call them; empty: by their folders
    rewards: RewardSourcesOptions = field(default_factory=RewardSourcesOptions)
    reward_model_batch: BatchOptions | None = None  # in the reward model's tokens; None: as `batch`
    candidates: CandidateOptions = field(default_factory=CandidateOptions)
    stored: StoredAnswersOptions = field(default_factory=StoredAnswersOptions)
    # A server draws the candidates alone; the figures before and after are of answers that this program draws.
    sampling: ServedSamplingOptions = field(default_factory=ServedSamplingOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)
    data: LanguageModelDataOptions = field(default_factory=LanguageModelDataOptions)
    alarms: AlarmOptions = field(default_factory=AlarmOptions)  # after the fine-tuning beside before it
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        self.model.require_whole_base(self.runtime.zero_stage)
        require_at_least("evaluation.max_examples", self.evaluation.max_examples, 1)
        if self.model.source.from_scratch is not None:
            raise ValueError(
                "model.source: best-of-n starts from a policy that answers already, not from scratch"
            )
        if self.alarms.action == "pause":
            raise ValueError(
                "alarms.action 'pause': best-of-n measures its answers once it has learned them; choose note or off"
            )
        if self.candidates.samples_per_prompt == 0 and not self.stored.use:
            raise ValueError(
                "candidates.samples_per_prompt is 0: without samples, take answers that are there already"
            )
        if self.sampler_names and len(self.sampler_names) != len(self.answering):
            raise ValueError(
                f"sampler_names: {len(self.sampler_names)} names for {len(self.answering)} policies"
            )
        if self.candidates.server_answers != "policies":
            self.sampling.server.require_outside("sampling.server")
        self.require_answering(len(self.samplers))
        fresh = self.candidates.samples_per_prompt * len(self.fresh_sources)
        if self.rewards.judge.server.name and fresh < 2 and not self.stored.use:
            raise ValueError(
                "rewards.judge compares a prompt's answers with each other, and there is one of each; set "
                "candidates.samples_per_prompt to at least 2"
            )
        for section, names in NOT_FOR_BEST_OF_N:
            options = getattr(self, section)
            plain = type(options)()
            for name in names:
                if getattr(options, name) != getattr(plain, name):
                    raise ValueError(
                        f"{section}.{name} is {getattr(options, name)}, which best-of-n does not have: leave it out"
                    )

    def require_answering(self, named: int) -> None:
        """Raises ValueError where so many policies that are named to answer do not fit who the server answers for."""
        if named and self.candidates.server_answers == "outside":
            raise ValueError(
                "candidates.server_answers is 'outside', so the outside model answers alone, and policies are named "
                "that answer: leave them out, or choose 'outside_and_policies'"
            )
        if self.candidates.server_answers == "policies":
            self.sampling.server.require_model_of_each("sampling.server", named)
            self.sampling.server.require_checked_tokens("sampling.server")

    def require_current_policy(self, where: str) -> None:
        """Raises ValueError for a fixed model of the server where the policy that answers is yet to be made."""
        server = self.sampling.server
        is_fixed = server.model and "{policy}" not in server.model
        if self.candidates.server_answers == "policies" and server.name and is_fixed:
            raise ValueError(
                f"{where}.sampling.server.model is {server.model!r}, and the step before makes the policy that "
                "answers: write {policy} in it, which is that policy's name"
            )

    @property
    def answering(self) -> tuple[ModelSource, ...]:
        return self.samplers or (self.model.source,)

    @property
    def sampled_by(self) -> tuple[ModelSource, ...]:
        """None where an outside model answers alone."""
        return () if self.candidates.server_answers == "outside" else self.answering

    @property
    def fresh_sources(self) -> tuple[FreshSource, ...]:
        """Every policy that answers and an outside model, at every temperature; none where nothing is sampled."""
        if not self.candidates.samples_per_prompt:
            return ()
        names = self.sampler_names or tuple(one.short_name for one in self.answering)
        sources = list(enumerate(names)) if self.candidates.server_answers != "outside" else []
        if self.candidates.server_answers != "policies":
            sources.append((OUTSIDE, self.sampling.server.model))
        return tuple(
            FreshSource(sampler=number, name=name, temperature=temperature)
            for number, name in sources
            for temperature in self.candidates.temperatures or (self.sampling.temperature,)
        )

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
