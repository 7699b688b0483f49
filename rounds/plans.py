"""What a round will do, said before it starts and recorded with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from django.utils.translation import gettext_noop

from learning.interface.options import UserError, added_option, load_options, options_to_dict
from learning.interface.training_options import RuntimeOptions
from learning.interface.usable_comparisons import learns_from_ratings
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from policy_training.evaluation_presets import SECRETS
from policy_training.mixtures.options import REPEAT, PromptMixture
from policy_training.reward_batches import with_whole_batches
from policy_training.training.config import SampleOptions, SamplingOptions
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.unread_options import PPO_RULES
from rewardmodel.training.config import RewardModelConfig
from rewardmodel.training.presets import PRESETS as REWARD_MODEL_PRESETS
from rewardmodel.training.unread_options import REWARD_MODEL_RULES
from rounds.steps import (
    FIRST_POLICY,
    NAMED_POLICY,
    PLACEHOLDER_PATH,
    PolicyStep,
    RecipeConfig,
    ReferenceKind,
    placeholder_source,
    with_batch,
)
from workspace.config_overrides import apply_overrides
from workspace.models import MAX_OVERLAP

# Opponents of head-to-head pairs.
PREVIOUS_POLICY: Final = "previous_policy"  # the start of the round before
HUMAN_REFERENCE: Final = "human_reference"  # the answers of demonstrations
# From which policy rounds start: the one that the round before made, the project's selected one as it is then, or one
# by its name.
StartKind = Literal["last", "selected", "named_policy"]
LAST: Final = "last"
SELECTED: Final = "selected"
OpponentKind = Literal["previous_policy", "first_policy", "human_reference"]
MAX_QUOTA = 2**31 - 1
MAX_HOURS = 24 * 365


@dataclass(frozen=True, kw_only=True)
class SamplingPlan:
    """Who answers how many prompts. Each prompt is answered K times: by different policies first, then at different
    temperatures, in turn over the prompts.
    """

    prompts: int = 200
    responses_per_task: int = 2  # K: 2 is the pairwise page, 3..9 the ranking page
    # K goes from this to responses_per_task from prompt to prompt (InstructGPT, 3.5: 4 to 9); None: it is the same.
    min_responses_per_task: int | None = None
    other_policies: tuple[str, ...] = ()  # names; the start policy always samples
    # Of which sets the prompts are, by shares; none: of the round's own set. Head-to-head pairs, on held-out prompts,
    # come off `prompts` first.
    mixture: PromptMixture = field(default_factory=PromptMixture)
    options: SampleOptions = field(default_factory=SampleOptions)

    def __post_init__(self) -> None:
        if self.prompts < 1:
            raise ValueError(f"prompts is {self.prompts}, it must be at least 1")
        if not 2 <= self.responses_per_task <= 9:
            raise ValueError(f"responses_per_task is {self.responses_per_task}, it must be between 2 and 9")
        least = self.min_responses_per_task
        if least is not None and not 2 <= least <= self.responses_per_task:
            raise ValueError(
                f"min_responses_per_task is {least}, it must be between 2 and responses_per_task "
                f"({self.responses_per_task})"
            )
        if self.mixture and self.mixture.total not in (None, self.prompts):
            raise ValueError(
                f"prompts is {self.prompts}, and those of the mixture are {self.mixture.total}: give one number"
            )

    def task_sizes(self, prompts: int) -> list[int]:
        """K of each of so many prompts: every number between the least and the most, in turn."""
        least = self.min_responses_per_task or self.responses_per_task
        return [least + number % (self.responses_per_task - least + 1) for number in range(prompts)]


@dataclass(frozen=True, kw_only=True)
class AnnotationPlan:
    """How many judgments, of whom, and when the stage ends: at the quota, at a time, or by a manager's button."""

    overlap: int | None = None  # None: the project's
    quota: int | None = None  # counted judgments; None: every task by `overlap` people
    max_hours: float | None = None  # the stage ends this long after it began, quota or not
    # As many head-to-head pairs as this share of the prompts; the round compares so many fewer among themselves.
    head_to_head_share: float = 0.2
    # Whose judgments count: person, simulated, ai, with commas between them.
    annotator_kinds: tuple[str, ...] = (PERSON,)
    # Tasks kept for single people (user names), beside the quota, so that they hold nobody up.
    reserved_for: tuple[str, ...] = ()
    reserved_tasks_per_person: int = 0

    def __post_init__(self) -> None:
        for name, maximum in (("overlap", MAX_OVERLAP), ("quota", MAX_QUOTA), ("max_hours", MAX_HOURS)):
            value = getattr(self, name)
            if value is not None and not 0 < value <= maximum:
                raise ValueError(f"{name} is {value}, it must be above 0 and at most {maximum}")
        if not 0.0 <= self.head_to_head_share <= 0.5:
            raise ValueError(f"head_to_head_share is {self.head_to_head_share}, it must be between 0 and 0.5")
        unknown = set(self.annotator_kinds) - set(ANNOTATOR_KINDS)
        if unknown or not self.annotator_kinds:
            raise ValueError(
                f"annotator_kinds must be some of {', '.join(ANNOTATOR_KINDS)}, found {self.annotator_kinds}"
            )
        if self.reserved_tasks_per_person < 0:
            raise ValueError(
                f"reserved_tasks_per_person is {self.reserved_tasks_per_person}, it must be at least 0"
            )


