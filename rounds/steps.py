"""The steps of a round's policy training: a recipe each, which starts from the policy that the step before made.

Sources of the practice: chains of supervised fine-tuning, rejection sampling and PPO (Llama 2, 3.2.3; the Adaptive ML
walkthrough).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from django.utils.translation import gettext_noop

from learning.interface.options import UserError, added_option, load_options, options_to_dict
from learning.interface.training_options import BatchOptions, ModelSource, RuntimeOptions
from policy_training.reward_batches import own_values, with_whole_batches
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from policy_training.training.config import LanguageModelConfig
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.dpo.presets import DPO_PRESETS
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS
from policy_training.training.unread_options import (
    BEST_OF_N_RULES,
    DPO_RULES,
    LANGUAGE_MODEL_RULES,
    POLICY_GRADIENT_RULES,
    PPO_RULES,
)
from workspace.config_overrides import apply_overrides

FIRST_POLICY: Final = "first_policy"  # the supervised one, where the line began
NAMED_POLICY: Final = "named_policy"
STEP_START: Final = "step_start"  # the policy that the step before made
ReferenceKind = Literal["start_policy", "step_start", "first_policy", "named_policy"]
# Stands in a plan where the round puts the folder of the model it starts from.
PLACEHOLDER_PATH = "(the round fills this in)"

Recipe = Literal["ppo", "policy_gradient", "best_of_n", "dpo", "sft", "pretrain"]
RecipeConfig = PPOConfig | PolicyGradientConfig | BestOfNConfig | DPOConfig | LanguageModelConfig


def placeholder_source() -> ModelSource:
    return ModelSource(path=PLACEHOLDER_PATH)


@dataclass(frozen=True, kw_only=True)
class RecipeOfStep:
    """What a recipe is to a round."""

    label: str
    field: str  # of PolicyStep, in which its options stand
    config: type[RecipeConfig]
    presets: Mapping[str, Any]
    default_preset: str
    has_reward: bool = False  # it learns from the round's reward model, and may have further rewards
    has_reference: bool = False

    def preset(self, name: str, runtime: RuntimeOptions) -> Any:
        """Its options by a preset. Raises UserError with the known names."""
        if name not in self.presets:
            known = ", ".join(sorted(self.presets))
            raise UserError(f"There is no preset “{name}” of {self.label}: use one of {known}.")
        models = [placeholder_source(), *([PLACEHOLDER_PATH] if self.has_reward else [])]
        return self.presets[name].config(*models, runtime=runtime)


RECIPES: Mapping[Recipe, RecipeOfStep] = {
    "ppo": RecipeOfStep(
        label=gettext_noop("PPO"),
        field="ppo",
        config=PPOConfig,
        presets=PPO_PRESETS,
        default_preset="tiny",
        has_reward=True,
        has_reference=True,
    ),
    "policy_gradient": RecipeOfStep(
        label=gettext_noop("Policy gradient"),
        field="policy_gradient",
        config=PolicyGradientConfig,
        presets=POLICY_GRADIENT_PRESETS,
        default_preset="rloo",
        has_reward=True,
        has_reference=True,
    ),
    "best_of_n": RecipeOfStep(
        label=gettext_noop("Best-of-n"),
        field="best_of_n",
        config=BestOfNConfig,
        presets=BEST_OF_N_PRESETS,
        default_preset="tiny",
        has_reward=True,
    ),
    "dpo": RecipeOfStep(
        label=gettext_noop("DPO"),
        field="dpo",
        config=DPOConfig,
        presets=DPO_PRESETS,
        default_preset="tiny",
        has_reference=True,
    ),
    "sft": RecipeOfStep(
        label=gettext_noop("Supervised fine-tuning"),
        field="supervised",
        config=LanguageModelConfig,
        presets=LANGUAGE_MODEL_PRESETS,
        default_preset="tiny",
    ),
    "pretrain": RecipeOfStep(
        label=gettext_noop("Pretraining"),
        field="supervised",
        config=LanguageModelConfig,
        presets=LANGUAGE_MODEL_PRESETS,
        default_preset="tiny",
    ),
}

# What options of a recipe nothing reads beside others, by the field of PolicyStep.
_RULES = {
    "ppo": PPO_RULES,
    "policy_gradient": POLICY_GRADIENT_RULES,
    "best_of_n": BEST_OF_N_RULES,
    "dpo": DPO_RULES,
    "supervised": LANGUAGE_MODEL_RULES,
}


@dataclass(frozen=True, kw_only=True)
class PolicyStep:
    """A recipe with its options, complete but for the models."""

    recipe: Recipe
    ppo: PPOConfig | None = None  # None: as the plan's `policy`
    policy_gradient: PolicyGradientConfig | None = None
    best_of_n: BestOfNConfig | None = None
    dpo: DPOConfig | None = None  # on the judgments that the round's reward model learns from
    supervised: LanguageModelConfig | None = None  # of sft and of pretrain
    # What the step's policy is held near; None: as the plan's `reference`.
    reference: ReferenceKind | None = None
    reference_policy: str = ""  # the name that `named_policy` needs
    # Best-of-n: names of policies that answer beside the one that is fine-tuned.
    other_policies: tuple[str, ...] = ()
    # Best-of-n: answers that are there already compete with the new ones: those of all the project's policies, or of
    # people and files too.
    stored_answers: Literal["none", "policies", "all"] = "none"
    # Supervised fine-tuning, beside demonstrations: answers that this share of the people put first, by the round's
    # criterion.
    preferred_at_least: float | None = None
    # And those whose mean of this mark is at least so many points.
    rated_mark: str = ""
    rated_at_least: float | None = None
    # Pretraining, of which every token counts: the project's texts, or whole demonstrations, prompts included.
    learn_from: Literal["texts", "demonstrations"] = added_option("texts", before="texts")

    def __post_init__(self) -> None:
        own = RECIPES[self.recipe].field
        for recipe in RECIPES.values():
            if recipe.field != own and getattr(self, recipe.field) is not None:
                raise ValueError(f"{recipe.field} belongs to another recipe than {self.recipe!r}")
        if self.config is None and self.recipe != "ppo":
            raise ValueError(f"{own} is missing: the options of {self.recipe!r}")
        if (self.reference == NAMED_POLICY) != bool(self.reference_policy):
            raise ValueError(
                f"reference is {self.reference!r} and reference_policy {self.reference_policy!r}: a name belongs to "
                f"{NAMED_POLICY!r}, and the other way round"
            )
        if self.reference is not None and not RECIPES[self.recipe].has_reference:
            raise ValueError(f"reference: {self.recipe!r} has none")
        for name in ("other_policies", "stored_answers"):
            if self.recipe != "best_of_n" and getattr(self, name) not in ((), "none"):
                raise ValueError(f"{name}: belongs to 'best_of_n', and this step is {self.recipe!r}")
        if len(set(self.other_policies)) != len(self.other_policies):
            raise ValueError(f"other_policies must differ from each other, found {self.other_policies}")
        if self.best_of_n is not None:
            others = len(self.other_policies)  # beside the policy of the step before
            self.best_of_n.require_answering(others and 1 + others)
        learned = (self.preferred_at_least, self.rated_at_least)
        if self.recipe != "sft" and (learned != (None, None) or self.rated_mark):
            raise ValueError(f"answers that people put first or rated are for 'sft', not {self.recipe!r}")
        if self.recipe != "pretrain" and self.learn_from != "texts":
            raise ValueError(f"learn_from: belongs to 'pretrain', and this step is {self.recipe!r}")
        if self.preferred_at_least is not None and not 0 < self.preferred_at_least <= 1:
            raise ValueError(
                f"preferred_at_least is {self.preferred_at_least}, it must be above 0 and at most 1"
            )
        if bool(self.rated_mark) != (self.rated_at_least is not None):
            raise ValueError("rated_mark and rated_at_least belong together")

    @property
    def config(self) -> RecipeConfig | None:
        """None: that of the plan."""
        found: RecipeConfig | None = getattr(self, RECIPES[self.recipe].field)
        return found

    def with_config(self, config: RecipeConfig) -> "PolicyStep":
        own: dict[str, Any] = {RECIPES[self.recipe].field: config}
        return replace(self, **own)

    @property
    def rewards(self) -> RewardSourcesOptions | None:
        """None too where they are the plan's."""
        config = self.config
        if isinstance(config, PPOConfig | PolicyGradientConfig | BestOfNConfig):
            return config.rewards
        return None


