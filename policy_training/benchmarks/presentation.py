"""What measurements on tasks say of a policy, as its pages show it."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext, gettext_noop

from policy_training.models import Policy, PolicyBenchmark

# (figure, its name, whether higher is better, whether it is a share)
FIGURES: Mapping[str, tuple[str, bool, bool]] = {
    "perplexity": (gettext_noop("Perplexity of a token"), False, False),
    "bits_per_byte": (gettext_noop("Bits a byte"), False, False),
    "accuracy": (gettext_noop("Right choices"), True, True),
    "accuracy_normalized": (gettext_noop("Right choices, by length"), True, True),
    "exact_match": (gettext_noop("Exactly right"), True, True),
    "answer_found": (gettext_noop("With an answer"), True, True),
    "rouge1": ("ROUGE-1", True, True),
    "rouge2": ("ROUGE-2", True, True),
    "rougeL": ("ROUGE-L", True, True),
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one policy; places are of a picture 100 wide."""

    value: str
    between: str
    low_x: str
    high_x: str
    x: str
    width: str


@dataclass(frozen=True, kw_only=True)
class MeasuredFigure:
    task: str
    items: int
    label: str
    better: str
    one: Measured
    other: Measured | None
    verdict: str  # of two: which is better, or that it cannot be told


def compare(one: PolicyBenchmark, other: PolicyBenchmark | None) -> list[MeasuredFigure]:
    """The figures of a measurement, beside those of another policy on the same file, by the tasks' names: PostgreSQL
    keeps no order of a JSON object's keys.
    """
    rows = []
    beside = other.report.get("tasks", {}) if other else {}
    for task, own in sorted(one.report.get("tasks", {}).items()):
        for name, (label, higher_is_better, is_share) in FIGURES.items():
            figure = own["figures"].get(name)
            if figure is None:
                continue
            second = beside.get(task, {}).get("figures", {}).get(name)
            end = 1.0 if is_share else max(f["high"] for f in (figure, second) if f) * 1.05 or 1.0
            rows.append(
                MeasuredFigure(
                    task=task,
                    items=own["items"],
                    label=gettext(label),
                    better=gettext("higher is better") if higher_is_better else gettext("lower is better"),
                    one=_measured(figure, end, is_share),
                    other=_measured(second, end, is_share) if second else None,
                    verdict=_verdict(figure, second, higher_is_better) if second else "",
                )
            )
    return rows


def _measured(figure: Mapping[str, float], end: float, is_share: bool) -> Measured:
    def said(value: float) -> str:
        return f"{100 * value:.1f} %" if is_share else f"{value:.3g}"

    def place(value: float) -> float:
        return 2 + 96 * min(1.0, max(0.0, value / end))

    low, high = place(figure["low"]), place(figure["high"])
    return Measured(
        value=said(figure["value"]),
        between=gettext("%(low)s to %(high)s") % {"low": said(figure["low"]), "high": said(figure["high"])},
        low_x=f"{low:.1f}",
        high_x=f"{high:.1f}",
        x=f"{place(figure['value']):.1f}",
        width=f"{high - low:.1f}",
    )


def _verdict(one: Mapping[str, float], other: Mapping[str, float], higher_is_better: bool) -> str:
    """By the two intervals, which overlap more often than the difference's own would hold 0: careful, not sharp."""
    if one["low"] > other["high"] or one["high"] < other["low"]:
        is_better = (one["value"] > other["value"]) == higher_is_better
        return gettext("better") if is_better else gettext("worse")
    return gettext("cannot be told apart")


def latest_of(policy: Policy) -> list[PolicyBenchmark]:
    """The newest measurement on each file, newest first."""
    found: dict[int, PolicyBenchmark] = {}
    rows = policy.benchmarks.select_related("file", "produced_by").defer("file__content").order_by("-pk")
    for row in rows[:200]:
        found.setdefault(row.file_id, row)
    return list(found.values())