@dataclass(frozen=True, kw_only=True)
class HeadToHeadPlan:
    """Whom the round's start policy is compared with, on held-out prompts."""

    opponents: tuple[OpponentKind, ...] = (PREVIOUS_POLICY,)
    # How the answers are drawn, one a prompt, by all policies alike.
    sampling: SamplingOptions = SECRETS.sampling

    def __post_init__(self) -> None:
        if len(set(self.opponents)) != len(self.opponents):
            raise ValueError(f"opponents must differ from each other, found {', '.join(self.opponents)}")


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """The whole round. Its configs are complete but for the models they start from."""

    sampling: SamplingPlan
    annotation: AnnotationPlan
    reward_model: RewardModelConfig
    policy: PPOConfig
    # How the policy is trained, one recipe after another; none: by PPO as `policy` says, which is also what a step of
    # PPO without options of its own takes.
    steps: tuple[PolicyStep, ...] = ()
    # What a round starts from, this one and those that follow it by the same plan. `start_from_policy`: the name that
    # `named_policy` needs.
    start_from: StartKind = "last"
    start_from_policy: str = ""
    # Where the reward model's training starts: the policy the round started from, the first of its line (the
    # supervised one; InstructGPT found both similar), or the round before's reward model.
    reward_model_start: Literal["start_policy", "first_policy", "previous_reward_model"] = "start_policy"
    # Names of criteria that the reward model learns beside the round's own, one model for all of them (Secrets of RLHF
    # I, 4.1: helpful and harmless comparisons together).
    reward_model_criteria: tuple[str, ...] = added_option((), before=())
    # What the policy is held near, by a KL penalty or in DPO: the policy the round started from, or the supervised one
    # its line began with (Stiennon 2020, 3.4; InstructGPT, 3.5; Secrets of RLHF I, equation 3). In a first round both
    # are the same. step_start: what the step before made. named_policy is the one of the name `reference_policy`.
    reference: ReferenceKind = "start_policy"
    reference_policy: str = ""
    head_to_head: HeadToHeadPlan = field(default_factory=HeadToHeadPlan)
    # What the policy is trained on, by shares of sets, which may be others than those compared (InstructGPT, 3.2);
    # none: the training side of the round's own set.
    policy_prompts: PromptMixture = field(default_factory=PromptMixture)
    consensus: bool = False  # train on one merged row per task rather than one row per judgment
    # Names of the batches whose judgments the reward model and the steps of the policy learn from, beside those of the
    # round itself and of the rounds that follow it; none: all that are not excluded from datasets.
    batches: tuple[str, ...] = ()
    continue_automatically: bool = True  # the new policy's samples become the next round's tasks at once
    processes: int = 1  # of every run of the round
    # A server of language models that the plan names need not answer when the round starts.
    servers_may_be_away: bool = False
    preset: str = ""

    def __post_init__(self) -> None:
        configs: dict[str, Any] = {"reward_model": self.reward_model, "policy": self.policy}
        configs |= {f"steps[{number}]": step.config for number, step in enumerate(self.steps) if step.config}
        for name, config in configs.items():
            try:
                config.runtime.require_processes(self.processes)
            except ValueError as error:
                raise ValueError(f"{name}.runtime: {error}") from error
        for number, step in enumerate(self.steps[1:], start=1):
            if step.best_of_n is not None:
                step.best_of_n.require_current_policy(f"steps[{number}].best_of_n")
        if (self.reference == NAMED_POLICY) != bool(self.reference_policy):
            raise ValueError(
                f"reference is {self.reference!r} and reference_policy {self.reference_policy!r}: a name belongs to "
                f"{NAMED_POLICY!r}, and the other way round"
            )
        if (self.start_from == NAMED_POLICY) != bool(self.start_from_policy):
            raise ValueError(
                f"start_from is {self.start_from!r} and start_from_policy {self.start_from_policy!r}: a name belongs "
                f"to {NAMED_POLICY!r}, and the other way round"
            )
        if self.policy_prompts and any(step.stored_answers != "none" for step in self.steps):
            raise ValueError(
                "policy_prompts: stored_answers of a step need one prompt set; leave out one of them"
            )
        if self.policy_prompts.when_short == REPEAT:
            raise ValueError(
                "policy_prompts.when_short is 'repeat', which is about prompts that are compared: a policy may be "
                "trained on prompts of earlier rounds anyway"
            )
        if learns_from_ratings(loss := self.reward_model.objective.ranking_loss):
            raise ValueError(
                f"reward_model.objective.ranking_loss is {loss!r}: a round collects comparisons, and this loss learns "
                "from ratings of single answers; train on those outside a round"
            )

    @property
    def policy_steps(self) -> tuple[PolicyStep, ...]:
        """At least one."""
        return self.steps or (PolicyStep(recipe="ppo"),)

    @property
    def uses_policy(self) -> bool:
        """Whether a step is PPO by the plan's own options, `policy`."""
        return any(step.config is None for step in self.policy_steps)

    def learned_criteria(self, own: str) -> list[str]:
        """Names of the criteria that the reward model learns, that of the round first."""
        return list(dict.fromkeys((own, *self.reward_model_criteria)))

    def config_of(self, step: PolicyStep) -> RecipeConfig:
        return step.config or self.policy


