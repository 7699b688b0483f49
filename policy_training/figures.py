"""What the report of a policy's training, or of its evaluation, says, in words of its page."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import UserError, load_options
from policy_training.guidance import led_text
from policy_training.model_servers import served_by
from policy_training.models import Policy, PolicyEvaluation
from policy_training.rewarded.origins import gain_text
from policy_training.rewards import describe_rewards
from policy_training.training.reward_config import RewardSourcesOptions
from runs.option_forms.fields import value_at


def policy_figures(policy: Policy) -> list[tuple[str, str]]:
    """(label, value); what a report does not say is left out."""
    report: Mapping[str, Any] = policy.report
    imported = report.get("imported")
    if isinstance(imported, Mapping):
        hub = (imported.get("hub") or {}).get("policy") or {}
        found = [
            (gettext("Architecture"), str(imported.get("architecture") or "")),
            (gettext("Imported from"), str(hub.get("model") or imported.get("path") or "")),
            (gettext("Commit"), str(hub.get("commit") or "")),
            (gettext("Date of its chat template"), str(imported.get("template_date") or "")),
        ]
    else:
        found = [
            (gettext("Optimizer steps"), _whole(report.get("steps"))),
            (gettext("Learned from"), _examples(report)),
            (gettext("Loss on held-out rows"), _change(report, "loss_before", "loss_after", 3)),
            (gettext("Held-out pairs ordered as people did"), _share(report.get("accuracy_after"))),
            (held_out_reward(report), _change(report, "score_before", "score_after", 2)),
            (gettext("Its reward"), _reward(policy)),
            (gettext("Reward of what it learned"), gain_text(report)),
            *_reward_parts(report),
            (gettext("Alarms"), " ".join(map(str, report.get("alarms") or ()))),
            (gettext("KL to the reference"), _number(report.get("kl"), 1, " nats a response")),
            (gettext("Parameters"), _whole(report.get("parameters"))),
        ]
    return [(label, value) for label, value in found if value]


def held_out_reward(report: Mapping[str, Any]) -> str:
    """What a training's reward on held-out prompts is called: a judge compares several answers, and there is one."""
    rewards = report.get("rewards")
    if isinstance(rewards, Mapping) and rewards.get("judge"):
        return gettext("Reward on held-out prompts, without the judge")
    return gettext("Reward on held-out prompts")


def _reward(policy: Policy) -> str:
    """What it is made of, where that is more than one reward model's score."""
    rewards = policy.produced_by.config.get("rewards") if policy.produced_by else None
    if not rewards or policy.reward_model is None:
        return ""
    try:
        return describe_rewards(load_options(RewardSourcesOptions, rewards), policy.reward_model.name)
    except UserError:  # of another version of this program
        return ""


def _reward_parts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What each model and function said of the held-out prompts, before and after."""
    before, after = report.get("parts_before") or {}, report.get("parts_after") or {}
    return [
        (
            gettext("Of it, %(name)s") % {"name": name},
            _change({"b": before.get(name), "a": after[name]}, "b", "a", 2),
        )
        for name in after
    ]


def evaluation_figures(evaluation: PolicyEvaluation) -> dict[str, Any]:
    """score, with its standard error; kl; led, by which critic; served, by which server; ends, the share of answers
    that end by themselves; against, how it fared beside the reference on the same prompts, by the scores; and tags,
    [(tag, the same)].
    """
    report: Mapping[str, Any] = evaluation.report
    score, error = _number(report.get("score"), 2), _number(report.get("score_standard_error"), 2)
    ends: Any = report.get("eos_rate")
    return {
        "score": f"{score} ± {error}" if error else score,
        "kl": _number(report.get("kl"), 2),
        "led": led_text(evaluation.produced_by.config),
        "served": served_by(value_at(evaluation.produced_by.config, "sampling.server.name")),
        "ends": _share(ends),
        "against": _verdict(report.get("against_reference")),
        "tags": [
            (tag, _verdict(counts))
            for tag, counts in ((report.get("against_reference") or {}).get("by_tag") or {}).items()
        ],
    }


def _verdict(counts: Mapping[str, Any] | None) -> str:
    if not counts or counts.get("share") is None:
        return ""
    low, high = counts["interval"]
    return gettext("%(win)s won, %(tie)s tied, %(lose)s lost: %(share)s %% (%(low)s to %(high)s %%)") % {
        **{name: counts[name] for name in ("win", "tie", "lose")},
        **{
            name: f"{100 * value:.0f}"
            for name, value in (("share", counts["share"]), ("low", low), ("high", high))
        },
    }


def _examples(report: Mapping[str, Any]) -> str:
    examples, tokens = _whole(report.get("train_examples")), _whole(report.get("tokens"))
    return (
        gettext("%(examples)s rows, %(tokens)s tokens") % {"examples": examples, "tokens": tokens}
        if examples and tokens
        else ""
    )


def _change(report: Mapping[str, Any], before: str, after: str, digits: int) -> str:
    old, new = _number(report.get(before), digits), _number(report.get(after), digits)
    return f"{old} → {new}" if old and new else new


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else ""


def _number(value: Any, digits: int, unit: str = "") -> str:
    return f"{value:.{digits}f}{unit}" if _is_number(value) else ""


def _share(value: Any) -> str:
    return f"{100 * value:.0f} %" if _is_number(value) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
