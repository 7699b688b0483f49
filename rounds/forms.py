"""The form that starts a round: a preset, and the few values people change."""

from dataclasses import replace
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django.forms import BoundField
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from annotation.models import PromptSet
from learning.interface.options import UserError
from policy_training.models import Policy
from policy_training.selecting.queries import selected_policy
from policy_training.training.ppo.presets import PPO_PRESETS
from rewardmodel.training.presets import PRESETS as REWARD_MODEL_PRESETS
from rounds import plan_options, ppo_options
from rounds.learned_fields import LearnedFields
from rounds.lengths import fit_plan, shortest_reader
from rounds.mixture_fields import MixtureFields
from rounds.plan_changes import (
    chosen_rewards,
    override_plan,
    with_further_batches,
    with_ppo_preset,
    with_reward_model_preset,
    with_steps,
)
from rounds.plans import (
    HUMAN_REFERENCE,
    LAST,
    PRESET_DESCRIPTIONS,
    PRESETS,
    PREVIOUS_POLICY,
    SELECTED,
    OpponentKind,
    RoundPlan,
    plan_to_dict,
    preset_plan,
    with_assignments,
)
from rounds.reward_fields import RoundRewardFields
from rounds.server_fields import ServerFields
from rounds.step_fields import StepForms, typed_values
from rounds.steps import FIRST_POLICY, NAMED_POLICY
from runs.execution import FIELDS, ExecutionFields, runtime_values
from workspace.errors import ActionError
from workspace.forms import StyledFormMixin
from workspace.models import MAX_OVERLAP, Criterion, Project

REFERENCES = [
    ("", gettext_lazy("as the preset")),
    ("start_policy", gettext_lazy("the policy the round starts from")),
    (FIRST_POLICY, gettext_lazy("the first policy of its line (the supervised one)")),
]
NAMED = "policy:"  # before the key of a policy, in the choice of the reference
STARTS = [
    (LAST, gettext_lazy("each from the policy that the one before made")),
    (SELECTED, gettext_lazy("this and each from the project's selected policy")),
    (NAMED_POLICY, gettext_lazy("each from the policy chosen above, too")),
]
OPPONENT_FIELDS: dict[str, OpponentKind] = {
    "meet_previous": PREVIOUS_POLICY,
    "meet_first": FIRST_POLICY,
    "meet_reference": HUMAN_REFERENCE,
}


class PolicyField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Policy) -> str:
        return (
            gettext("%(name)s (files missing)") % {"name": obj.name} if obj.artifact.is_missing else obj.name
        )