def load_plan(mapping: Mapping[str, Any]) -> RoundPlan:
    """The plan a round recorded. Raises UserError naming what does not fit."""
    return load_options(RoundPlan, mapping, where="plan")


def with_assignments(plan: RoundPlan, assignments: Sequence[str]) -> RoundPlan:
    """With `dotted.key=value` put in. Raises UserError, ActionError for what does not fit or would change nothing."""
    rules = [rule.under("policy") for rule in PPO_RULES]
    rules += [rule.under("reward_model") for rule in REWARD_MODEL_RULES]
    changed = apply_overrides(plan_to_dict(plan), assignments, rules, where="plan")
    return load_plan({**changed, "policy": with_whole_batches(changed["policy"])})


def plan_to_dict(plan: RoundPlan) -> dict[str, Any]:
    return options_to_dict(plan)


def preset_plan(name: str, *, runtime: RuntimeOptions | None = None) -> RoundPlan:
    """A named plan. Raises UserError with the known names."""
    if name not in PRESETS:
        raise UserError(f"There is no round preset “{name}”: use one of {', '.join(sorted(PRESETS))}.")
    return PRESETS[name](runtime or RuntimeOptions())


def sentence_of(error: ValueError) -> str:
    """The words of a ValueError with a full stop, and a capital unless they begin with the name of an option."""
    words = str(error)
    first = words.split(" ", 1)[0]
    return f"{words if '_' in first else words[:1].upper() + words[1:]}."


