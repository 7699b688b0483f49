"""What a run's page says of the language model that judges in it. Reads judge.json, which may be missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from runs.models import Run

# Kinds whose runs measure the policy by one answer a prompt, which has no other to be compared with.
MEASURED_WITHOUT = frozenset({"policy.ppo", "policy.gradient", "policy.best_of_n"})


@dataclass(frozen=True, kw_only=True)
class JudgeFigures:
    """`measured_without`: what the run says of held-out prompts is without the judge's part of the reward."""

    rows: list[tuple[str, str]]
    measured_without: bool


def judge_figures(run: Run) -> JudgeFigures | None:
    """None of a run that asks no judge."""
    try:
        report: Mapping[str, Any] = RunDirectory(run.path).judge() or {}
    except (OSError, UserError):
        report = {}
    rewarded = bool(_at(run.config, "rewards", "judge", "server", "name"))
    if not report and not rewarded:
        return None
    read, written = _whole(report.get("prompt_tokens")), _whole(report.get("reply_tokens"))
    rows = [
        (gettext("Comparisons"), _whole(report.get("comparisons"))),
        (gettext("Ties"), _percent(report.get("tie_rate"))),
        (gettext("Verdict changes when the answers change places"), _percent(report.get("order_rate"))),
        (gettext("Replies without a verdict"), _whole(report.get("not_understood"))),
        (gettext("Requests"), _whole(report.get("requests"))),
        (gettext("Tokens read and written"), f"{read} + {written}" if read and written else ""),
        (gettext("Cost"), f"{report['cost']:.4f}" if report.get("cost") else ""),
    ]
    return JudgeFigures(
        rows=[(label, value) for label, value in rows if value],
        measured_without=rewarded and run.kind in MEASURED_WITHOUT,
    )


def _at(config: Any, *names: str) -> Any:
    for name in names:
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _percent(value: Any) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, int | float) else ""
