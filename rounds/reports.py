"""What a round's page shows, read from the database: timeline, agreement with people, head-to-head, reliability."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any

from django.db.models import Prefetch
from django.utils import timezone
from django.utils.translation import gettext

from annotation.batches.progress import BatchProgress, batch_progress
from annotation.content.held_out import HELD_OUT_SETS
from annotation.models import Batch, Judgment, Prompt, PromptSetMember, Source, Task, TaskResponse
from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.proportions import clustered_interval
from learning.interface.training_options import RuntimeOptions
from policy_training.models import Policy
from policy_training.rewards import describe_rewards
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.reward_config import RewardSourcesOptions
from rewardmodel.figures import ReliabilityPoint, accuracy_by_strength, accuracy_sentence, reliability_points
from rounds.agreement import (
    RewardModelAgreement,
    reward_model_agreement,
    reward_model_agreement_by_annotator,
)
from rounds.head_to_head import OPPONENT_LABELS, pairings_of
from rounds.learned_criteria import other_criteria
from rounds.mixed_prompts import describe_prompts
from rounds.models import Round, Stage
from rounds.plans import HUMAN_REFERENCE, RoundPlan, load_plan
from rounds.round_figures import TimeFigure, time_figure
from rounds.stages.annotating import can_reopen_annotation, missing_judgments_message
from rounds.stages.registry import STAGE_ORDER
from rounds.stages.scoring import judgments_to_compare, next_round_of
from rounds.stages.transitions import stage_runs
from rounds.step_reports import StepReport, outcome, step_pictures, step_reports
from rounds.step_runs import describe_mixed_in
from rounds.steps import RECIPES
from rounds.task_selection import response_id_prefix
from runs.execution import describe_execution
from runs.line_pictures import LinePicture
from runs.models import Run
from runs.presentation import duration as format_duration
from workspace.models import User


@dataclass(frozen=True)
class TimelineEntry:
    """One stage on the timeline."""

    stage: str
    label: str
    status: str  # done | current | failed | cancelled | ahead
    entered_at: datetime | None
    seconds: float | None  # in this stage, so far
    reason: str  # what ended the stage before it
    runs: list[Run] = field(default_factory=list)

    @property
    def duration(self) -> str:
        return format_duration(self.seconds) if self.seconds else ""


def timeline(round_: Round) -> list[TimelineEntry]:
    entries = list(round_.stage_entries.all())
    entered: dict[str, tuple[datetime, str]] = {}
    left: dict[str, datetime] = {}
    for before, entry in zip([None, *entries], entries, strict=False):
        if before is not None:
            left[before.stage] = entry.created_at
        entered[entry.stage] = (entry.created_at, entry.reason)
    current_stage = round_.failed_stage if round_.stage == Stage.FAILED else round_.stage
    if round_.stage == Stage.CANCELLED:
        stages = [entry.stage for entry in entries if entry.stage in STAGE_ORDER]
        current_stage = stages[-1] if stages else ""  # where it was given up
    runs: dict[str, list[Run]] = {}
    for link in round_.round_runs.select_related("run").order_by("pk"):
        runs.setdefault(link.stage, []).append(link.run)
    timeline_entries = []
    is_ahead = False
    for stage in STAGE_ORDER:
        at, reason = entered.get(stage, (None, "")) if not is_ahead else (None, "")
        if stage == current_stage:
            ends = {Stage.FAILED: "failed", Stage.CANCELLED: "cancelled", Stage.DONE: "done"}
            status = ends.get(Stage(round_.stage), "current")
            is_ahead = True  # whatever comes behind was taken back by a manager
        else:
            status = "done" if at is not None else "ahead"
        until = left.get(stage) if status in ("done", "cancelled") else timezone.now()
        seconds = None
        if at is not None and until is not None and stage != Stage.DONE:
            seconds = (until - at).total_seconds()
        timeline_entries.append(
            TimelineEntry(stage, str(Stage(stage).label), status, at, seconds, reason, runs.get(stage, []))
        )
    return timeline_entries


@dataclass(frozen=True)
class HeadToHead:
    """How the round's start policy fared against one opponent, in blind pairs on the same prompts."""

    new: Policy
    opponent: str  # its name
    role: str  # what it is to the round, for example “the first policy”; empty when nobody recorded it
    wins: int
    ties: int
    losses: int
    equal: int  # prompts to which both gave the same answer: not shown to anybody
    on_trained_prompts: int  # of the judgments, those on prompts that a training had seen
    by_prompt: list[tuple[float, int]]  # of each prompt the judgments won, a tie half, and all of them

    @property
    def total(self) -> int:
        return self.wins + self.ties + self.losses

    @property
    def share(self) -> float:
        """Of the pairs that it won, in percent; a tie is half a win."""
        return self.percent(self.wins) + self.percent(self.ties) / 2

    @property
    def share_interval(self) -> tuple[float, float]:
        """95 %, in percent, over prompts, however many judged each."""
        low, high = clustered_interval(self.by_prompt)
        return 100 * low, 100 * high

    def percent(self, count: int) -> float:
        return 100 * count / self.total if self.total else 0.0

    @property
    def is_settled(self) -> bool:
        """Whether the interval leaves out the half."""
        low, high = self.share_interval
        return not low <= 50.0 <= high

    @property
    def win_percent(self) -> float:
        return self.percent(self.wins)

    @property
    def tie_percent(self) -> float:
        return self.percent(self.ties)

    @property
    def loss_percent(self) -> float:
        return self.percent(self.losses)


