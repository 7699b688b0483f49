"""The plan's options that the form starting a round does not ask by names of its own: `reward_model.data.epochs`.

They are shown and read as PPO's (rounds/ppo_options.py), by their paths in the plan.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext_lazy, gettext_noop

from rewardmodel.training import presets as reward_model_presets
from rounds import ppo_options
from rounds.plans import RoundPlan
from runs.option_forms.comments import preset_comments
from runs.option_forms.fields import Option, Section, sections_of

REWARD_MODEL = "reward_model"
# Path -> why it is not here.
NOT_ASKED: Mapping[str, str] = {
    "policy": "PPO's options have sections of their own",
    "policy_prompts": "the fields of mixtures",
    "sampling.mixture": "the fields of mixtures",
    "steps": "the steps have sections of their own",
    "reference": "a field of its own",
    "reference_policy": "the field of the reference",
    "start_from": "a field of its own",
    "start_from_policy": "the field of the policy to start from",
    "batches": "a field of its own",
    "reward_model_criteria": "a field of its own",
    "processes": "a field of its own",
    "sampling.prompts": "a field of its own",
    "sampling.responses_per_task": "a field of its own",
    "sampling.options.temperatures": "a field of its own",
    "sampling.options.max_prompt_tokens": "one length for the whole round",
    "sampling.options.max_response_tokens": "one length for the whole round",
    "sampling.options.server.name": "a field of its own",
    "sampling.options.server.model": "a field of its own",
    "servers_may_be_away": "a field of its own",
    "reward_model.batch.max_prompt_tokens": "one length for the whole round",
    "reward_model.batch.max_response_tokens": "one length for the whole round",
    "annotation.overlap": "a field of its own",
    "annotation.quota": "a field of its own",
    "annotation.max_hours": "a field of its own",
    "head_to_head.opponents": "a field for each",
    "reward_model.model.source": "the model that reward_model_start names",
    "reward_model.tokenizer": "read for a model from scratch only",
    "reward_model.criterion": "the criteria of the round, for the record",
    "reward_model.runtime.device": "one machine for the whole round",
    "reward_model.runtime.backend": "one machine for the whole round",
    "reward_model.runtime.zero_stage": "one machine for the whole round",
}
_LABELS = {
    "": gettext_noop("Round"),
    "sampling.options": gettext_noop("How answers are drawn"),
    "head_to_head.sampling": gettext_noop("How head-to-head answers are drawn"),
}
SECTIONS: list[Section] = [
    replace(
        section, label=_LABELS.get(section.path, section.label), note=section.note if section.path else ""
    )
    for section in sections_of(RoundPlan, leave_out=tuple(NOT_ASKED))
]
OPTIONS: Mapping[str, Option] = {option.path: option for section in SECTIONS for option in section.options}
_COMMENTS = preset_comments(reward_model_presets)


def option_fields() -> dict[str, forms.Field]:
    return {name: ppo_options.option_field(option) for name, option in OPTIONS.items()}


def is_of_reward_model(section: Section) -> bool:
    return section.path.partition(".")[0] == REWARD_MODEL


def shown_sections(
    fields: Mapping[str, BoundField], reward_model_preset: str, *, of_reward_model: bool
) -> list[dict[str, Any]]:
    """As ppo_options.shown_sections: those of the reward model, or all others."""
    comments = {
        f"{REWARD_MODEL}.{path}": text for path, text in _COMMENTS.get(reward_model_preset, {}).items()
    }
    sections = [section for section in SECTIONS if is_of_reward_model(section) == of_reward_model]
    return ppo_options.shown_sections(fields, comments, sections, "")


def preset_choices() -> list[tuple[str, Any]]:
    return [("", gettext_lazy("the round's own")), *((name, name) for name in reward_model_presets.PRESETS)]
