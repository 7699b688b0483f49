"""Rewards of several models and functions: names of a project become folders, functions are those of the settings."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from learning.interface.options import options_to_dict
from policy_training.model_servers import require_known_server
from policy_training.training.reward_config import (
    BUILT_IN_FUNCTIONS,
    RewardFunctionPart,
    RewardModelPart,
    RewardSourcesOptions,
    part_key,
)
from rewardmodel.models import RewardModel
from workspace.errors import ActionError
from workspace.models import Project

COMBINATIONS = {
    "weighted_sum": gettext_lazy("weighted sum"),
    "safety_gate": gettext_lazy("safety gate (Llama 2): the further model scores safety"),
    "ensemble": gettext_lazy("ensemble: mean minus a multiple of the spread"),
}


def known_functions() -> tuple[str, ...]:
    """Dotted names that a run may ask for."""
    return (
        *BUILT_IN_FUNCTIONS,
        *(name for name in settings.REWARD_FUNCTIONS if name not in BUILT_IN_FUNCTIONS),
    )


def filled_in(
    project: Project, config: Mapping[str, Any], first: RewardModel | None = None
) -> tuple[dict[str, Any], list[int]]:
    """The config with names and folders of the further reward models that it asks for, and the keys of these models.

    Raises ActionError for a name that the project does not have, for a criterion without a model or whose newest model
    is the `first` reward model, and for a function or a model server that the settings do not name.
    """
    rewards = config.get("rewards") or {}
    require_known_functions([str(part.get("function")) for part in _parts(rewards, "functions")])
    judge = rewards.get("judge") if isinstance(rewards, Mapping) else None
    require_known_server(judge.get("server") if isinstance(judge, Mapping) else None)
    for section in ("rollout", "sampling"):  # who draws the answers, by the recipe
        drawn = config.get(section)
        require_known_server(drawn.get("server") if isinstance(drawn, Mapping) else None)
    models, keys = [], []
    for part in _parts(rewards, "models"):
        found = _named_model(project, part.get("name"), part.get("criterion"))
        if first is not None and part.get("criterion") and found.pk == first.pk:
            raise ActionError(
                gettext(
                    "The newest reward model of “%(criterion)s” is “%(name)s”, which is the first one already: leave "
                    "the criterion out, or name another model."
                )
                % {"criterion": part.get("criterion"), "name": found.name},
                code="no_reward_model",
            )
        models.append({**part, "name": found.name, "path": str(found.artifact.absolute_path)})
        keys.append(found.pk)
    _require_different(project, keys)
    if not models:
        return dict(config), []
    return {**config, "rewards": {**rewards, "models": models}}, keys


def require_rewards(project: Project, options: RewardSourcesOptions) -> None:
    """The same of options that are loaded, before anything is queued."""
    _require_different(
        project, [_named_model(project, part.name, part.criterion).pk for part in options.models]
    )
    require_known_functions([part.function for part in options.functions])
    require_known_server(options_to_dict(options.judge.server))


def _require_different(project: Project, keys: Sequence[int]) -> None:
    """A model that is named may be the newest of a criterion, too."""
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ActionError(
            gettext(
                "“%(name)s” stands twice among the further reward models, by its name or as the newest of a criterion: "
                "leave one of them out."
            )
            % {"name": project.reward_models.get(pk=twice).name},
            code="no_reward_model",
        )


def newest_of_criterion(project: Project, criterion: str) -> RewardModel | None:
    """The newest reward model that learned this criterion alone: one of several criteria says something else."""
    others = project.criteria.exclude(name=criterion)
    models = project.reward_models.filter(criteria__name=criterion).exclude(criteria__in=others)
    return models.order_by("-pk").first()


def _named_model(project: Project, name: Any, criterion: Any) -> RewardModel:
    """By its name, else the newest of the criterion. Raises ActionError."""
    if name or not criterion:
        found = project.reward_models.filter(name=name).first()
        if found is None:
            raise ActionError(
                gettext("The project has no reward model “%(get)s” to take rewards from.") % {"get": name},
                code="no_reward_model",
            )
        return found
    if not project.criteria.filter(name=criterion).exists():
        raise ActionError(
            gettext(
                "The project has no criterion “%(criterion)s” whose reward model rewards could be taken from."
            )
            % {"criterion": criterion},
            code="no_criterion",
        )
    found = newest_of_criterion(project, criterion)
    if found is None:
        raise ActionError(
            gettext(
                "The project has no reward model of “%(criterion)s” alone to take rewards from: train one first, or "
                "name a reward model."
            )
            % {"criterion": criterion},
            code="no_reward_model",
        )
    return found


def require_known_functions(functions: Sequence[str]) -> None:
    known = known_functions()
    if unknown := [name for name in functions if name not in known]:
        raise ActionError(
            gettext(
                "The reward function “%(unknown)s” is not one of this site's: an operator names those "
                "that may run in ROUNDTABLE_REWARD_FUNCTIONS."
            )
            % {"unknown": unknown[0]},
            code="unknown_reward_function",
        )


def _parts(rewards: Any, name: str) -> list[Mapping[str, Any]]:
    """What is no list of mappings is for the options' own check."""
    found = rewards.get(name) if isinstance(rewards, Mapping) else None
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list | tuple) else []