def head_to_head(round_: Round) -> list[HeadToHead]:
    """One for each opponent somebody judged pairs with; none for a plan that cannot be read."""
    if (plan := _plan(round_)) is None:
        return []
    judgments = (
        Judgment.objects.current()
        .of_project(round_.project)
        .filter(task__batch__round_number=round_.number)
        .of_purposes(Task.Purpose.HEAD_TO_HEAD)
        .of_annotator_kinds(*plan.annotation.annotator_kinds)
        .select_related("task__prompt")
        .prefetch_related(
            Prefetch("task__task_responses", TaskResponse.objects.select_related("response__source"))
        )
    )
    held_out = set(
        PromptSetMember.objects.filter(
            prompt_set__project=round_.project, prompt_set__purpose__in=HELD_OUT_SETS
        ).values_list("prompt_id", flat=True)
    )
    new_source = round_.start_policy.source_id
    counts: dict[Source, Counter[str]] = {}
    won: dict[Source, dict[int, list[float]]] = {}  # of each prompt, by judgment
    for judgment in judgments:
        sources = {entry.response_id: entry.response.source for entry in judgment.task.task_responses.all()}
        opponent = next((source for source in sources.values() if source.pk != new_source), None)
        if opponent is None:
            continue
        own = counts.setdefault(opponent, Counter())
        prompt = judgment.task.prompt
        is_won = len(judgment.tiers) > 1 and sources[judgment.tiers[0][0]].pk == new_source
        worth = 0.5 if len(judgment.tiers) == 1 else float(is_won)
        own[{1.0: "wins", 0.5: "ties", 0.0: "losses"}[worth]] += 1
        won.setdefault(opponent, {}).setdefault(prompt.pk, []).append(worth)
        own["trained"] += prompt.split == Prompt.Split.TRAIN and prompt.pk not in held_out
    recorded = {
        pairing.opponent.policy.source_id if pairing.opponent.policy else None: pairing
        for pairing in pairings_of(round_)
    }
    results = []
    for source, own in sorted(counts.items(), key=lambda item: item[0].pk):
        is_reference = source.kind == Source.Kind.REFERENCE
        pairing = recorded.get(None if is_reference else source.pk)
        results.append(
            HeadToHead(
                round_.start_policy,
                OPPONENT_LABELS[HUMAN_REFERENCE] if is_reference else source.name,
                OPPONENT_LABELS[pairing.opponent.kind] if pairing and not is_reference else "",
                own["wins"],
                own["ties"],
                own["losses"],
                pairing.equal if pairing else 0,
                own["trained"],
                [(sum(judged), len(judged)) for judged in won[source].values()],
            )
        )
    return results


@dataclass(frozen=True)
class RoundReport:
    round: Round
    timeline: list[TimelineEntry]
    progress: BatchProgress | None
    can_reopen_annotation: bool  # it failed on its judgments
    prompts: list[str]  # of which sets they were, where there are several
    mixed_in: str  # what PPO learns from beside its rollouts
    learned: list[tuple[str, str]]  # of several criteria: name, agreement on held-out pairs
    rewards: str  # what PPO's reward is made of, where that is more than the round's reward model
    execution: str  # processes, device and engine of its runs, where they are not the usual ones
    blocked_reason: str  # what keeps annotation open although its quota is met or its time is over
    current_runs: list[Run]
    responses: int
    judgments: int
    next_round: Round | None
    reader_agreement: RewardModelAgreement | None
    # Everybody else who judged, by user name.
    other_agreements: list[tuple[str, RewardModelAgreement]]
    head_to_head: list[HeadToHead]
    steps: list[StepReport]  # none: the policy was trained by one recipe
    pictures: list[LinePicture]  # of that one recipe
    time: TimeFigure | None
    outcome: tuple[str, str] | None  # of the new policy: what was measured, before → after
    reference: str  # the policy that the new one was held near
    reliability: list[ReliabilityPoint]
    by_strength: list[tuple[str, dict[str, Any]]]


def _plan(round_: Round) -> RoundPlan | None:
    """None: it is of another version of this program."""
    try:
        return load_plan(round_.plan)
    except UserError:
        return None


def _mixed_in(round_: Round) -> str:
    plan = _plan(round_)
    return describe_mixed_in(plan) if plan is not None else ""


