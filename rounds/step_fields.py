"""The steps of the policy's training on the form that starts a round: `step_2.recipe`, `step_2.objective.beta`.

Steps are added, moved and taken away by buttons that send the whole form (`change_steps`); it comes back with all that
was typed, and nothing of it is checked yet.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from learning.interface.options import UserError, options_to_dict
from learning.interface.training_options import RuntimeOptions
from policy_training.models import Policy
from policy_training.training.best_of_n.config import NOT_FOR_BEST_OF_N
from policy_training.training.judge_config import FIXED_REWARD_OPTIONS
from policy_training.training.ppo.config import PPOConfig
from rounds import ppo_options
from rounds.step_runs import refused_option
from rounds.steps import NAMED_POLICY, RECIPES, PolicyStep, Recipe, build_step
from runs.option_forms.fields import Option, Section, path_in, sections_of
from workspace.errors import ActionError
from workspace.forms import StyledFormMixin
from workspace.models import Project

MAX_STEPS = 20
# Those of the whole round, models that the round fills in, and what the form asks by names.
NOT_ASKED = (
    "batch.max_prompt_tokens",
    "batch.max_response_tokens",
    "runtime.device",
    "runtime.backend",
    "runtime.zero_stage",
    "reference",
    "criterion",
    *FIXED_REWARD_OPTIONS,
    "samplers",
    "sampler_names",
    "stored.use",
    "tokenizer",  # read for a model from scratch only
    "model.source",
    "policy.source",
    *(f"rollout.server.{name}" for name in ("protocol", "stop", "returns_token_ids", "returns_logprobs")),
)
# What a recipe has one value of: rollouts that train are drawn from the policy as it is.
_ONE_VALUE = (
    "policy.dropout",
    *(
        f"rollout.sampling.{name}"
        for name in ("top_p", "top_k", "repetition_penalty", "repetition_penalty_scope")
    ),
)
NOT_ASKED_OF: Mapping[str, tuple[str, ...]] = {
    "ppo": _ONE_VALUE,
    "policy_gradient": _ONE_VALUE,
    "best_of_n": tuple(f"{section}.{name}" for section, names in NOT_FOR_BEST_OF_N for name in names),
}
REFERENCES = [
    ("", gettext_lazy("as the round")),
    ("step_start", gettext_lazy("the policy that the step before made")),
    ("start_policy", gettext_lazy("the policy the round starts from")),
    ("first_policy", gettext_lazy("the first policy of its line (the supervised one)")),
]
STORED = [
    ("none", gettext_lazy("none")),
    ("policies", gettext_lazy("those of all the project's policies")),
    ("all", gettext_lazy("those of policies, people and files")),
]


@cache
def sections_of_recipe(recipe: Recipe) -> list[Section]:
    return sections_of(RECIPES[recipe].config, leave_out=(*NOT_ASKED, *NOT_ASKED_OF.get(recipe, ())))


def options_of_recipe(recipe: Recipe) -> Mapping[str, Option]:
    return {option.path: option for section in sections_of_recipe(recipe) for option in section.options}


class StepForm(StyledFormMixin, forms.Form):
    """One step: the fields are those of its recipe."""

    recipe = forms.ChoiceField(
        label=gettext_lazy("Recipe"),
        choices=[(name, gettext_lazy(known.label)) for name, known in RECIPES.items()],
    )
    preset = forms.ChoiceField(label=gettext_lazy("Preset"), required=False)
    reference = forms.ChoiceField(
        label=gettext_lazy("Held near"),
        required=False,
        choices=REFERENCES,
        help_text=gettext_lazy(
            "The policy that the KL penalty, or the loss of DPO, keeps the new one close to."
        ),
    )
    other_policies = forms.ModelMultipleChoiceField(
        Policy.objects.none(),
        required=False,
        label=gettext_lazy("Policies that answer too"),
        help_text=gettext_lazy("Beside the one that is fine-tuned."),
    )
    stored_answers = forms.ChoiceField(
        label=gettext_lazy("Answers that are there already"), required=False, choices=STORED
    )
    preferred_at_least = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=1,
        label=gettext_lazy("Answers that people put first"),
        help_text=gettext_lazy(
            "Learned too, where at least this share of those who compared them put them first: 0.5 is half of them."
        ),
    )
    rated_mark = forms.CharField(
        required=False, max_length=40, label=gettext_lazy("Mark of rated answers"), strip=True
    )
    rated_at_least = forms.FloatField(
        required=False, label=gettext_lazy("Its mean, at least"), help_text=gettext_lazy("In points.")
    )

    learn_from = forms.ChoiceField(
        label=gettext_lazy("Learn from"),
        required=False,
        choices=[
            ("texts", gettext_lazy("texts")),
            ("demonstrations", gettext_lazy("demonstrations, prompts included")),
        ],
        help_text=gettext_lazy("Every token counts."),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        project: Project,
        number: int,
        recipe: Recipe,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, prefix=f"step_{number}", initial=initial)  # type: ignore[arg-type]
        self.project, self.number, self.recipe_shown = project, number, recipe
        known = RECIPES[recipe]
        self.options = options_of_recipe(recipe)
        policies = Policy.objects.filter(project=project).order_by("-pk")
        preset, reference, others = (self.fields[name] for name in ("preset", "reference", "other_policies"))
        assert isinstance(preset, forms.ChoiceField) and isinstance(reference, forms.ChoiceField)
        assert isinstance(others, forms.ModelMultipleChoiceField)
        usual = gettext("PPO as the round has it") if recipe == "ppo" else known.default_preset
        preset.choices = [("", usual), *((name, name) for name in sorted(known.presets))]
        reference.choices = [
            *REFERENCES,
            *((f"policy:{policy.pk}", f"“{policy.name}”") for policy in policies),
        ]
        others.queryset = policies
        unasked = {
            *(() if known.has_reference else ("reference",)),
            *(() if recipe == "best_of_n" else ("other_policies", "stored_answers")),
            *(() if recipe == "sft" else ("preferred_at_least", "rated_mark", "rated_at_least")),
            *(() if recipe == "pretrain" else ("learn_from",)),
        }
        for name in unasked:
            del self.fields[name]
        for path, option in self.options.items():
            self.fields[path] = ppo_options.option_field(option)
        self.add_bootstrap_classes()
        self["recipe"].field.widget.attrs["data-changes-steps"] = ""
        self["preset"].field.widget.attrs["data-changes-steps"] = ""
        chosen = self["preset"].value()
        if chosen not in known.presets:  # none, or that of another recipe
            chosen = "" if recipe == "ppo" else known.default_preset
        if chosen:
            config = options_to_dict(known.preset(chosen, RuntimeOptions()))
            ppo_options.show_defaults(self.fields, config, self.options)
            preset.help_text = gettext(known.presets[chosen].source)

    def add_prefix(self, field_name: str) -> str:
        return f"{self.prefix}.{field_name}"

    @property
    def label(self) -> str:
        return gettext(RECIPES[self.recipe_shown].label)

    def main_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in self.options]

    @property
    def options_are_asked(self) -> bool:
        """Something is given among them, or wrong."""
        return any(self[path].value() or self[path].errors for path in self.options)

    def sections(self) -> list[dict[str, Any]]:
        """Sections with something given or wrong are open."""
        shown = []
        for section in sections_of_recipe(self.recipe_shown):
            fields = [self[option.path] for option in section.options]
            rows = [{"field": field, "given": bool(field.value()), "source": ""} for field in fields]
            given = sum(bool(field.value()) for field in fields)
            is_open = given > 0 or any(field.errors for field in fields)
            shown.append({"section": section, "rows": rows, "n_given": given, "is_open": is_open})
        return shown

    def step(self, policy: PPOConfig, chosen: Collection[str] = ()) -> PolicyStep:
        """`policy`: of the plan; `chosen`: as build_step has it. What does not fit is said at its field too.

        Raises UserError, ActionError.
        """
        values = self.cleaned_data
        asked: dict[str, Any] = {
            name: values[name]
            for name in (
                "stored_answers",
                "preferred_at_least",
                "rated_mark",
                "rated_at_least",
                "learn_from",
            )
            if values.get(name) not in (None, "")
        }
        if others := values.get("other_policies"):
            asked["other_policies"] = [other.name for other in others]
        reference = values.get("reference") or ""
        if reference.startswith("policy:"):
            named = Policy.objects.get(project=self.project, pk=reference.removeprefix("policy:"))
            asked |= {"reference": NAMED_POLICY, "reference_policy": named.name}
        elif reference:
            asked["reference"] = reference
        try:
            return build_step(
                values["recipe"],
                preset=values["preset"],
                assignments=ppo_options.assignments(values, self.options, ""),
                values=asked,
                policy=policy,
                chosen=chosen,
            )
        except (UserError, ActionError) as error:
            path = path_in(str(error), self.options) or refused_option(str(error))
            if path in self.fields:
                self.add_error(path, str(error).partition(": ")[2])
            raise UserError(
                gettext("Step %(number)s: %(error)s") % {"number": self.number, "error": error}
            ) from error


class StepForms:
    """The steps of a form, by its data; without data that is checked, by the values it was left with."""

    def __init__(self, data: Mapping[str, Any] | None, project: Project, *, is_bound: bool) -> None:
        self.forms = [
            StepForm(
                data if is_bound else None,
                project=project,
                number=number,
                recipe=recipe,
                initial=None if is_bound else _typed(data or {}, project, number, recipe),
            )
            for number, recipe in enumerate(_recipes(data or {}), 1)
        ]

        given = str((data or {}).get("steps") or "0")
        self.refusal = ""
        if is_bound and str(_count(data or {})) != given:
            self.refusal = gettext("“%(given)s” is no number of steps from 0 to %(most)s.") % {
                "given": given[:20],
                "most": MAX_STEPS,
            }
        elif is_bound and (beyond := sorted(_named_steps(data or {}) - set(range(1, len(self.forms) + 1)))):
            self.refusal = gettext(
                "Step %(number)s has values, and the form says that there are %(count)s steps: reload the page."
            ) % {"number": beyond[0], "count": len(self.forms)}
        elif is_bound:
            self.refusal = next(filter(None, (_left_over(form, data or {}) for form in self.forms)), "")

    def __iter__(self) -> Iterator[StepForm]:
        return iter(self.forms)

    def __len__(self) -> int:
        return len(self.forms)

    @property
    def may_grow(self) -> bool:
        return len(self.forms) < MAX_STEPS

    def is_valid(self) -> bool:
        return not [form for form in self.forms if not form.is_valid()]  # all say what is wrong

    def steps(self, policy: PPOConfig, chosen: Collection[str]) -> list[PolicyStep]:
        return [form.step(policy, chosen) for form in self.forms]


def _count(data: Mapping[str, Any]) -> int:
    text = str(data.get("steps") or "0")
    return min(int(text), MAX_STEPS) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _left_over(form: StepForm, data: Mapping[str, Any]) -> str:
    """What was given to another recipe, which the step had when the page was made; "" where nothing was."""
    known = {form.add_prefix(name) for name in form.fields}
    for name, value in data.items():
        if name.startswith(f"{form.prefix}.") and name not in known and str(value).strip():
            return gettext(
                "Step %(number)s: %(recipe)s has no “%(name)s”. Show the options of the chosen recipes, and look again."
            ) % {"number": form.number, "recipe": form.label, "name": name.partition(".")[2][:60]}
    return ""


def _named_steps(data: Mapping[str, Any]) -> set[int]:
    """Numbers of the steps of which something is sent."""
    found = (re.match(r"step_([0-9]{1,4})\.", name) for name in data)
    return {int(match[1]) for match in found if match}


def _recipes(data: Mapping[str, Any]) -> list[Recipe]:
    asked = (str(data.get(f"step_{number}.recipe", "")) for number in range(1, _count(data) + 1))
    return [name if name in RECIPES else "ppo" for name in asked]  # type: ignore[misc]


def _typed(data: Mapping[str, Any], project: Project, number: int, recipe: Recipe) -> dict[str, Any]:
    return typed_values(StepForm(project=project, number=number, recipe=recipe), data) | {"recipe": recipe}


def typed_values(form: forms.Form, data: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the form's fields, unchecked."""
    return {
        name: field.widget.value_from_datadict(data, {}, form.add_prefix(name))
        for name, field in form.fields.items()
    }


def changed_steps(data: QueryDict) -> QueryDict:
    """The form's data after the button `change_steps`: add, up.N, down.N, remove.N; anything else changes nothing."""
    asked, _, place = str(data.get("change_steps", "")).partition(".")
    count = _count(data)
    order = list(range(1, count + 1))
    number = int(place) if place.isascii() and place.isdigit() and len(place) < 5 else 0
    if asked == "remove" and number in order:
        order.remove(number)
    elif asked in ("up", "down") and number in order:
        at = order.index(number)
        to = at + (1 if asked == "down" else -1)
        if 0 <= to < len(order):
            order[at], order[to] = order[to], order[at]
    elif asked == "add" and count < MAX_STEPS:
        order.append(count + 1)
    result = data.copy()
    for key in data:
        if key.startswith("step_"):
            del result[key]
    for new, old in enumerate(order, 1):
        for key in data:
            if key.startswith(f"step_{old}."):
                result.setlist(f"step_{new}." + key.partition(".")[2], data.getlist(key))
    result["steps"] = str(len(order))
    return result
