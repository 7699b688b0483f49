"""A selection in sentences."""

from typing import Any

from django.utils.translation import gettext

from policy_training.models import PolicySelection


def reason_of(selection: PolicySelection) -> str:
    """By which rule it was chosen, from how many, and its figures."""
    report = selection.report
    rule = selection.get_rule_display()
    if selection.max_kl is not None:
        rule = gettext("%(rule)s of %(max_kl)s nats") % {"rule": rule, "max_kl": f"{selection.max_kl:g}"}
    if selection.judged_by:
        rule = gettext("%(rule)s by %(judge)s") % {"rule": rule, "judge": selection.get_judged_by_display()}
    said = gettext("%(rule)s of %(n)s policies") % {"rule": rule, "n": len(report["candidates"])}
    if report["figure"] is None:
        return said
    return gettext("%(said)s, on %(prompts)s prompts of “%(set)s”: %(figures)s") % {
        "said": said,
        "prompts": report["prompts"],
        "set": report["prompt_set"],
        "figures": figures_text(chosen_row(selection)),
    }


def chosen_row(selection: PolicySelection) -> dict[str, Any]:
    rows: list[dict[str, Any]] = selection.report["candidates"]
    return next(row for row in rows if row["policy"] == selection.policy_id)


def figures_text(row: dict[str, Any]) -> str:
    parts = [gettext("reward %(reward)s") % {"reward": f"{row['reward']:.3f}"}]
    if row["kl"] is not None:
        parts.append(gettext("KL %(kl)s nats") % {"kl": f"{row['kl']:.2f}"})
    if row["win_rate"] is not None:
        parts.append(gettext("%(share)s %% won") % {"share": f"{100 * row['win_rate']:.0f}"})
    return ", ".join(parts)


def settled_text(selection: PolicySelection) -> str:
    """Whether the difference to the second is more than chance; "" where there is no second."""
    report = selection.report
    if report["runner_up"] is None:
        return ""
    second = report["candidates"][report["runner_up"]]
    found, is_share = second["difference"], report["figure"] == "win_rate"
    scale, unit = (100, " %") if is_share else (1, "")
    digits = 1 if is_share else 3
    values = {
        "name": second["name"],
        "mean": f"{scale * found['mean']:+.{digits}f}{unit}",
        "low": f"{scale * found['low']:+.{digits}f}",
        "high": f"{scale * found['high']:+.{digits}f}",
        "prompts": found["prompts"],
    }
    if found["settled"]:
        return (
            gettext(
                "Its difference to “%(name)s” is %(mean)s (95 %% interval over %(prompts)s prompts: %(low)s to "
                "%(high)s)."
            )
            % values
        )
    return (
        gettext(
            "Not settled: its difference to “%(name)s”, %(mean)s, may be chance (95 %% interval over %(prompts)s "
            "prompts: %(low)s to %(high)s). More prompts would tell."
        )
        % values
    )
