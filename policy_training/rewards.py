"""Rewards of several models and functions: names of a project become folders, functions are those of the settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from learning.interface.options import options_to_dict
from policy_training.model_servers import require_known_server
from policy_training.reward_batches import with_whole_batches
from policy_training.training.reward_config import (
    BUILT_IN_FUNCTIONS,
    RewardModelPart,
    RewardSourcesOptions,
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
    """The config with names, folders and whole batches of the further reward models that it asks for, and the keys of
    these models.

    Raises ActionError for a name that the project does not have, for a criterion without a model or whose newest model
    is the `first` reward model, and for a function or a model server that the settings do not name.
    """
    config = with_whole_batches(config)
    rewards = config.get("rewards") or {}
    require_known_functions([str(part.get("function")) for part in parts_in(rewards, "functions")])
    judge = rewards.get("judge") if isinstance(rewards, Mapping) else None
    require_known_server(judge.get("server") if isinstance(judge, Mapping) else None)
    for section in ("rollout", "sampling"):  # who draws the answers, by the recipe
        drawn = config.get(section)
        require_known_server(drawn.get("server") if isinstance(drawn, Mapping) else None)
    models, keys = [], []
    for part in parts_in(rewards, "models"):
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


def parts_in(rewards: Any, name: str) -> list[Mapping[str, Any]]:
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
