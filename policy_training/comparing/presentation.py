"""Comparisons as their page shows them: a table, stacked bars, and curves over the steps of a training."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from django.utils.translation import gettext

from annotation.models import Batch, Judgment, Source, TaskResponse
from learning.interface.proportions import clustered_interval, wilson_interval
from policy_training.comparing.kind import EQUAL_ANSWERS, OUTSIDE
from policy_training.models import PolicyComparison
from runs.line_pictures import LinePicture, line_picture
from workspace.models import User

WIDTH, HEIGHT = 100.0, 60.0
JUDGMENTS_AT_ONCE = 2000  # in memory; all are counted

VerdictKind = Literal["reward_model", "judge", "people"]
Said = dict[int, Counter[str]]  # of each prompt how often people said win, tie and lose


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Of prompts (or of people's judgments) won, tied and lost; places are of a picture 100 wide."""

    by: str
    kind: VerdictKind = "people"
    criterion: str = ""  # people's
    win: int
    tie: int
    lose: int
    unclear: int = 0
    tags: Sequence[tuple[str, "Verdicts"]] = ()
    # Of people's judgments: of each prompt the judgments won, a tie half, and all of them. Empty: one verdict a prompt.
    by_prompt: Sequence[tuple[float, int]] = ()

    @property
    def total(self) -> int:
        return self.win + self.tie + self.lose

    @property
    def share(self) -> float:
        """Percent; a tie is half a win."""
        return 100 * (self.win + self.tie / 2) / self.total if self.total else 0.0

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 %, in percent, over what was drawn, the prompts: by Wilson's formula, or of several judgments of a prompt,
        which are no independent evidence, by a bootstrap.
        """
        low, high = (
            clustered_interval(self.by_prompt)
            if self.by_prompt
            else wilson_interval(self.win + self.tie / 2, self.total)
        )
        return 100 * low, 100 * high

    @property
    def said(self) -> str:
        if not self.total:
            return ""
        low, high = self.interval
        return gettext("%(share)s %% (%(low)s to %(high)s %%)") % {
            "share": f"{self.share:.0f}", "low": f"{low:.0f}", "high": f"{high:.0f}"
        }  # fmt: skip

    @property
    def places(self) -> dict[str, str]:
        whole = self.total or 1
        win, tie = 100 * self.win / whole, 100 * self.tie / whole
        lose = 100 * self.lose / whole
        return {
            "win": f"{win:.2f}",
            "tie_x": f"{win:.2f}",
            "tie": f"{tie:.2f}",
            "lose_x": f"{win + tie:.2f}",
            "lose": f"{lose:.2f}",
        }

    def turned(self) -> "Verdicts":
        """The other's wins."""
        return Verdicts(
            by=self.by,
            kind=self.kind,
            criterion=self.criterion,
            win=self.lose,
            tie=self.tie,
            lose=self.win,
            unclear=self.unclear,
            tags=[(tag, own.turned()) for tag, own in self.tags],
            by_prompt=[(judged - won, judged) for won, judged in self.by_prompt],
        )


def _verdicts(by: str, kind: VerdictKind, counts: Mapping[str, Any] | None) -> Verdicts | None:
    if not counts:
        return None
    return Verdicts(
        by=by,
        kind=kind,
        win=int(counts["win"]),
        tie=int(counts["tie"]),
        lose=int(counts["lose"]),
        unclear=int(counts.get("unclear") or 0),
        tags=[
            (tag, found)
            for tag, own in sorted((counts.get("by_tag") or {}).items())
            if (found := _verdicts(by, kind, own)) is not None
        ],
    )


def _said_by_people(
    by: str, said: Said, criterion: str = "", tags: Sequence[tuple[str, Verdicts]] = ()
) -> Verdicts:
    counts = sum(said.values(), Counter[str]())
    return Verdicts(
        by=by,
        criterion=criterion,
        win=counts["win"],
        tie=counts["tie"],
        lose=counts["lose"],
        tags=tags,
        by_prompt=[(own["win"] + own["tie"] / 2, own.total()) for own in said.values()],
    )