LENGTHS = ("max_prompt_tokens", "max_response_tokens")
_PATHS_OF_LENGTHS = tuple(f"batch.{name}" for name in LENGTHS)
# Models that the round puts into every step, and what follows from the step's own fields.
FILLED_IN = (
    "model.source",
    "policy.source",
    "reference",
    "reward_model_path",
    "samplers",
    "sampler_names",
    "stored.use",
)
# What a step says beside the options of its recipe.
STEP_FIELDS = tuple(
    option.name
    for option in fields(PolicyStep)
    if option.name not in ("recipe", *(recipe.field for recipe in RECIPES.values()))
)


def build_step(
    recipe: str,
    *,
    preset: str = "",
    assignments: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
    policy: PPOConfig,
    chosen: Collection[str] = (),
) -> PolicyStep:
    """A step by a preset of its recipe ("": the usual one), as the form, the command and the API have it.

    `assignments`: `dotted.path=value` of the recipe's options. `values`: what STEP_FIELDS names, as JSON has it.
    `policy`: the plan's, whose machine, lengths and rewards the step has but for the assignments; PPO without a preset
    is it, but for the assignments. `chosen`: see rewards_beside. Raises UserError, ActionError.
    """
    if recipe not in get_args(Recipe):
        raise UserError(f"There is no recipe “{recipe}”: use one of {', '.join(get_args(Recipe))}.")
    known = RECIPES[recipe]  # type: ignore[index]
    mapping: dict[str, Any] = {"recipe": recipe, **(values or {})}
    if recipe != "ppo" or preset or assignments:
        config = policy
        if recipe != "ppo" or preset:
            config = known.preset(preset or known.default_preset, policy.runtime)
            if known.has_reward:
                config = with_reward_sources(config, rewards_beside(config.rewards, policy, chosen))
        lengths = {name: getattr(policy.batch, name) for name in LENGTHS}
        config = replace(config, batch=replace(config.batch, **lengths))
        if own := [words for words in assignments if words.partition("=")[0] in _PATHS_OF_LENGTHS]:
            raise UserError(f"“{own[0]}”: lengths are those of the whole round, not of a step.")
        for words in assignments:
            path = words.partition("=")[0]
            if any(path == name or path.startswith(f"{name}.") for name in FILLED_IN):
                raise UserError(f"“{words}”: the round fills this in; leave it out.")
        stored = ["stored.use=true"] if mapping.get("stored_answers", "none") != "none" else []
        given = [*assignments, *stored]
        base = options_to_dict(config)
        if known.has_reward:
            base["rewards"]["models"] = _parts_of_step(policy, chosen)
        of_recipe = apply_overrides(base, given, _RULES[known.field])
        mapping[known.field] = with_whole_batches(of_recipe) if known.has_reward else of_recipe
    return load_options(PolicyStep, mapping, where=f"step {recipe}")