def describe_rewards(options: RewardSourcesOptions, first: str) -> str:
    """One sentence for pages; "" where the reward is one model's score. `first`: name of the first reward model."""
    if options.is_single:
        return ""
    names = [_part_in_words(part) for part in options.models]
    if options.combination == "safety_gate":
        tag = f", or the prompt has the tag “{options.risky_tag}”" if options.risky_tag else ""
        below = f"{options.safety_threshold:g} (as a probability)"
        words = f"{names[0]} where it says less than {below}{tag}; else “{first}”"
    elif options.combination == "ensemble":
        words = f"mean of “{first}” and {', '.join(names)}, minus {options.spread_coefficient:g} times their spread"
    else:
        weights = [options.weight, *(part.weight for part in options.models)]
        terms = zip(weights, [f"“{first}”", *names], strict=True)
        words = " + ".join(f"{weight:g} × {name}" for weight, name in terms)
    for part in options.functions:
        words += f" + {part.weight:g} × {part.function.rpartition('.')[2]}"
    if options.judge.server.name:
        words += f" + {options.judge.weight:g} × judge “{options.judge.server.model}”"
    return words + (", each model in its own standard deviations" if options.normalize_models else "")


def _part_in_words(part: RewardModelPart) -> str:
    if not part.criterion:
        return f"“{part.name}”"
    if not part.name:
        return gettext("the newest reward model of “%(criterion)s”") % {"criterion": part.criterion}
    return gettext("“%(name)s” (the newest of “%(criterion)s”)") % {
        "name": part.name,
        "criterion": part.criterion,
    }


class RewardModelsField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: RewardModel) -> str:
        return obj.name


