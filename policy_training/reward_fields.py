"""Fields of forms that ask for further reward models and functions, their weights and their options."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from policy_training.number_fields import NumbersField, numbers_as_text, weights_for
from policy_training.reward_batches import (
    MAX_BATCHES_TEXT,
    batches_as_text,
    batches_for,
    batches_in,
    own_values,
)
from policy_training.rewards import known_functions, parts_in
from policy_training.training.reward_config import RewardFunctionPart
from rewardmodel.models import RewardModel
from workspace.errors import ActionError
from workspace.models import Project

_BATCHES_HELP = gettext_lazy(
    "For models whose tokenizer or memory asks for others: max_prompt_tokens=512 max_response_tokens=256, for example, "
    "also max_micro_batch_tokens and layout. In the order of the list, with ; between the models. What is not named is "
    "as of the first reward model."
)


class OwnBatchesField(forms.CharField):
    """Lengths and passes of several reward models. Cleaned: see `batches_in`."""

    def __init__(self, **described: Any) -> None:
        super().__init__(required=False, max_length=MAX_BATCHES_TEXT, help_text=_BATCHES_HELP, **described)

    def clean(self, value: Any) -> list[dict[str, Any] | None]:
        return batches_in(super().clean(value))


class RewardPartsFields(forms.Form):
    """Further reward models and functions, and the weight of each. Mixed into forms that know a project."""

    further_reward_models = forms.ModelMultipleChoiceField(
        RewardModel.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Their scores are combined with that of the first one. They may have another base and tokenizer."
        ),
        label=gettext_lazy("Further reward models"),
    )
    further_weights = NumbersField(
        label=gettext_lazy("Weights of the further reward models"),
        help_text=gettext_lazy(
            "A number each, in the order of the list; empty: 1 each. Read by the weighted sum."
        ),
    )
    further_batches = OwnBatchesField(
        label=gettext_lazy("Lengths and passes of the further reward models, in their own tokens"),
    )
    further_criteria = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Of each, the newest reward model that learned it alone, as it is when the training begins: in rounds that "
            "follow each other a newer one each time."
        ),
        label=gettext_lazy("Further reward models: the newest of a criterion"),
    )
    criterion_weights = NumbersField(
        label=gettext_lazy("Weights of the newest reward models of criteria"),
        help_text=gettext_lazy(
            "A number each, in the order of the list; empty: 1 each. Read by the weighted sum."
        ),
    )
    criterion_batches = OwnBatchesField(
        label=gettext_lazy("Lengths and passes of the newest reward models of criteria, in their own tokens"),
    )
    reward_functions = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Functions of prompt and response, which the site's operator allows. They are added."
        ),
        label=gettext_lazy("Reward functions"),
    )
    function_weights = NumbersField(
        label=gettext_lazy("Weights of the reward functions"),
        help_text=gettext_lazy("A number each, in the order of the list; empty: 1 each."),
    )
    function_time_limits = NumbersField(
        label=gettext_lazy("Time limits of the reward functions, in seconds"),
        help_text=gettext_lazy(
            "For the responses of one step; a function that takes longer ends the run. A number each, in the order of "
            "the list; empty: 60 each."
        ),
    )

    def offer_rewards(self, project: Project) -> None:
        """After the other fields have their looks."""
        models, functions = self.fields["further_reward_models"], self.fields["reward_functions"]
        criteria = self.fields["further_criteria"]
        assert isinstance(models, forms.ModelMultipleChoiceField)
        assert isinstance(functions, forms.MultipleChoiceField)
        assert isinstance(criteria, forms.MultipleChoiceField)
        # Not in the database's order of words: weights belong to places in this list, for programs too.
        criteria.choices = [(name, name) for name in sorted(project.criteria.values_list("name", flat=True))]
        models.queryset = project.reward_models.order_by("-pk")
        functions.choices = [(name, name.rpartition(".")[2]) for name in known_functions()]
        for field in (models, criteria, functions):
            field.widget.attrs["class"] = "form-check-input"

    def reward_parts(self) -> dict[str, Any]:
        """models and functions of RewardSourcesOptions, those that were chosen. Raises ActionError."""
        values = self.cleaned_data
        models = list(values["further_reward_models"])
        criteria = sorted(values["further_criteria"])
        # In the order of the list, which is also that of the weights.
        functions = [name for name in known_functions() if name in values["reward_functions"]]
        parts: list[dict[str, Any]] = []
        # Where nothing is chosen, too: weights and lengths of nothing are refused, not forgotten.
        for prefix, named, what in (
            ("further", [{"name": model.name} for model in models], gettext("further reward models")),
            ("criterion", [{"criterion": name} for name in criteria], gettext("criteria")),
        ):
            weights = weights_for(len(named), values[f"{prefix}_weights"], what)
            batches = batches_for(len(named), values[f"{prefix}_batches"], what)
            parts += [
                {**part, "weight": weight, **batch}
                for part, weight, batch in zip(named, weights, batches, strict=True)
            ]
        found: dict[str, Any] = {"models": parts} if parts else {}
        weights = weights_for(len(functions), values["function_weights"], gettext("reward functions"))
        limits = values["function_time_limits"]
        if limits and len(limits) != len(functions):
            raise ActionError(
                gettext(
                    "There are %(count)s reward functions and %(limits)s time limits: give one each, or none."
                )
                % {"count": len(functions), "limits": len(limits)},
                code="bad_time_limits",
            )
        if functions:
            found["functions"] = [
                {"function": name, "weight": weight} for name, weight in zip(functions, weights, strict=True)
            ]
            for part, limit in zip(found["functions"], limits, strict=False):
                part["time_limit_seconds"] = limit
        return found


def parts_of_run(project: Project, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of RewardPartsFields say of an earlier run."""
    rewards = config.get("rewards") or {}
    keys = dict(project.reward_models.values_list("name", "pk"))
    models = {
        keys[part["name"]]: part
        for part in parts_in(rewards, "models")
        if part.get("name") in keys and not part.get("criterion")
    }
    newest_first = sorted(models, reverse=True)
    criteria = {part["criterion"]: part for part in parts_in(rewards, "models") if part.get("criterion")}
    by_name = sorted(criteria)
    functions = {part["function"]: part for part in parts_in(rewards, "functions")}
    chosen = [functions[name] for name in known_functions() if name in functions]
    usual = RewardFunctionPart.time_limit_seconds
    limits = [part.get("time_limit_seconds", usual) for part in chosen]
    return {
        "further_reward_models": newest_first,
        "further_weights": numbers_as_text([models[key].get("weight", 1.0) for key in newest_first]),
        "further_batches": batches_as_text([own_values(models[key], config) for key in newest_first]),
        "further_criteria": by_name,
        "criterion_weights": numbers_as_text([criteria[name].get("weight", 1.0) for name in by_name]),
        "criterion_batches": batches_as_text([own_values(criteria[name], config) for name in by_name]),
        "reward_functions": [part["function"] for part in chosen],
        "function_weights": numbers_as_text([part.get("weight", 1.0) for part in chosen]),
        "function_time_limits": numbers_as_text(limits) if any(limit != usual for limit in limits) else "",
    }