def named_in_batch(number: int, name: str) -> str:
    """What `chosen` says where this value of the batch of a further reward model was named for the whole plan."""
    return f"models[{number}].batch.{name}"


def _parts_of_step(policy: PPOConfig, chosen: Collection[str]) -> list[dict[str, Any]]:
    """The further reward models of the plan's `policy`, without what their batches have from that of its first one and
    nobody named: of a step with a batch of its own for the first one they have it from that.
    """
    of_plan = options_to_dict(policy)
    parts = of_plan["rewards"]["models"]
    for number, part in enumerate(parts):
        own = own_values(part, of_plan)
        named = {
            name: value
            for name, value in (part["batch"] or {}).items()
            if name in own or named_in_batch(number, name) in chosen
        }
        part["batch"] = named or None
    return parts


def step_from_words(words: Sequence[str], *, policy: PPOConfig, chosen: Collection[str] = ()) -> PolicyStep:
    """RECIPE[:PRESET] KEY=VALUE …, as after `--step`: keys of STEP_FIELDS or paths of the recipe's options.

    `policy`, `chosen`: see build_step. Raises UserError, ActionError.
    """
    recipe, _, preset = words[0].partition(":")
    of_step = [word for word in words[1:] if word.partition("=")[0] in STEP_FIELDS]
    values = apply_overrides({}, of_step)
    if isinstance(names := values.get("other_policies"), str):
        values["other_policies"] = [name.strip() for name in names.split(",") if name.strip()]
    return build_step(
        recipe,
        preset=preset,
        assignments=[word for word in words[1:] if word not in of_step],
        values=values,
        policy=policy,
        chosen=chosen,
    )


