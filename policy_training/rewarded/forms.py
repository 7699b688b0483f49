"""The forms of trainings by reward models outside a round: on which prompts, from which policy, by which rewards."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Case, Exists, OuterRef, When
from django.utils.translation import gettext, gettext_lazy

from annotation.models import Prompt, PromptSet, Response
from policy_training.mixtures.drawing import on_held_out_sides, training_prompts
from policy_training.mixtures.fields import TrainedMixtureFields, mixture_of_run
from policy_training.model_servers import sent_prompts_notes
from policy_training.models import Policy
from policy_training.policy_fields import (
    PoliciesField,
    PolicyField,
    StartField,
    offer_starts,
    policies_of,
    unused_name_like,
)
from policy_training.reward_fields import RewardPartsFields, parts_of_run
from policy_training.rewarded.actions import (
    best_of_n_config,
    policy_gradient_config,
    ppo_config,
    who_answers,
)
from policy_training.run_kinds import BEST_OF_N, POLICY_GRADIENT, PPO
from policy_training.supervised.stored_answers import StoredAnswers, count_stored, stored_answers_of
from policy_training.training.best_of_n import presets as best_of_n_presets
from policy_training.training.best_of_n.config import NOT_FOR_BEST_OF_N, BestOfNConfig
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from policy_training.training.judge_config import FIXED_REWARD_OPTIONS
from policy_training.training.policy_gradient import presets as policy_gradient_presets
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import MODULES as PPO_MODULES
from policy_training.training.ppo.presets import PPO_PRESETS
from rewardmodel.models import RewardModel
from runs.models import Run
from runs.option_forms.fields import sections_of, value_at
from runs.option_forms.forms import PresetForm, preset_choices
from workspace.errors import ActionError
from workspace.forms import offer_rows
from workspace.models import Project


class RewardedForm(RewardPartsFields, TrainedMixtureFields, PresetForm):
    """What all of them ask. Subclasses make a config of what was changed."""

    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the new policy"))
    start = StartField(Policy.objects.none(), label=gettext_lazy("Start from"), empty_label=None)
    reward_model = forms.ModelChoiceField(
        RewardModel.objects.none(),
        empty_label=None,
        label=gettext_lazy("Rewards by"),
        help_text=gettext_lazy("A reward model."),
    )
    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.none(),
        required=False,
        empty_label=None,
        help_text=gettext_lazy(
            "Its prompts of the split train are answered; the others are held out, to measure."
        ),
        label=gettext_lazy("Prompt set"),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        for_policies = Case(When(purpose=PromptSet.Purpose.POLICY, then=0), default=1)
        offer_rows(
            self,
            reward_model=project.reward_models.order_by("-pk"),
            prompt_set=project.prompt_sets.order_by(for_policies, "-pk"),
        )
        offer_starts(self)
        self.offer_rewards(project)

    def values_of(self, run: Run) -> dict[str, Any]:
        parameters = run.parameters
        return (
            super().values_of(run)
            | parts_of_run(self.project, run.config)
            | {
                "name": unused_name_like(run, self.project),
                "start": parameters.get("parent"),
                "reward_model": parameters.get("reward_model"),
                "prompt_set": parameters.get("prompt_set"),
                **mixture_of_run(run),
            }
        )

    def config(self) -> dict[str, Any]:
        """What a run by these values is asked, without its models. Raises ActionError."""
        raise NotImplementedError

    def asked(self) -> dict[str, Any]:
        """The arguments of the action, without who asks. Raises ActionError."""
        values, config = self.cleaned_data, self.config()
        config["rewards"] = {**config["rewards"], **self.reward_parts()}
        mixture = values["trained_mixture"]
        return {
            "project": self.project,
            **{name: values[name] for name in ("name", "start", "reward_model")},
            "prompt_set": None if mixture else values["prompt_set"],
            "mixture": mixture,
            "config": config,
            "processes": values["processes"] or 1,
        }


class RolloutForm(RewardedForm):
    """Of recipes that learn from rollouts and are held near a reference."""

    reference = PolicyField(
        Policy.objects.none(),
        required=False,
        label=gettext_lazy("Held near"),
        empty_label=gettext_lazy("the policy it starts from"),
        help_text=gettext_lazy("The reference: of the same line, so that both have one tokenizer."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(self, reference=policies_of(project))

    def values_of(self, run: Run) -> dict[str, Any]:
        start, reference = run.parameters.get("parent"), run.parameters.get("reference")
        return super().values_of(run) | {"reference": reference if reference != start else None}

    def asked(self) -> dict[str, Any]:
        return super().asked() | {"reference": self.cleaned_data["reference"]}


# Rollouts that train are drawn from the policy as it is: the options refuse anything else.
NOT_FOR_ROLLOUTS = (
    "policy.source",
    "policy.dropout",
    *(f"rollout.sampling.{name}" for name in ("top_p", "top_k", "repetition_penalty")),
    "rollout.sampling.repetition_penalty_scope",
    *FIXED_REWARD_OPTIONS,
)


class PolicyGradientForm(RolloutForm):
    presets = preset_choices(POLICY_GRADIENT_PRESETS, policy_gradient_config, policy_gradient_presets)
    sections = sections_of(PolicyGradientConfig, leave_out=NOT_FOR_ROLLOUTS)
    kinds = (POLICY_GRADIENT.name,)

    def config(self) -> dict[str, Any]:
        return policy_gradient_config(self.cleaned_data["preset"], self.assignments())


class PPOForm(RolloutForm):
    presets = preset_choices(PPO_PRESETS, ppo_config, *PPO_MODULES)
    sections = sections_of(PPOConfig, leave_out=NOT_FOR_ROLLOUTS)
    kinds = (PPO.name,)

    def config(self) -> dict[str, Any]:
        return ppo_config(self.cleaned_data["preset"], self.assignments())


class BestOfNForm(RewardedForm):
    presets = preset_choices(BEST_OF_N_PRESETS, best_of_n_config, best_of_n_presets)
    # What the config refuses anyway is not asked.
    sections = sections_of(
        BestOfNConfig,
        leave_out=(
            "model.source",
            "sampler_names",
            "stored.use",
            *(f"{section}.{name}" for section, names in NOT_FOR_BEST_OF_N for name in names),
            *FIXED_REWARD_OPTIONS,
        ),
    )
    kinds = (BEST_OF_N.name,)

    samplers = PoliciesField(
        Policy.objects.none(),
        required=False,
        label=gettext_lazy("Who answers"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "None chosen: the policy it starts from. Of several, the best answer of all is learned."
        ),
    )
    start_answers = forms.BooleanField(
        required=False,
        label=gettext_lazy("The policy it starts from answers beside those"),
        help_text=gettext_lazy("Also one that is being made, which cannot be chosen above yet."),
    )
    stored_policies = PoliciesField(
        Policy.objects.none(),
        required=False,
        label=gettext_lazy("Answers that are there already, of"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Of all rounds: they compete with the new ones, with the rewards that the reward model gave them before. "
            "With candidates.samples_per_prompt 0 nothing new is sampled."
        ),
    )
    stored_others = forms.BooleanField(
        required=False,
        label=gettext_lazy("Answers of people and of files that are there already"),
        help_text=gettext_lazy("Demonstrations are among them."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        answered = policies_of(project).filter(Exists(Response.objects.filter(source=OuterRef("source"))))
        offer_rows(self, samplers=policies_of(project), stored_policies=answered)
        for name in ("samplers", "stored_policies"):
            self.fields[name].widget.attrs["class"] = "form-check-input"

    def values_of(self, run: Run) -> dict[str, Any]:
        stored = stored_answers_of(run)
        return super().values_of(run) | {
            "samplers": run.parameters.get("samplers") or [],
            "stored_policies": list(stored.policies),
            "stored_others": stored.others,
        }

    def config(self) -> dict[str, Any]:
        return best_of_n_config(self.cleaned_data["preset"], self.assignments())

    def asked(self) -> dict[str, Any]:
        # Oldest first, however the page lists them.
        samplers = sorted(self.cleaned_data["samplers"], key=lambda policy: policy.pk)
        stored = sorted(policy.pk for policy in self.cleaned_data["stored_policies"])
        return super().asked() | {
            "samplers": samplers,
            "start_answers": self.cleaned_data["start_answers"],
            "stored": StoredAnswers(policies=tuple(stored), others=self.cleaned_data["stored_others"]),
        }


def preview_best_of_n(form: BestOfNForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}: how much is sampled. Counts of rows; no file is opened."""
    try:
        asked = form.asked()
        splits = prompts_by_split(asked)
    except ActionError as error:
        return {"missing": str(error)}
    facts: list[tuple[str, int | None]] = [
        (gettext("Prompts to learn on"), splits["train"]),
        (gettext("Held out, to measure the reward"), splits["held out"]),
    ]
    each = value_at(asked["config"], "candidates.samples_per_prompt")
    temperatures = value_at(asked["config"], "candidates.temperatures") or [None]
    sampled = stored = 0
    if isinstance(each, int) and isinstance(temperatures, list | tuple):
        answering = len(who_answers(asked["start"], asked["samplers"], asked["start_answers"])) or 1
        mode = value_at(asked["config"], "candidates.server_answers")
        answering = 1 if mode == "outside" else answering + (mode == "outside_and_policies")
        per_prompt = each * answering * len(temperatures)
        sampled = per_prompt * splits["train"]
        facts += [(gettext("New answers to each prompt"), per_prompt), (gettext("New answers"), sampled)]
    if asked["stored"] and asked["prompt_set"]:
        stored, scored = count_stored(asked["prompt_set"], asked["stored"], asked["reward_model"])
        facts += [
            (gettext("Answers that are there already"), stored),
            (gettext("Scored by the reward model before"), scored),
        ]
    notes = sent_prompts_notes(value_at(asked["config"], "sampling.server.name")) if sampled else []
    missing = "" if splits["train"] else no_prompts()
    if not missing and not sampled + stored and isinstance(each, int):
        missing = gettext("Nothing is sampled and no answer is there: there is nothing to choose from.")
    return {"facts": facts, "notes": notes, "missing": missing}