class StartRoundForm(
    StyledFormMixin, LearnedFields, RoundRewardFields, MixtureFields, ServerFields, ExecutionFields
):
    preset = forms.ChoiceField(
        choices=[(name, name) for name in sorted(PRESETS)],
        initial="tiny",
        help_text=" ",
        label=gettext_lazy("Preset"),
    )
    criterion = forms.ModelChoiceField(Criterion.objects.none(), label=gettext_lazy("Criterion"))
    start_policy = PolicyField(Policy.objects.none(), label=gettext_lazy("Policy to start from"))
    start_from = forms.ChoiceField(
        required=False,
        choices=STARTS,
        initial=LAST,
        label=gettext_lazy("Later rounds start"),
        help_text=gettext_lazy(
            "A policy is selected by a rule on the page “KL against reward”, or pinned on its own."
        ),
    )
    prompt_set = forms.ModelChoiceField(PromptSet.objects.none(), label=gettext_lazy("Prompt set"))
    prompts = forms.IntegerField(
        min_value=1,
        required=False,
        help_text=gettext_lazy("How many to sample."),
        label=gettext_lazy("Prompts"),
    )
    responses_per_task = forms.IntegerField(
        min_value=2,
        max_value=9,
        required=False,
        label=gettext_lazy("Answers per task"),
        help_text=gettext_lazy("2: pairs, 3 to 9: rankings."),
    )
    temperatures = forms.CharField(
        required=False,
        help_text=gettext_lazy(
            "How much chance is in the answers: the higher, the more they differ. One or several, for example "
            "0.7, 1.0"
        ),
        label=gettext_lazy("Temperatures"),
    )
    max_prompt_tokens = forms.IntegerField(
        min_value=1,
        required=False,
        label=gettext_lazy("Longest prompt, in tokens"),
        help_text=gettext_lazy("Longer ones are cut."),
    )
    max_response_tokens = forms.IntegerField(
        min_value=1,
        required=False,
        label=gettext_lazy("Longest response, in tokens"),
        help_text=gettext_lazy("For the answers people judge, the reward model and PPO alike."),
    )
    reference = forms.ChoiceField(
        required=False,
        label=gettext_lazy("KL penalty against"),
        choices=REFERENCES,
    )
    ppo_preset = forms.ChoiceField(
        required=False,
        label=gettext_lazy("PPO by the preset"),
        choices=ppo_options.preset_choices(),
        help_text=" ",
    )
    reward_model_preset = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Reward model by the preset"),
        choices=plan_options.preset_choices(),
        help_text=" ",
    )
    meet_previous = forms.BooleanField(
        required=False, initial=True, label=gettext_lazy("Head to head with the policy of the round before")
    )
    meet_first = forms.BooleanField(
        required=False, label=gettext_lazy("Head to head with the first policy of its line")
    )
    meet_reference = forms.BooleanField(
        required=False,
        label=gettext_lazy("Head to head with answers people wrote"),
        help_text=gettext_lazy(
            "Blind pairs on held-out prompts. Answers people wrote are those of the demonstrations."
        ),
    )
    overlap = forms.IntegerField(
        min_value=1, max_value=MAX_OVERLAP, required=False, label=gettext_lazy("People per task")
    )
    quota = forms.IntegerField(
        min_value=1,
        required=False,
        label=gettext_lazy("Judgments"),
        help_text=gettext_lazy("Stop after this many judgments; empty: when all tasks are done."),
    )
    max_hours = forms.FloatField(
        label=gettext_lazy("Hours"),
        min_value=0.01,
        required=False,
        help_text=gettext_lazy("The annotation ends this long after it began; empty: never by time."),
    )

    # Whose values stand in the empty fields of their options.
    ppo_preset_shown: str = ""
    reward_model_preset_shown: str = ""

    def __init__(
        self, *args: Any, project: Project, left_with: QueryDict | None = None, **kwargs: Any
    ) -> None:
        """`left_with`: what stood in it, not to be checked yet."""
        if left_with is not None:
            kwargs["initial"] = typed_values(StartRoundForm(project=project), left_with)
        super().__init__(*args, **kwargs)
        self.step_forms = StepForms(
            self.data if self.is_bound else left_with, project, is_bound=self.is_bound
        )
        choices = {
            "criterion": project.criteria.all(),
            "start_policy": Policy.objects.filter(project=project).select_related("artifact").order_by("-pk"),
            "prompt_set": PromptSet.objects.filter(project=project, purpose=PromptSet.Purpose.POLICY),
        }
        for name, queryset in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = queryset
            field.initial = queryset.first()
            field.empty_label = None
        if (selected := selected_policy(project)) is not None:
            self.fields["start_policy"].initial = selected.policy
        reference = self.fields["reference"]
        assert isinstance(reference, forms.ChoiceField)
        policies = Policy.objects.filter(project=project).order_by("-pk").values_list("pk", "name")
        named = [(f"{NAMED}{key}", f"“{name}”") for key, name in policies]
        reference.choices = [*REFERENCES, *named]
        self.offer_learned(project)
        self.fields |= ppo_options.option_fields() | plan_options.option_fields()
        # What few people change comes last.
        apart = (LearnedFields, RoundRewardFields, MixtureFields, ServerFields)
        last = [*(name for fields in apart for name in fields.base_fields), *FIELDS]
        self.order_fields([*(name for name in self.fields if name not in last), *last])
        self.add_bootstrap_classes()
        self.offer_rewards(project)
        self._show_defaults(project)

    def _show_defaults(self, project: Project) -> None:
        """Where nothing is typed the preset's number is used: it stands in the empty field."""
        preset, policy = self["preset"].value(), self._chosen("start_policy")
        criterion = self._chosen("criterion")
        if preset not in PRESETS:
            return
        # At the bound fields: those were made above, with the help text of then.
        self["preset"].help_text = f"{gettext(PRESET_DESCRIPTIONS[preset])}."
        plan = preset_plan(preset)
        ppo_preset = self["ppo_preset"].value()
        if ppo_preset in PPO_PRESETS:
            plan = with_ppo_preset(plan, ppo_preset)
        reward_model_preset = self["reward_model_preset"].value()
        if reward_model_preset in REWARD_MODEL_PRESETS:
            plan = with_reward_model_preset(plan, reward_model_preset)
        self.reward_model_preset_shown = shown = plan.reward_model.preset
        source = gettext(REWARD_MODEL_PRESETS[shown].source)
        self["reward_model_preset"].help_text = f"{shown}: {source}."
        self.ppo_preset_shown = plan.policy.preset
        self[
            "ppo_preset"
        ].help_text = f"{self.ppo_preset_shown}: {gettext(PPO_PRESETS[self.ppo_preset_shown].source)}."
        mapping = plan_to_dict(plan)
        ppo_options.show_defaults(self.fields, mapping["policy"])
        ppo_options.show_defaults(self.fields, mapping, plan_options.OPTIONS)
        self.show_whitening(plan.policy.rewards)
        if isinstance(policy, Policy) and isinstance(criterion, Criterion):
            shortest = shortest_reader(project, criterion, policy, plan)
            plan = fit_plan(plan, project=project, criterion=criterion, start_policy=policy)
            if shortest is not None:
                self.fields["max_response_tokens"].help_text += gettext(
                    " “%(shortest)s” reads %(shortest2)s tokens at once, prompt and response together."
                ) % {"shortest": shortest[0], "shortest2": shortest[1]}
        sampling = plan.sampling
        least, most = sampling.min_responses_per_task, sampling.responses_per_task
        defaults = {
            "prompts": sampling.prompts,
            "responses_per_task": most
            if least is None
            else gettext("%(least)s to %(most)s") % {"least": least, "most": most},
            "temperatures": ", ".join(f"{temperature:g}" for temperature in sampling.options.temperatures),
            "max_prompt_tokens": sampling.options.max_prompt_tokens,
            "max_response_tokens": sampling.options.max_response_tokens,
            "overlap": plan.annotation.overlap or project.overlap,
            "processes": plan.processes,
        }
        for name, value in defaults.items():
            self.fields[name].widget.attrs["placeholder"] = str(value)

    def _chosen(self, name: str) -> Model | None:
        """What is selected in a field, or None."""
        field, value = self.fields[name], self[name].value()
        assert isinstance(field, forms.ModelChoiceField) and field.queryset is not None
        try:
            return field.queryset.get(pk=getattr(value, "pk", value))
        except (ObjectDoesNotExist, TypeError, ValueError):
            return None

    def clean_temperatures(self) -> tuple[float, ...] | None:
        text = self.cleaned_data["temperatures"].strip()
        if not text:
            return None
        try:
            return tuple(float(part) for part in text.replace(",", " ").split())
        except ValueError as error:
            raise forms.ValidationError(
                gettext("Write numbers with commas between them, for example 0.7, 1.0")
            ) from error

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if self.step_forms.refusal:
            self.add_error(None, self.step_forms.refusal)
        return values

    def is_valid(self) -> bool:
        return super().is_valid() & self.step_forms.is_valid()

    def plan(self) -> RoundPlan:
        """Raises UserError or ActionError when a value does not fit."""
        values = self.cleaned_data
        sampling = {name: values[name] for name in ("prompts", "responses_per_task")}
        if values["compared_mixture"] is not None:
            sampling["mixture"] = values["compared_mixture"]
        annotation = {name: values[name] for name in ("overlap", "quota", "max_hours")}
        reference, named = values["reference"] or None, ""
        if reference is not None and reference.startswith(NAMED):
            project = values["start_policy"].project
            named = Policy.objects.get(project=project, pk=reference.removeprefix(NAMED)).name
            reference = NAMED_POLICY
        plan = override_plan(
            preset_plan(values["preset"]),
            sampling={name: value for name, value in sampling.items() if value is not None},
            temperatures=values["temperatures"],
            annotation={name: value for name, value in annotation.items() if value is not None},
            opponents=tuple(kind for name, kind in OPPONENT_FIELDS.items() if values[name]),
            reference=reference,
            reference_policy=named,
            start_from=values["start_from"] or None,
            start_from_policy=values["start_policy"].name if values["start_from"] == NAMED_POLICY else "",
            ppo_preset=values["ppo_preset"] or None,
            reward_model_preset=values["reward_model_preset"] or None,
            reward_model_criteria=values["reward_model_criteria"],
            processes=values["processes"],
            runtime=runtime_values(values),
            rewards=self.rewards(),
            policy_prompts=values["trained_mixture"],
            **self.server_values(),
        )
        if chosen := values.get("batches"):
            plan = replace(plan, batches=tuple(batch.name for batch in chosen))
        plan = fit_plan(
            plan,
            project=values["start_policy"].project,
            criterion=values["criterion"],
            start_policy=values["start_policy"],
            max_prompt_tokens=values["max_prompt_tokens"],
            max_response_tokens=values["max_response_tokens"],
        )
        given = ppo_options.assignments(values)
        others = ppo_options.assignments(values, plan_options.OPTIONS, "")
        plan = with_assignments(plan, [*given, *others]) if given or others else plan
        plan = with_further_batches(plan, self.rewards())
        chosen = self.chosen_rewards()
        plan = with_steps(plan, self.step_forms.steps(plan.policy, chosen), chosen)
        if not plan.uses_policy and (ppo_options.are_of_ppo(given) or values["ppo_preset"]):
            raise UserError(
                gettext("None of the steps is PPO as the round has it: leave PPO's options and preset empty.")
            )
        return plan

    def chosen_rewards(self) -> frozenset[str]:
        return chosen_rewards(self.rewards(), ppo_options.assignments(self.cleaned_data))

    def refuse(self, error: ActionError | UserError) -> None:
        """Shows what starting said, at the fields too that it is about."""
        self.add_error(None, str(error))
        for field, sentence in getattr(error, "fields", {}).items():
            if field in self.fields:
                self.add_error(field, sentence)
        known = {*ppo_options.OPTIONS, *plan_options.OPTIONS}
        if (option := ppo_options.option_named_in(str(error), known)) is not None:
            self.add_error(option, str(error).partition(": ")[2])

    def main_fields(self) -> list[BoundField]:
        """All but mixtures, rewards and options, which have sections of their own."""
        options = {*ppo_options.OPTIONS, *plan_options.OPTIONS}
        apart = {*options, *RoundRewardFields.base_fields, *MixtureFields.base_fields}
        if not settings.MODEL_SERVERS:
            apart |= {*ServerFields.base_fields}
        return [field for field in self.visible_fields() if field.name not in apart | self.without_choice()]

    def ppo_sections(self, *, of_rewards: bool = False) -> list[dict[str, Any]]:
        fields = {field.name: field for field in self.visible_fields()}
        sections = [part for part in ppo_options.SECTIONS if ppo_options.is_of_rewards(part) == of_rewards]
        return ppo_options.shown_sections(
            fields, ppo_options.COMMENTS.get(self.ppo_preset_shown, {}), sections
        )

    def reward_sections(self) -> list[dict[str, Any]]:
        return self.ppo_sections(of_rewards=True)

    def reward_model_sections(self) -> list[dict[str, Any]]:
        fields = {field.name: field for field in self.visible_fields()}
        return plan_options.shown_sections(fields, self.reward_model_preset_shown, of_reward_model=True)

    def other_sections(self) -> list[dict[str, Any]]:
        fields = {field.name: field for field in self.visible_fields()}
        return plan_options.shown_sections(fields, self.reward_model_preset_shown, of_reward_model=False)


class ReopenForm(forms.Form):
    quota = forms.IntegerField(min_value=1, required=False, label=gettext_lazy("Quota"))