def people_verdicts(comparison: PolicyComparison) -> dict[tuple[str, str], Verdicts]:
    """(the other's name, criterion) -> what people said of the pairs, each judgment for itself."""
    others = comparison.produced_by.parameters["others"]
    outside_names = [other["name"] for other in others if other["kind"] == OUTSIDE]
    outside = dict(
        Source.objects.filter(
            project=comparison.project_id, kind=Source.Kind.IMPORT, name__in=outside_names
        ).values_list("name", "pk")
    )
    names: dict[tuple[str, int | None], str] = {}
    for other in others:
        if other["kind"] == OUTSIDE:
            names["source", outside.get(other["name"])] = other["name"]
        else:
            names[other["kind"], other.get("policy") or other.get("source")] = other["name"]
    found: dict[tuple[str, str], Said] = {}
    by_tag: dict[tuple[str, str], dict[str, Said]] = {}
    own = comparison.policy.source_id
    for batch in comparison.batches.select_related("criterion").order_by("pk"):
        for prompt, tags, tiers, shown in _judged_by_people(batch):
            others = [one for one in shown.values() if one[0] != own]
            source, kind, policy = others[0] if others else (0, "", None)
            key: tuple[str, int | None] = ("source", source)
            if kind == Source.Kind.REFERENCE:
                key = ("reference", None)
            elif policy is not None:
                key = ("policy", policy)
            if key not in names:
                continue
            said = "tie" if len(tiers) == 1 else "win" if shown[tiers[0][0]][0] == own else "lose"
            place = (names[key], batch.criterion.name)
            found.setdefault(place, {}).setdefault(prompt, Counter())[said] += 1
            for tag in set(tags or ()):
                of_tag = by_tag.setdefault(place, {}).setdefault(tag, {})
                of_tag.setdefault(prompt, Counter())[said] += 1

    return {
        (name, criterion): _said_by_people(
            gettext("people, on %(criterion)s") % {"criterion": criterion},
            said,
            criterion,
            [
                (tag, _said_by_people("", of_tag))
                for tag, of_tag in sorted(by_tag.get((name, criterion), {}).items())
            ],
        )
        for (name, criterion), said in found.items()
    }


def _judged_by_people(batch: Batch) -> Iterator[tuple[int, Any, Any, dict[int, tuple[Any, ...]]]]:
    """Of each judgment the prompt, its tags, the tiers, and {response: (source, its kind, its policy)}."""
    rows = (
        Judgment.objects.counted()
        .in_batch(batch)
        .of_annotator_kinds(User.Kind.PERSON)
        .order_by("task_id", "pk")
        .values_list("task_id", "task__prompt_id", "task__prompt__tags", "tiers")
    )
    unread = rows.iterator(chunk_size=JUDGMENTS_AT_ONCE)
    while part := list(islice(unread, JUDGMENTS_AT_ONCE)):
        shown: dict[int, dict[int, tuple[Any, ...]]] = {}
        responses = TaskResponse.objects.filter(task__in={task for task, *_ in part}).values_list(
            "task_id", "response_id", "response__source_id", "response__source__kind",
            "response__source__policy",
        )  # fmt: skip
        for task, response, *whose in responses:
            shown.setdefault(task, {})[response] = tuple(whose)
        for task, prompt, tags, tiers in part:
            yield prompt, tags, tiers, shown[task]


def comparison_rows(comparison: PolicyComparison) -> list[dict[str, Any]]:
    """One for each other: its name, its figures, and verdicts by reward, judge and people. Of a training the wins are
    the checkpoint's, else the policy's. `equal_answers`: how many pairs nobody was shown, the answers being the same;
    None where no people compare, or nobody counted.
    """
    people = people_verdicts(comparison) if comparison.of_run_id is None else {}
    rows = []
    for other in comparison.report.get("others", []):
        found = [
            _verdicts(gettext("reward model"), "reward_model", other.get("by_reward")),
            _verdicts(gettext("judge"), "judge", other.get("by_judge")),
            *(own for (name, _), own in sorted(people.items()) if name == other["name"]),
        ]
        verdicts = [one for one in found if one is not None]
        if comparison.of_run_id is not None:
            verdicts = [one.turned() for one in verdicts]
        rows.append(
            {
                "name": other["name"],
                "step": other.get("step"),
                "score": other["score"],
                "kl": other.get("kl"),
                "prompts": other["prompts"],
                "difference": other.get("difference"),
                "equal_answers": other.get(EQUAL_ANSWERS),
                "verdicts": verdicts,
            }
        )
    return rows


def along_pictures(comparison: PolicyComparison, rows: Sequence[Mapping[str, Any]]) -> list[LinePicture]:
    """Curves over the steps of the training: win rate against the start by each judge, reward, KL."""
    steps = [row["step"] or 0 for row in rows]
    series: list[tuple[str, list[tuple[float, float]], tuple[float, float] | None, int]] = []
    for place, label in enumerate((gettext("reward model"), gettext("judge"))):
        points = [
            (step, row["verdicts"][place].share)
            for step, row in zip(steps, rows, strict=True)
            if len(row["verdicts"]) > place and row["verdicts"][place].total
        ]
        if points:
            title = gettext("Win rate against the start by the %(by)s, percent") % {"by": label}
            series.append((title, [(0, 50.0), *points], (0.0, 100.0), 0))
    start = comparison.report.get("policy", {}).get("score")
    scores = [(step, row["score"]) for step, row in zip(steps, rows, strict=True)]
    series.append((gettext("Mean reward"), [*([(0, start)] if start is not None else []), *scores], None, 2))
    kls = [(step, row["kl"]) for step, row in zip(steps, rows, strict=True) if row["kl"] is not None]
    series.append((gettext("KL to the start, nats an answer"), [(0, 0.0), *kls], None, 2))
    last = max(steps, default=0) or 1
    return [
        line_picture(title, points, last_step=last, scale=scale, digits=digits)
        for title, points, scale, digits in series
        if points
    ]
