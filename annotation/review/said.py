"""How often what was said beside the order, in a batch: marks, flags, confidence, and why somebody could not judge.

Counted from the judgments that hold now, the newest MAX_READ of them: a page reads no more than that.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext

from annotation.access import shown_tasks, shown_to
from annotation.models import Assignment, Batch, Judgment
from annotation.rendering.flags import flag_labels
from workspace.asked import Asked, read_asked
from workspace.models import User
from workspace.roles import Capability

MAX_READ = 2_000
ROWS_AT_ONCE = 50  # the marks of one may have some hundred kilobytes
MAX_SHOWN = 12  # values of one mark, and reasons


def count_said(batch: Batch, reader: User, capabilities: frozenset[Capability]) -> dict[str, Any]:
    """For review/said.html; `marks` and `flags` are empty where nothing was said."""
    columns = ("marks", "confidence", "flags")
    current = shown_tasks(Judgment.objects.current().in_batch(batch), capabilities, "task__")
    rows = current.order_by("-pk").values_list(*columns)[:MAX_READ]
    read = 0
    values: dict[str, Counter[str]] = {}
    numbers: dict[str, list[float]] = {}
    flags: Counter[str] = Counter()
    for marks, confidence, given in rows.iterator(chunk_size=ROWS_AT_ONCE):
        read += 1
        flags.update(given)
        for said in [*marks.values(), {"": confidence} if confidence is not None else {}]:
            for name, value in said.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    numbers.setdefault(name, []).append(float(value))
                values.setdefault(name, Counter()).update(_words(value))
    names = _labels(batch) | {"": gettext("How sure")}
    labels = flag_labels(batch.project)
    skips = Assignment.objects.filter(task__batch=batch, state=Assignment.State.SKIPPED).exclude(
        skip_reason=""
    )
    skips = shown_to(reader, skips, capabilities)
    reasons = skips.order_by().values("skip_reason").annotate(n=Count("pk")).order_by("-n", "skip_reason")
    return {
        "read": read,
        "is_part": read == MAX_READ,
        "marks": [
            {
                "label": names.get(name, name),
                "answers": sum(counts.values()),
                "mean": sum(numbers[name]) / len(numbers[name]) if numbers.get(name) else None,
                "values": _in_order(counts),
                "more": max(0, len(counts) - MAX_SHOWN),
            }
            for name, counts in sorted(values.items(), key=lambda one: _place(one[0], names))
        ],
        "flags": [(labels[flag], count) for flag, count in flags.most_common() if flag in labels],
        "reasons": [(row["skip_reason"], row["n"]) for row in reasons[:MAX_SHOWN]],
    }


def _words(value: Any) -> list[str]:
    """What is counted: the value itself; of passages their labels; of a text only that there is one."""
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, int | float):
        return [f"{value:g}"]
    if isinstance(value, list):
        return [passage["label"] for passage in value]
    return [value if len(value) <= 40 else "a text"]


def _in_order(counts: Counter[str]) -> list[tuple[str, int]]:
    """Numbers as numbers go, words by how often."""
    shown = counts.most_common(MAX_SHOWN)
    if all(value.replace(".", "", 1).isdecimal() for value, _ in shown):
        return sorted(shown, key=lambda one: float(one[0]))
    return shown


def _labels(batch: Batch) -> dict[str, str]:
    """Of each mark that was ever asked; the newest words count, in the order of the newest version."""
    labels: dict[str, str] = {}
    versions = batch.project.question_settings.order_by("-version").values_list("asked", flat=True)
    asked: list[Asked] = [read_asked(stored) for stored in versions[:50]]
    for version in asked:
        for mark in version.marks:
            labels.setdefault(mark.name, mark.label)
    return labels


def _place(name: str, names: Mapping[str, str]) -> tuple[int, str]:
    return list(names).index(name) if name in names else len(names), name