def changed(steps: Sequence[PolicyStep], change: Callable[[Any], Any]) -> tuple[PolicyStep, ...]:
    """The steps with their options changed; those that are the plan's stay so."""
    return tuple(step if step.config is None else step.with_config(change(step.config)) for step in steps)


def with_batch(steps: Sequence[PolicyStep], **lengths: int) -> tuple[PolicyStep, ...]:
    def change(config: Any) -> Any:
        batch: BatchOptions = config.batch
        return replace(config, batch=replace(batch, **lengths))  # type: ignore[arg-type]

    return changed(steps, change)


def with_runtime(steps: Sequence[PolicyStep], runtime: Mapping[str, Any]) -> tuple[PolicyStep, ...]:
    return changed(steps, lambda config: replace(config, runtime=replace(config.runtime, **runtime)))


def with_rewards(steps: Sequence[PolicyStep], rewards: Mapping[str, Any]) -> tuple[PolicyStep, ...]:
    """`rewards`: values of RewardSourcesOptions as JSON has them. Raises UserError, ValueError."""

    def change(config: Any) -> Any:
        if not isinstance(config, PPOConfig | PolicyGradientConfig | BestOfNConfig):
            return config
        mapping = {**options_to_dict(config.rewards), **rewards}
        return with_reward_sources(config, load_options(RewardSourcesOptions, mapping, where="rewards"))

    return changed(steps, change)


def rewards_beside(
    own: RewardSourcesOptions, policy: PPOConfig, chosen: Collection[str] = ()
) -> RewardSourcesOptions:
    """The rewards of the plan's `policy` for a recipe whose preset has `own`: all of them but for the whitening, which
    is part of how a preset makes a reward of a score, unless the plan has another than its preset.

    `chosen`: names of RewardSourcesOptions that somebody set for the whole plan, see plan_changes.chosen_rewards. They
    are the plan's, and those of its preset where they have the same value.
    """
    preset = PPO_PRESETS.get(policy.preset)
    is_the_presets = "whiten" not in chosen and (
        policy.rewards.whiten == (preset is not None and preset.rewards.whiten)
    )
    return replace(policy.rewards, whiten=own.whiten if is_the_presets else policy.rewards.whiten)


def with_reward_sources(config: Any, rewards: RewardSourcesOptions) -> Any:
    """The config of a recipe that learns from rewards, with these. Raises UserError where it cannot have them."""
    try:
        if rewards.whiten and not isinstance(config, BestOfNConfig):
            # Whitening a step takes the place of the running moments, which most presets have.
            config = replace(config, reward=replace(config.reward, normalize=False, scale=False))
        return replace(config, rewards=rewards)
    except ValueError as error:
        raise UserError(f"{error}.") from error
