"""The arguments of an action as a chained training keeps them: rows by their keys, with their names to speak of them,
options as mappings.
"""

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext, gettext_lazy

from annotation.models import Batch, PreferenceDataset, PromptSet
from learning.interface.options import load_options, options_to_dict
from policy_training.mixtures.options import PromptMixture
from policy_training.models import Policy
from policy_training.supervised.preferred_answers import PreferredAnswers
from policy_training.supervised.rated_answers import RatedAnswers
from policy_training.supervised.stored_answers import StoredAnswers
from rewardmodel.models import RewardModel
from workspace.errors import ActionError
from workspace.models import Criterion, Project

# By the arguments' names; what is in none of these is plain values.
_ROWS: Mapping[str, type[models.Model]] = {
    "reference": Policy,
    "reward_model": RewardModel,
    "prompt_set": PromptSet,
    "dataset": PreferenceDataset,
}
_LISTS: Mapping[str, type[models.Model]] = {"samplers": Policy, "batches": Batch, "criteria": Criterion}
_OPTIONS: Mapping[str, type] = {
    "rated": RatedAnswers,
    "preferred": PreferredAnswers,
    "stored": StoredAnswers,
    "mixture": PromptMixture,
}
# Django's own names of these models are English everywhere.
_WORDS: Mapping[type[models.Model], Any] = {
    Policy: gettext_lazy("policy"),
    RewardModel: gettext_lazy("reward model"),
    PromptSet: gettext_lazy("prompt set"),
    PreferenceDataset: gettext_lazy("preference dataset"),
    Batch: gettext_lazy("batch"),
    Criterion: gettext_lazy("criterion"),
}


def stored_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """For a JSON field."""
    stored: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is None:
            stored[name] = None
        elif name in _ROWS:
            stored[name] = _kept(value)
        elif name in _LISTS:
            stored[name] = [_kept(row) for row in value]
        elif name in _OPTIONS:
            stored[name] = options_to_dict(value)
        else:
            stored[name] = value
    return stored


def loaded_arguments(project: Project, stored: Mapping[str, Any]) -> dict[str, Any]:
    """What `stored_arguments` kept. Raises ActionError for a row that was removed since, UserError for options of
    another version of this program.
    """
    loaded: dict[str, Any] = {}
    for name, value in stored.items():
        if value is None:
            loaded[name] = None
        elif name in _ROWS:
            loaded[name] = _rows(project, _ROWS[name], [value])[0]
        elif name in _LISTS:
            loaded[name] = _rows(project, _LISTS[name], value)
        elif name in _OPTIONS:
            loaded[name] = load_options(_OPTIONS[name], value, name)
        else:
            loaded[name] = value
    return loaded


def _kept(row: Any) -> dict[str, Any]:
    # Of a dataset the version is part of what it is called.
    return {"id": row.pk, "name": str(row) if isinstance(row, PreferenceDataset) else row.name}


def _rows(project: Project, model: type[models.Model], kept: list[Any]) -> list[Any]:
    """`kept`: as `_kept` gives them; those of older trainings are keys alone."""
    names = {row["id"]: f"“{row['name']}”" for row in kept if isinstance(row, Mapping)}
    keys = [row["id"] if isinstance(row, Mapping) else row for row in kept]
    found = model._default_manager.filter(project=project).in_bulk(keys)
    if missing := [key for key in keys if key not in found]:
        raise ActionError(
            gettext("The %(what)s %(key)s that it was asked with was removed: ask for the training anew.")
            % {"what": _WORDS[model], "key": names.get(missing[0], missing[0])},
            code="removed",
        )
    return [found[key] for key in keys]
