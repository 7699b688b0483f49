"""PPO's options on the form that starts a round, by their paths in the plan: `policy.algorithm.clip_range`.

An empty field is as the preset says; `none` is written for an option that may be off.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext, gettext_lazy

from policy_training.training.judge_config import FIXED_REWARD_OPTIONS
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import MODULES, PPO_PRESETS
from runs.option_forms.comments import preset_comments
from runs.option_forms.fields import Option, Section, as_text, assignment, sections_of, value_at, yes_or_no

PREFIX = "policy."
NONE = "none"
# Asked by fields of other names (rounds/reward_fields.py).
REWARD_FIELDS = (
    "combination",
    "weight",
    "models",
    "functions",
    "normalize_models",
    "safety_threshold",
    "risky_tag",
    "spread_coefficient",
    "whiten",
)
# What every step has from here, of whatever recipe, unless it says otherwise.
SHARED = (f"{PREFIX}rewards.", f"{PREFIX}runtime.")
# The form asks for lengths, processes and devices of the whole round, a round has models of its own, and rollouts are
# drawn from the policy as it is.
SECTIONS: list[Section] = sections_of(
    PPOConfig,
    leave_out=(
        "batch.max_prompt_tokens",
        "batch.max_response_tokens",
        "runtime.device",
        "runtime.backend",
        "runtime.zero_stage",
        "reference",
        *(f"rewards.{name}" for name in REWARD_FIELDS),
        *FIXED_REWARD_OPTIONS,
        "policy.source",
        "policy.dropout",
        *(f"rollout.sampling.{name}" for name in ("top_p", "top_k", "repetition_penalty")),
        "rollout.sampling.repetition_penalty_scope",
        # Rollouts need what has one value only.
        *(f"rollout.server.{name}" for name in ("protocol", "stop", "returns_token_ids", "returns_logprobs")),
    ),
)
OPTIONS: Mapping[str, Option] = {
    PREFIX + option.path: option for section in SECTIONS for option in section.options
}
COMMENTS = preset_comments(*MODULES)


def option_fields() -> dict[str, forms.Field]:
    return {name: option_field(option) for name, option in OPTIONS.items()}


def option_field(option: Option) -> forms.Field:
    if option.choices:
        texts = [as_text(choice) for choice in option.choices]
        choices = [(text, yes_or_no(text)) for text in texts]
        none = [(NONE, gettext("none"))] if option.may_be_empty else []
        return forms.ChoiceField(
            label=option.label,
            choices=[("", gettext("as the preset")), *none, *choices],
            required=False,
            help_text=gettext(option.help),
        )
    return forms.CharField(
        label=option.label,
        required=False,
        max_length=500,
        help_text=gettext(option.help)
        or (gettext("“%(none)s” turns it off.") % {"none": NONE} if option.may_be_empty else ""),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )


def show_defaults(
    fields: Mapping[str, forms.Field], config: Mapping[str, Any], options: Mapping[str, Option] = OPTIONS
) -> None:
    """What is used where nothing is given: in the empty field, or in the words of the empty choice."""
    for name, option in options.items():
        field, text = fields[name], as_text(value_at(config, option.path)) or NONE
        if isinstance(field, forms.ChoiceField):
            shown = gettext("none") if text == NONE else yes_or_no(text)
            kept = list(field.choices)[1:]  # type: ignore[arg-type]
            field.choices = [("", gettext("%(shown)s (preset)") % {"shown": shown}), *kept]
        else:
            field.widget.attrs["placeholder"] = text


def assignments(
    values: Mapping[str, Any], options: Mapping[str, Option] = OPTIONS, prefix: str = PREFIX
) -> list[str]:
    """What was given, as `start_round --set` has it."""
    given = []
    for name, option in options.items():
        text = str(values.get(name) or "").strip()
        if text:
            if text.lower() == NONE and (option.may_be_empty or option.is_list):
                text = "" if option.may_be_empty else "[]"
            given.append(prefix + assignment(option, text))
    return given


def are_of_ppo(assignments: Iterable[str]) -> bool:
    """Whether one of `policy.path=value` is read by PPO alone, and not by steps of other recipes too."""
    return any(words.startswith(PREFIX) and not words.startswith(SHARED) for words in assignments)


def is_of_rewards(section: Section) -> bool:
    return section.path.partition(".")[0] == "rewards"


def option_named_in(message: str, options: Collection[str]) -> str | None:
    """The field that a refusal of the plan is about: “plan.policy.algorithm: gamma must be ...”."""
    found = re.match(r"plan((?:\.\w+)*)(?:\[\d+\])*: (\w*)", message)
    if found is None:
        return None
    section = found[1].lstrip(".")
    return next((name for name in (section, f"{section}.{found[2]}".lstrip(".")) if name in options), None)


def shown_sections(
    fields: Mapping[str, BoundField],
    comments: Mapping[str, str],
    sections: Iterable[Section] = tuple(SECTIONS),
    prefix: str = PREFIX,
) -> list[dict[str, Any]]:
    """The sections with their fields, for the page. Sections with something given or wrong are open.

    `comments`: where the preset's values are from, by path.
    """
    shown = []
    for section in sections:
        options = [(fields[prefix + option.path], option) for option in section.options]
        rows = [
            {"field": field, "given": bool(field.value()), "source": gettext(comments.get(option.path, ""))}
            for field, option in options
        ]
        given = sum(bool(field.value()) for field, _ in options)
        is_open = given > 0 or any(field.errors for field, _ in options)
        shown.append({"section": section, "rows": rows, "n_given": given, "is_open": is_open})
    return shown


def preset_choices() -> list[tuple[str, Any]]:
    return [("", gettext_lazy("the round's own")), *((name, name) for name in PPO_PRESETS)]
