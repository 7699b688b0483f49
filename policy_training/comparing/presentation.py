"""Comparisons as their page shows them: a table of each criterion, stacked bars, and curves over a training's steps."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from django.utils.translation import gettext

from annotation.models import Batch, Judgment, TaskResponse
from learning.interface.proportions import clustered_interval, wilson_interval
from policy_training.comparing.kind import EQUAL_ANSWERS, learned_criteria, source_of
from policy_training.models import PolicyComparison
from rewardmodel.models import RewardModel
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
    criterion: str = ""  # on which people compared, or that the reward model learned; a judge has a question
    reward_model: int | None = None
    score: float | None = None  # the other's mean score by the reward model
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
        return replace(
            self,
            win=self.lose,
            lose=self.win,
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
    run, own = comparison.produced_by, comparison.policy.source_id
    batches = list(comparison.batches.select_related("criterion").order_by("pk"))
    names: dict[int, str] = {}
    for other in run.parameters["others"] if batches else ():
        if (source := source_of(run, other)) is not None:
            names[source.pk] = other["name"]
    found: dict[tuple[str, str], Said] = {}
    by_tag: dict[tuple[str, str], dict[str, Said]] = {}
    for batch in batches:
        for prompt, tags, tiers, shown in _judged_by_people(batch):
            name = next((names[source] for source in shown.values() if source in names), None)
            if name is None:
                continue
            said = "tie" if len(tiers) == 1 else "win" if shown[tiers[0][0]] == own else "lose"
            place = (name, batch.criterion.name)
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


def _judged_by_people(batch: Batch) -> Iterator[tuple[int, Any, Any, dict[int, int]]]:
    """Of each judgment the prompt, its tags, the tiers, and {response: its source}."""
    rows = (
        Judgment.objects.counted()
        .in_batch(batch)
        .of_annotator_kinds(User.Kind.PERSON)
        .order_by("task_id", "pk")
        .values_list("task_id", "task__prompt_id", "task__prompt__tags", "tiers")
    )
    unread = rows.iterator(chunk_size=JUDGMENTS_AT_ONCE)
    while part := list(islice(unread, JUDGMENTS_AT_ONCE)):
        shown: dict[int, dict[int, int]] = {}
        responses = TaskResponse.objects.filter(task__in={task for task, *_ in part})
        for task, response, source in responses.values_list("task_id", "response_id", "response__source_id"):
            shown.setdefault(task, {})[response] = source
        for task, prompt, tags, tiers in part:
            yield prompt, tags, tiers, shown[task]


def scoring_models(comparison: PolicyComparison) -> list[RewardModel]:
    """Those whose scores the comparison has, the first one first."""
    keys = [
        comparison.reward_model_id,
        *comparison.produced_by.parameters.get("further_reward_models", []),
    ]
    found = RewardModel.objects.filter(project=comparison.project_id).prefetch_related("criteria")
    models = found.in_bulk(keys)
    return [models[key] for key in keys]


def own_scores(comparison: PolicyComparison) -> list[tuple[str, float]]:
    """(reward model, mean score of the policy that all are compared with)."""
    own = comparison.report.get("policy", {})
    figures = [own, *own.get("further", [])]
    return [
        (model.name, figure["score"])
        for model, figure in zip(scoring_models(comparison), figures, strict=True)
        if figure.get("score") is not None
    ]


def _by_reward(models: Sequence[RewardModel], other: Mapping[str, Any]) -> Iterator[Verdicts]:
    for model, figures in zip(models, [other, *other.get("further", [])], strict=True):
        criteria, by = learned_criteria(model), gettext("reward model")
        if len(models) > 1:
            said = gettext("reward model %(name)s, on %(criterion)s")
            by = (said if criteria else gettext("reward model %(name)s")) % {
                "name": model.name,
                "criterion": criteria,
            }
        found = _verdicts(by, "reward_model", figures.get("by_reward"))
        if found is not None:
            yield replace(found, criterion=criteria, reward_model=model.pk, score=figures.get("score"))


def comparison_rows(comparison: PolicyComparison) -> list[dict[str, Any]]:
    """One for each other: its name, its figures, and verdicts by reward models, judge and people. Of a training the
    wins are the checkpoint's, else the policy's. `equal_answers`: how many pairs nobody was shown, the answers being
    the same; None where no people compare, or nobody counted.
    """
    people = people_verdicts(comparison)
    models = scoring_models(comparison)
    rows = []
    for other in comparison.report.get("others", []):
        found = [
            *_by_reward(models, other),
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
                "kl": other.get("kl"),
                "prompts": other["prompts"],
                "equal_answers": other.get(EQUAL_ANSWERS),
                "verdicts": verdicts,
            }
        )
    return rows


@dataclass(frozen=True, kw_only=True)
class CriterionTable:
    """Everybody's verdicts on one criterion."""

    title: str
    rows: Sequence[tuple[Mapping[str, Any], Verdicts]]  # whom the verdicts are about, and what is said


