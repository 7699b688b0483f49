"""When the alarm comes that counts the labelled answers behind a policy (policy_training.training.alarms), beside gold.

It looks at KL and the number of labels alone, so that any run's steps will do: gold is only what it is judged by.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.experiments.configurations import CONFIGURATIONS, RESPONSES
from benchmarks.experiments.studies import FOUND_ALL
from benchmarks.experiments.watched import gold_peak
from policy_training.training.alarms.alarms import AlarmWatch, RewardLimits, supported_kl
from policy_training.training.alarms.config import AlarmOptions

Row = dict[str, Any]
ANSWERS_A_LABEL = 2
LABELS = (100, 300, 1000, 3000, 5000)
NAMES = (
    *("vanilla" if labels == 1000 else f"vanilla, {labels} labels" for labels in LABELS),
    *(
        f"vanilla, small steps{'' if labels == 1000 else f', {labels} labels'}"
        for labels in (100, 1000, 5000)
    ),
    *("max" if labels == 1000 else f"max, {labels} labels" for labels in LABELS),
)


def limit_of(labels: int) -> float:
    supporting = AlarmOptions().supporting_answers
    if supporting is None:
        raise ValueError("the product's default looks at no support")
    return supported_kl(ANSWERS_A_LABEL * labels, supporting)


def raised_at(kls: Sequence[float], labels: int) -> int | None:
    """The step, from 1, at which the product's watch raises it."""
    watch, limits = AlarmWatch(), RewardLimits(kl=limit_of(labels))
    for step, kl in enumerate(kls, start=1):
        watch.look({"kl": kl, "responses": RESPONSES}, AlarmOptions(), step=step, limits=limits)
    return watch.raised.get("support")


def share_below_peak(golds: Sequence[float], step: int) -> float:
    """Of what gold gained up to its peak, the share that it is below the peak at a step; means of three steps."""
    peak = gold_peak(golds)
    top, at = _mean_around(golds, peak), _mean_around(golds, step)
    return (top - at) / (top - golds[0])


def _mean_around(golds: Sequence[float], step: int) -> float:
    return statistics.fmean(golds[max(0, step - 2) : step + 1])


def section(by_name: Mapping[str, Sequence[Row]]) -> str:
    """Of every run of a name in NAMES: where gold peaks, where the alarm comes, and how much of the gain is missing."""
    lines = []
    for name in NAMES:
        for row in sorted(by_name.get(name, ()), key=lambda row: row["seed"]):
            golds, kls = [step["gold"] for step in row["steps"]], [step["kl"] for step in row["steps"]]
            if len(golds) < 3:  # no mean of three steps
                continue
            peak, step = gold_peak(golds), raised_at(kls, CONFIGURATIONS[name].labels)
            alarm = "none | | "
            if step is not None:
                place = "after" if step > peak else "before" if step < peak else "at"
                below = 100 * share_below_peak(golds, step)
                alarm = f"{step} ({place}) | {kls[step - 1]:.1f} | {below:.0f} %"
            lines.append(
                f"| {name} | {row['seed']} | {peak} | {limit_of(CONFIGURATIONS[name].labels):.1f} | {alarm} "
                f"| {100 * share_below_peak(golds, len(golds)):.0f} % |"
            )
    if not lines:
        return ""
    return "\n\n".join(
        (
            "## The alarm that counts labelled answers",
            "*The paper (Chatterjee and Diaconis 2018):* what n samples of one distribution say about another is what "
            "n exp(-KL) of its own would say. So the alarm comes where fewer than 100 of the labelled answers are like "
            "the policy's: at a KL above log(answers / 100), 0.7 nats for 100 labelled pairs and 4.6 for 5,000.",
            *([f"*Here:* {FOUND_ALL['support']}"] if FOUND_ALL.get("support") else []),
            "*Below*: the share of the gain up to gold's peak (mean of three steps) that is missing at the alarm, not "
            "yet gained where it comes before the peak and lost where after; and at the run's last step that was "
            "looked at.",
            "| run | seed | gold's peak | limit | alarm at step | KL | below | below at the end |\n"
            "|---|---|---|---|---|---|---|---|\n" + "\n".join(lines),
        )
    )