def preview_rollouts(form: RolloutForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}: how much is sampled. Counts of rows; no file is opened."""
    try:
        asked = form.asked()
        splits = prompts_by_split(asked)
    except ActionError as error:
        return {"missing": str(error)}
    rollout: Mapping[str, Any] = value_at(asked["config"], "rollout") or {}
    facts: list[tuple[str, int | None]] = [
        (gettext("Prompts to learn on"), splits["train"]),
        (gettext("Held out, to measure the reward"), splits["held out"]),
    ]
    steps, prompts, samples = (
        rollout.get(name) for name in ("steps", "prompts_per_step", "samples_per_prompt")
    )
    if isinstance(prompts, int) and isinstance(samples, int):
        per_step = min(prompts, splits["train"]) * samples
        facts.append((gettext("Answers to sample each step"), per_step))
        if isinstance(steps, int) and rollout.get("passes") is None:
            facts.append((gettext("Answers in all"), per_step * steps))
    return {"facts": facts, "missing": "" if splits["train"] else no_prompts()}


def no_prompts() -> str:
    return gettext(
        "The prompt set has no prompt of the split train to learn on: choose another, or import prompts."
    )


def prompts_by_split(asked: Mapping[str, Any]) -> dict[str, int]:
    """How many prompts are learned on and held out, of the one set or of what is drawn. Raises ActionError."""
    drawn = training_prompts(asked["project"], asked["prompt_set"], asked["mixture"])
    shares = drawn.get("prompt_mixture")
    keys = [share["prompt_set"] for share in shares] if shares else [drawn["prompt_set"]]
    held_out = on_held_out_sides(asked["project"], keys).count()
    if shares:
        return {"train": sum(share["prompts"] for share in shares), "held out": held_out}
    return {
        "train": asked["prompt_set"].prompts.filter(split=Prompt.Split.TRAIN).count(),
        "held out": held_out,
    }