def criterion_tables(rows: Sequence[Mapping[str, Any]]) -> list[CriterionTable]:
    """In the order of the reward models; a judge, who is asked a question, comes last."""
    found: dict[str, list[tuple[Mapping[str, Any], Verdicts]]] = {}
    judged: list[tuple[Mapping[str, Any], Verdicts]] = []
    for row in rows:
        for one in row["verdicts"]:
            place = judged if one.kind == "judge" else found.setdefault(one.criterion, [])
            place.append((row, one))
    tables = [
        CriterionTable(title=criterion or gettext("No criterion"), rows=own)
        for criterion, own in found.items()
    ]
    return [
        *tables,
        *([CriterionTable(title=gettext("The judge's question"), rows=judged)] if judged else []),
    ]


def which_checkpoints(comparison: PolicyComparison, rows: Sequence[Mapping[str, Any]]) -> str:
    """Which of a training's kept checkpoints were evaluated, in a sentence; empty where all were."""
    parameters = comparison.produced_by.parameters
    named = parameters.get("people_steps", [])
    words = {"n": len(rows), "kept": parameters.get("kept", 0), "steps": ", ".join(map(str, named))}
    if words["kept"] <= len(rows):
        return ""
    if not named:
        return gettext("%(n)s of the %(kept)s kept ones, spread evenly over the training.") % words
    if len(named) == len(rows):
        return gettext("%(n)s of the %(kept)s kept ones, those of the steps that were named.") % words
    return (
        gettext(
            "%(n)s of the %(kept)s kept ones: those of the steps that were named (%(steps)s), the others spread "
            "evenly over the training."
        )
        % words
    )


def along_pictures(comparison: PolicyComparison, rows: Sequence[Mapping[str, Any]]) -> list[LinePicture]:
    """Curves over the steps of the training: win rate against the start by everybody who says, reward, KL."""
    steps = [row["step"] or 0 for row in rows]
    said: dict[str, list[tuple[int, Verdicts]]] = {}
    for step, row in zip(steps, rows, strict=True):
        for one in row["verdicts"]:
            if one.total:
                said.setdefault(one.by, []).append((step, one))
    last = max(steps, default=0) or 1
    pictures = [
        line_picture(
            gettext("Win rate against the start, percent: %(by)s") % {"by": by},
            [(0, 50.0), *((step, one.share) for step, one in points)],
            last_step=last,
            scale=(0.0, 100.0),
            digits=0,
            intervals=[(0, 50.0, 50.0), *((step, *one.interval) for step, one in points)],
        )
        for by, points in said.items()
    ]
    series: list[tuple[str, list[tuple[float, float]]]] = []
    own = dict(own_scores(comparison))
    for model in scoring_models(comparison):
        scores = [
            (step, one.score)
            for points in said.values()
            for step, one in points
            if one.reward_model == model.pk and one.score is not None
        ]
        title = gettext("Mean reward")
        if len(own) > 1:
            title = gettext("Mean reward: %(name)s") % {"name": model.name}
        series.append((title, [*([(0, own[model.name])] if model.name in own else []), *scores]))
    kls = [(step, row["kl"]) for step, row in zip(steps, rows, strict=True) if row["kl"] is not None]
    series.append((gettext("KL to the start, nats an answer"), [(0, 0.0), *kls]))
    return [*pictures, *(line_picture(title, points, last_step=last) for title, points in series if points)]