def numbers_in(text: str) -> list[float]:
    """Numbers with spaces or commas between them. Raises ValidationError."""
    try:
        found = [float(part) for part in text.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise forms.ValidationError(gettext("Write numbers with spaces between them, for example 0.5 1"))
    return found


class RewardPartsFields(forms.Form):
    """Further reward models and functions, and the weight of each. Mixed into forms that know a project."""

    further_reward_models = RewardModelsField(
        RewardModel.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Their scores are combined with that of the first one. They may have another base and tokenizer."
        ),
        label=gettext_lazy("Further reward models"),
    )
    further_weights = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Weights of the further reward models"),
        help_text=gettext_lazy(
            "A number each, in the order of the list; empty: 1 each. Read by the weighted sum."
        ),
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
    criterion_weights = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Weights of the newest reward models of criteria"),
        help_text=gettext_lazy(
            "A number each, in the order of the list; empty: 1 each. Read by the weighted sum."
        ),
    )
    reward_functions = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Functions of prompt and response, which the site's operator allows. They are added."
        ),
        label=gettext_lazy("Reward functions"),
    )
    function_weights = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Weights of the reward functions"),
        help_text=gettext_lazy("A number each, in the order of the list; empty: 1 each."),
    )
    function_time_limits = forms.CharField(
        required=False,
        max_length=200,
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

    def clean_further_weights(self) -> list[float]:
        return numbers_in(self.cleaned_data["further_weights"])

    def clean_criterion_weights(self) -> list[float]:
        return numbers_in(self.cleaned_data["criterion_weights"])

    def clean_function_weights(self) -> list[float]:
        return numbers_in(self.cleaned_data["function_weights"])

    def clean_function_time_limits(self) -> list[float]:
        return numbers_in(self.cleaned_data["function_time_limits"])

    def reward_parts(self) -> dict[str, Any]:
        """models and functions of RewardSourcesOptions, those that were chosen. Raises ActionError."""
        values = self.cleaned_data
        models = list(values["further_reward_models"])
        criteria = sorted(values["further_criteria"])
        # In the order of the list, which is also that of the weights.
        functions = [name for name in known_functions() if name in values["reward_functions"]]
        found: dict[str, Any] = {}
        if models:
            weights = weights_for(len(models), values["further_weights"], gettext("further reward models"))
            found["models"] = [
                {"name": model.name, "weight": weight} for model, weight in zip(models, weights, strict=True)
            ]
        if criteria:
            weights = weights_for(len(criteria), values["criterion_weights"], gettext("criteria"))
            found["models"] = found.get("models", []) + [
                {"criterion": name, "weight": weight} for name, weight in zip(criteria, weights, strict=True)
            ]
        if functions:
            weights = weights_for(len(functions), values["function_weights"], gettext("reward functions"))
            found["functions"] = [
                {"function": name, "weight": weight} for name, weight in zip(functions, weights, strict=True)
            ]
            limits = values["function_time_limits"]
            if limits and len(limits) != len(functions):
                raise ActionError(
                    gettext(
                        "There are %(count)s reward functions and %(limits)s time limits: give one each, or none."
                    )
                    % {"count": len(functions), "limits": len(limits)},
                    code="bad_time_limits",
                )
            for part, limit in zip(found["functions"], limits, strict=False):
                part["time_limit_seconds"] = limit
        return found


def weights_for(count: int, weights: Sequence[float], what: str) -> list[float]:
    """One each. Raises ActionError."""
    if not weights:
        return [1.0] * count
    if len(weights) != count:
        raise ActionError(
            gettext("There are %(count)s %(what)s and %(weights)s weights: give one each, or none.")
            % {"count": count, "what": what, "weights": len(weights)},
            code="bad_weights",
        )
    return list(weights)


def parts_of_run(project: Project, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of RewardPartsFields say of an earlier run."""
    rewards = config.get("rewards") or {}
    keys = dict(project.reward_models.values_list("name", "pk"))
    models = sorted(
        (
            (keys[part["name"]], part.get("weight", 1.0))
            for part in _parts(rewards, "models")
            if part.get("name") in keys and not part.get("criterion")
        ),
        reverse=True,
    )
    criteria = {
        part["criterion"]: part.get("weight", 1.0)
        for part in _parts(rewards, "models")
        if part.get("criterion")
    }
    functions = {part["function"]: part for part in _parts(rewards, "functions")}
    chosen = [functions[name] for name in known_functions() if name in functions]
    usual = RewardFunctionPart.time_limit_seconds
    limits = [part.get("time_limit_seconds", usual) for part in chosen]
    return {
        "further_reward_models": [pk for pk, _ in models],
        "further_weights": numbers_as_text([weight for _, weight in models]),
        "further_criteria": sorted(criteria),
        "criterion_weights": numbers_as_text([criteria[name] for name in sorted(criteria)]),
        "reward_functions": [part["function"] for part in chosen],
        "function_weights": numbers_as_text([part.get("weight", 1.0) for part in chosen]),
        "function_time_limits": numbers_as_text(limits) if any(limit != usual for limit in limits) else "",
    }


def numbers_as_text(numbers: Sequence[float]) -> str:
    """As `numbers_in` reads them again, without a loss."""
    return " ".join(
        f"{number:.17g}" if float(f"{number:g}") != number else f"{number:g}" for number in numbers
    )


def part_label(key: str, names: Sequence[str]) -> str:
    """The reward model that a metric's part is of; the key itself for a function."""
    return next((name for name in names if part_key(name) == key), key)