def _rewards(round_: Round) -> str:
    if (plan := _plan(round_)) is None:
        return ""
    first = round_.reward_model.name if round_.reward_model else gettext("the round's reward model")
    said: dict[str, list[str]] = {}
    runs: list[Run | None] = [*stage_runs(round_, Stage.POLICY)]
    for step, run in zip_longest(plan.policy_steps, runs[: len(plan.policy_steps)]):
        config = plan.config_of(step)
        if isinstance(config, PPOConfig | PolicyGradientConfig | BestOfNConfig):
            words = describe_rewards(_rewards_of(run) or config.rewards, first)
            said.setdefault(words, []).append(gettext(RECIPES[step.recipe].label))
    return " ".join(
        gettext("Reward of %(recipes)s: %(words)s.") % {"recipes": ", ".join(recipes), "words": words}
        for words, recipes in said.items()
        if words
    )


def _rewards_of(run: Run | None) -> RewardSourcesOptions | None:
    """Those that the step was asked for: of a criterion, its newest model by name. None before that."""
    try:
        return load_options(RewardSourcesOptions, run.config["rewards"]) if run is not None else None
    except (KeyError, UserError):  # of another version of this program
        return None


def _learned(round_: Round) -> list[tuple[str, str]]:
    """(criterion, accuracy on held-out pairs, "" where unknown) where the reward model learns several."""
    plan = _plan(round_)
    if plan is None or not (others := other_criteria(round_, plan)):
        return []
    report = round_.reward_model.report if round_.reward_model else {}
    figures = report.get("by_criterion") or {}
    return [(name, accuracy_sentence(figures.get(name) or {})) for name in (round_.criterion.name, *others)]


def _execution(round_: Round) -> str:
    if (plan := _plan(round_)) is None:
        return ""
    parts = {
        "reward model": describe_execution(plan.processes, options_to_dict(plan.reward_model.runtime)),
        "policy": describe_execution(plan.processes, options_to_dict(plan.policy.runtime)),
        **{
            f"step {number}": describe_execution(plan.processes, options_to_dict(step.config.runtime))
            for number, step in enumerate(plan.steps, 1)
            if step.config is not None
        },
    }
    usual = describe_execution(1, options_to_dict(RuntimeOptions()))
    if set(parts.values()) == {usual}:
        return ""
    if len(set(parts.values())) == 1:
        return gettext("Its runs take %(parts)s.") % {"parts": parts["policy"]}
    return gettext("Its runs take %(items)s.") % {
        "items": "; ".join(
            gettext("%(described)s for the %(name)s") % {"described": described, "name": name}
            for name, described in parts.items()
        )
    }


def _blocked_reason(round_: Round, progress: BatchProgress | None) -> str:
    if round_.stage != Stage.ANNOTATING or progress is None or round_.batch is None:
        return ""
    if round_.batch.state == Batch.State.CLOSED:
        return gettext(
            "Its batch was closed, so nobody gets its tasks: open the annotation again, or end it."
        )
    try:
        return missing_judgments_message(round_) if progress.quota_met or round_.annotation_is_over else ""
    except UserError as error:  # a plan of another version of this program
        return str(error)


def _reference_name(round_: Round) -> str:
    run = round_.new_policy.produced_by if round_.new_policy else None
    policy = Policy.objects.filter(pk=run.parameters.get("reference")).first() if run else None
    return policy.name if policy else round_.start_policy.name


def _pictures(round_: Round) -> list[LinePicture]:
    runs = stage_runs(round_, Stage.POLICY)
    return step_pictures(runs[-1]) if runs else []


def round_report(round_: Round, reader: User) -> RoundReport:
    entries = timeline(round_)
    current = next((entry for entry in entries if entry.status in ("current", "failed")), None)
    reward_model = round_.reward_model
    judgments = judgments_to_compare(round_)
    report = reward_model.report if reward_model else {}
    progress = batch_progress(round_.batch) if round_.batch else None
    return RoundReport(
        round=round_,
        timeline=entries,
        progress=progress,
        can_reopen_annotation=can_reopen_annotation(round_),
        prompts=describe_prompts(round_),
        mixed_in=_mixed_in(round_),
        learned=_learned(round_),
        rewards=_rewards(round_),
        execution=_execution(round_),
        blocked_reason=_blocked_reason(round_, progress),
        current_runs=current.runs if current else [],
        responses=round_.project.responses.filter(external_id__startswith=response_id_prefix(round_)).count(),
        judgments=Judgment.objects.current().in_batch(round_.batch).count() if round_.batch else 0,
        reader_agreement=(
            reward_model_agreement(reward_model, judgments.filter(annotator=reader)) if reward_model else None
        ),
        other_agreements=(
            reward_model_agreement_by_annotator(reward_model, judgments.exclude(annotator=reader))
            if reward_model
            else []
        ),
        next_round=next_round_of(round_),
        head_to_head=head_to_head(round_),
        steps=(steps := step_reports(round_)),
        pictures=_pictures(round_) if not steps else [],
        time=time_figure(round_),
        outcome=outcome(round_.new_policy.report) if round_.new_policy else None,
        reference=_reference_name(round_),
        reliability=reliability_points(report),
        by_strength=accuracy_by_strength(report),
    )