def with_lengths(plan: RoundPlan, *, max_prompt_tokens: int, max_response_tokens: int) -> RoundPlan:
    """The plan with one limit on lengths: for what people judge, what the reward model reads and what PPO writes.

    Raises UserError for a limit below 1.
    """
    lengths: dict[str, Any] = {
        "max_prompt_tokens": max_prompt_tokens,
        "max_response_tokens": max_response_tokens,
    }
    try:
        return replace(
            plan,
            sampling=replace(plan.sampling, options=replace(plan.sampling.options, **lengths)),
            reward_model=replace(plan.reward_model, batch=replace(plan.reward_model.batch, **lengths)),
            policy=replace(plan.policy, batch=replace(plan.policy.batch, **lengths)),
            steps=with_batch(plan.steps, **lengths),
        )
    except ValueError as error:
        raise UserError(sentence_of(error)) from error


def _instructgpt(runtime: RuntimeOptions) -> RoundPlan:
    """K-way rankings, one reward model on all judgments so far, PPO (InstructGPT, 3.1, C.2, C.4)."""
    policy = PPO_PRESETS["instructgpt"].config(placeholder_source(), PLACEHOLDER_PATH, runtime=runtime)
    plan = RoundPlan(
        sampling=SamplingPlan(
            prompts=2000,
            responses_per_task=9,  # 3.5: between 4 and 9
            min_responses_per_task=4,
        ),
        annotation=AnnotationPlan(),
        reward_model=REWARD_MODEL_PRESETS["instructgpt"].config(placeholder_source(), runtime=runtime),
        policy=policy,
        reference=FIRST_POLICY,  # 3.5: the supervised model
        preset="instructgpt",
    )
    return with_lengths(
        plan,
        max_prompt_tokens=policy.batch.max_prompt_tokens,  # C.4: 1,000 each
        max_response_tokens=policy.batch.max_response_tokens,
    )


def _llama2(runtime: RuntimeOptions) -> RoundPlan:
    """Binary comparisons with strength margins, two temperatures for diversity (Llama 2, 3.2.1 to 3.2.3)."""
    plan = RoundPlan(
        sampling=SamplingPlan(prompts=2000, options=SampleOptions(temperatures=(0.7, 1.0))),
        annotation=AnnotationPlan(),
        reward_model=REWARD_MODEL_PRESETS["llama2"].config(placeholder_source(), runtime=runtime),
        policy=PPO_PRESETS["llama2"].config(placeholder_source(), PLACEHOLDER_PATH, runtime=runtime),
        preset="llama2",
    )
    return with_lengths(plan, max_prompt_tokens=512, max_response_tokens=512)  # ours: the paper names none


def _tiny(runtime: RuntimeOptions) -> RoundPlan:
    """Models of about a million parameters on a laptop: ours, measured by the demo."""
    policy = PPO_PRESETS["tiny"].config(placeholder_source(), PLACEHOLDER_PATH, runtime=runtime)
    plan = RoundPlan(
        sampling=SamplingPlan(prompts=240, responses_per_task=2),
        annotation=AnnotationPlan(),
        reward_model=REWARD_MODEL_PRESETS["tiny"].config(placeholder_source(), runtime=runtime),
        policy=policy,
        preset="tiny",
    )
    return with_lengths(
        plan,
        max_prompt_tokens=policy.batch.max_prompt_tokens,
        max_response_tokens=policy.batch.max_response_tokens,
    )


PRESETS: Mapping[str, Callable[[RuntimeOptions], RoundPlan]] = {
    "instructgpt": _instructgpt,
    "llama2": _llama2,
    "tiny": _tiny,
}
# For whoever chooses one.
PRESET_DESCRIPTIONS: Mapping[str, str] = {
    "instructgpt": gettext_noop(
        "Rankings of 4 to 9 answers, PPO with pretraining text mixed in (InstructGPT); large models"
    ),
    "llama2": gettext_noop("Pairs from two temperatures, margins by strength (Llama 2); large models"),
    "tiny": gettext_noop("Pairs, few prompts; models of about a million parameters on a laptop"),
}
