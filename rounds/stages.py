"""How a round goes from stage to stage. The worker's tick calls `advance_round`; nothing here trains anything.

Each step locks the round's row, looks whether the stage's work is done, and in one transaction records its links and
starts the next stage's run. Two workers ticking at once do it once.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, close_batch, create_batch, open_batch
from annotation.batches.progress import batch_progress
from annotation.datasets.actions import freeze_dataset
from annotation.models import Batch, Judgment, PreferenceDataset, Prompt, Response, Task
from learning.interface.options import UserError, options_to_mapping
from policy_training.actions import sample_responses, train_by_ppo
from policy_training.models import Policy
from policy_training.training.config import SampleConfig
from rewardmodel.actions import score_responses, train_reward_model
from rewardmodel.models import RewardModel
from rounds.errors import RoundRefused
from rounds.models import Round, RoundRun, StageEntry
from rounds.plans import RoundPlan, later, load_plan
from rounds.tasks import (
    choose_prompts,
    head_to_head_count,
    head_to_head_tasks,
    normal_tasks,
    reserve,
    response_prefix,
    responses_of_round,
    samples_each,
)
from runs.actions import clone_run
from runs.models import Artifact, Run
from runs.states import RunState
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import User
from workspace.naming import free_name

Stage = Round.Stage
logger = logging.getLogger(__name__)
# A reward model learns from differences; one judgment has nothing to be held against.
FEWEST_LABELS = 2
BAD_ENDS = (RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED)


def advance_rounds() -> int:
    """Move every open round as far as it can go now; how many moved."""
    moved = 0
    waiting = Round.objects.exclude(stage__in=[Stage.DONE, Stage.FAILED, Stage.CANCELLED])
    for pk in waiting.values_list("pk", flat=True):
        try:
            moved += advance_round(pk)
        except (OperationalError, InterfaceError):
            raise  # the database is gone: that is no fault of the round
        except Exception as error:
            # It must neither keep the other rounds waiting nor be tried again for ever without a word.
            logger.exception("round %s could not be advanced", pk)
            fault = f"{type(error).__name__}: {error}".replace("\x00", "\ufffd")[:500]
            with transaction.atomic():
                fail_round(
                    _lock(pk), f"This is a fault of the program ({fault}); the worker's log tells more."
                )
            moved += 1
    return moved


def advance_round(pk: int) -> bool:
    """One step of one round; False when there is nothing to do yet. A refusal ends in `failed`, with its sentence."""
    round_ = Round.objects.select_related("project", "started_by").get(pk=pk)
    seen = round_.stage
    try:
        if round_.stage == Stage.REWARD_MODEL and round_.dataset_id is None:
            # Writing the files takes a while and needs no lock; its name makes it once.
            round_.dataset = snapshot_labels(round_)
            Round.objects.filter(pk=pk, dataset__isnull=True).update(dataset=round_.dataset)
        with transaction.atomic():
            round_ = _lock(pk)
            step = STEPS.get(Stage(round_.stage))
            return step(round_, load_plan(round_.plan)) if step else False
    except (ActionError, UserError, OSError) as error:
        with transaction.atomic():
            locked = _lock(pk)
            # Another worker may have moved it meanwhile; then this refusal is about a stage that is over.
            if locked.stage == seen:
                fail_round(locked, str(error))
        return True


def _lock(pk: int) -> Round:
    return (
        Round.objects.select_for_update(of=("self",))
        .select_related("project", "started_by", "start_policy", "criterion", "prompt_set")
        .get(pk=pk)
    )


def enter(
    round_: Round,
    stage: str,
    reason: str,
    *,
    actor: User | None = None,
    action: str = "round.enter",
    **fields: Any,
) -> None:
    """Move the locked round to a stage; the only place that writes `stage`. Without an actor it goes on by itself, in
    the name of whoever started it.
    """
    round_.stage = stage
    for name, value in fields.items():
        setattr(round_, name, value)
    round_.save(update_fields=["stage", *fields])
    StageEntry.objects.create(round=round_, stage=stage, reason=reason[:300])
    record_audit(
        actor=actor or round_.started_by,
        action=action,
        project=round_.project,
        target=round_,
        stage=stage,
        reason=reason,
    )


def fail_round(round_: Round, sentence: str) -> None:
    if round_.stage in (Stage.DONE, Stage.FAILED, Stage.CANCELLED):
        return
    enter(round_, Stage.FAILED, sentence, failed_stage=round_.stage, error=sentence)


def runs_of(round_: Round, stage: str | None = None) -> list[Run]:
    """The round's runs; one that ended badly and was run again from the start gives its place to the newer one."""
    links = round_.round_runs.select_related("run").order_by("pk")
    return [_standing(link.run) for link in (links.filter(stage=stage) if stage else links)]


def _standing(run: Run) -> Run:
    while run.state in BAD_ENDS:
        again = Run.objects.filter(cloned_from=run).order_by("-pk").first()
        if again is None:
            break
        run = again
    return run


def _all_done(runs: list[Run]) -> bool:
    """Raises RoundRefused, naming the run, when one of them ended badly."""
    for run in runs:
        if run.state in BAD_ENDS:
            why = f": {run.error}" if run.error else "."
            raise RoundRefused(
                f"“{run.title}” ended as {run.get_state_display().lower()}{why}", code="run_ended_badly"
            )
    return bool(runs) and all(run.state == RunState.DONE for run in runs)


def _link(round_: Round, run: Run, policy: Policy | None = None) -> None:
    RoundRun.objects.create(round=round_, run=run, stage=round_.stage, policy=policy)


# --- sampling ---------------------------------------------------------------------------------------------------


def sampling_policies(round_: Round, plan: RoundPlan) -> list[Policy]:
    names = plan.sampling.further_policies
    further = list(
        Policy.objects.filter(project=round_.project, name__in=names).exclude(pk=round_.start_policy_id)
    )
    return [round_.start_policy, *further]


def _step_sampling(round_: Round, plan: RoundPlan) -> bool:
    runs = runs_of(round_, Stage.SAMPLING)
    if not runs:
        _start_sampling(round_, plan)
        return True
    if not _all_done(runs):
        return False
    _open_annotation(round_, plan)
    return True


def _start_sampling(round_: Round, plan: RoundPlan) -> None:
    prompts = choose_prompts(round_.project, round_.prompt_set, plan.sampling.prompts)
    if not prompts:
        raise RoundRefused(
            f"The prompt set “{round_.prompt_set.name}” is empty: bring prompts in with `manage.py import_prompts`.",
            code="no_prompts",
        )
    policies = sampling_policies(round_, plan)
    each = samples_each(plan.sampling, len(policies))
    asks = [(policy, prompts, each, plan.sampling.temperatures) for policy in policies]
    if round_.previous_policy is not None:
        compared = prompts[: head_to_head_count(plan, len(prompts))]
        if compared and round_.previous_policy not in policies:
            asks.append((round_.previous_policy, compared, 1, plan.sampling.temperatures[:1]))
    for policy, asked, samples, temperatures in asks:
        config = SampleConfig(
            policy=later(),
            samples_a_prompt=samples,
            temperatures=temperatures,
            max_prompt_tokens=plan.sampling.max_prompt_tokens,
            max_response_tokens=plan.sampling.max_response_tokens,
            runtime=plan.policy.runtime,
        )
        run = sample_responses(
            actor=round_.started_by,
            project=round_.project,
            policy=policy,
            prompts=asked,
            config=options_to_mapping(config),
            id_prefix=response_prefix(round_, policy),
        )
        _link(round_, run, policy)


def _open_annotation(round_: Round, plan: RoundPlan) -> None:
    responses = responses_of_round(round_)
    prompts = sampled_prompts(round_)
    compared: list[NewTask] = []
    if round_.previous_policy is not None:
        count = head_to_head_count(plan, len(prompts))
        compared = head_to_head_tasks(prompts[:count], responses, round_.start_policy, round_.previous_policy)
    used = {task.prompt.pk for task in compared}
    sources = {policy.source_id for policy in sampling_policies(round_, plan)}
    tasks = normal_tasks(
        [prompt for prompt in prompts if prompt.pk not in used],
        [response for response in responses if response.source_id in sources],
        plan.sampling.responses_a_task,
    )
    if not tasks:
        raise RoundRefused(
            f"The policy gave no {plan.sampling.responses_a_task} different answers to any prompt: nothing to compare. "
            "Sample at a higher temperature or from more policies.",
            code="nothing_to_compare",
        )
    people = list(User.objects.filter(username__in=plan.annotation.reserved_for).order_by("username"))
    tasks, kept = reserve(_interleave(compared, tasks), people, plan.annotation.reserved_tasks)
    batch = _batch(round_, plan, name=f"Round {round_.number}", priority=0)
    add_tasks(actor=round_.started_by, batch=batch, tasks=tasks)
    _set_quota(batch, plan.annotation.quota)
    open_batch(actor=round_.started_by, batch=batch)
    for person, reserved in kept.items():
        if not reserved:
            continue
        own = _batch(round_, plan, name=f"Round {round_.number}, kept for {person.username}", priority=1)
        add_tasks(actor=round_.started_by, batch=own, tasks=reserved)
        open_batch(actor=round_.started_by, batch=own)
    until = timezone.now() + timedelta(hours=plan.annotation.hours) if plan.annotation.hours else None
    reason = f"{len(tasks)} tasks are ready"
    enter(round_, Stage.ANNOTATING, reason, batch=batch, annotate_until=until)


def sampled_prompts(round_: Round) -> list[Prompt]:
    """The round's prompts in the order they were asked."""
    link = (
        round_.round_runs.filter(stage=Stage.SAMPLING, policy=round_.start_policy).select_related("run").get()
    )
    prompts = {prompt.external_id: prompt for prompt in round_.prompt_set.prompts.all()}
    return [prompts[prompt_id] for prompt_id in link.run.parameters["prompt_ids"] if prompt_id in prompts]


def _interleave(compared: list[NewTask], tasks: list[NewTask]) -> list[NewTask]:
    """Head-to-head pairs spread evenly among the others: an annotator cannot tell them by their place."""
    if not compared:
        return tasks
    merged = list(tasks)
    gap = (len(tasks) + len(compared)) / len(compared)
    for index, task in enumerate(compared):
        merged.insert(min(len(merged), round(index * gap)), task)
    return merged


def _batch(round_: Round, plan: RoundPlan, *, name: str, priority: int) -> Batch:
    return create_batch(
        actor=round_.started_by,
        project=round_.project,
        criterion=round_.criterion,
        name=free_name(Batch.objects.filter(project=round_.project), name),
        responses_per_task=plan.sampling.responses_a_task,
        overlap=plan.annotation.overlap,
        priority=priority,
        round_number=round_.number,
    )


def _set_quota(batch: Batch, asked: int | None) -> None:
    """The quota asked for, or as many as the tasks have room for if that is fewer."""
    room = sum(Task.objects.of_slots().in_batch(batch).values_list("required_judgments", flat=True))
    Batch.objects.filter(pk=batch.pk).update(quota=min(asked, room) if asked else room)


# --- annotating -------------------------------------------------------------------------------------------------


def _step_annotating(round_: Round, plan: RoundPlan) -> bool:
    assert round_.batch is not None
    progress = batch_progress(round_.batch)
    is_over = round_.annotate_until is not None and timezone.now() >= round_.annotate_until
    if not (progress.is_full or is_over) or labels_to_train_on(round_, plan) < FEWEST_LABELS:
        return False
    if progress.is_full:
        return finish_annotation(round_, f"the quota of {progress.quota} judgments is met")
    return finish_annotation(
        round_, f"the time set is over with {progress.counted} of {progress.quota} judgments"
    )


def labels_to_train_on(round_: Round, plan: RoundPlan) -> int:
    """Judgments a reward model of this round would learn from: all so far, of the plan's kinds of annotators."""
    labels = (
        Judgment.objects.counted()
        .in_visible_batches()
        .of_project(round_.project)
        .of_criterion(round_.criterion)
        .for_training()
    )
    kinds = plan.annotation.annotator_kinds
    return labels.by_kind(*kinds).filter(task__prompt__split=Prompt.Split.TRAIN).count()


def missing_labels(round_: Round) -> str:
    """What to do while the labels so far are too few to train on: a closed batch could not bring more. Empty when they
    are enough.
    """
    plan = load_plan(round_.plan)
    labels = labels_to_train_on(round_, plan)
    if labels >= FEWEST_LABELS:
        return ""
    kinds = " or ".join(plan.annotation.annotator_kinds)
    return (
        f"There {'is' if labels == 1 else 'are'} {labels} judgment{'' if labels == 1 else 's'} to train on (by "
        f"{kinds}, on prompts of the training side, not head to head) and a reward model needs at least "
        f"{FEWEST_LABELS}: let people judge a few more tasks first, or import comparisons."
    )


def require_labels(round_: Round) -> None:
    """Raises RoundRefused while labels are missing."""
    if missing := missing_labels(round_):
        raise RoundRefused(missing, code="too_few_judgments")


def finish_annotation(round_: Round, reason: str, *, actor: User | None = None, **how: str) -> bool:
    """Close the locked round's batch (what is on people's screens may still come in) and go on."""
    assert round_.batch is not None
    close_batch(actor=actor or round_.started_by, batch=round_.batch)
    enter(round_, Stage.REWARD_MODEL, reason, actor=actor, **how)
    return True


# --- reward model -----------------------------------------------------------------------------------------------


def snapshot_labels(round_: Round) -> PreferenceDataset:
    """All labels so far on the round's criterion, head-to-head judgments left out: they measure policies.

    A reward model that is later read beside head-to-head results must never have trained on them.
    """
    plan = load_plan(round_.plan)
    times = round_.stage_entries.filter(stage=Stage.REWARD_MODEL).count()
    # The same name for all workers that try at once, another one after a retry that takes the labels anew.
    name = f"Round {round_.number}" + (f", try {times}" if times > 1 else "")
    existing = PreferenceDataset.objects.filter(project=round_.project, name=name).first()
    if existing is not None:
        return existing
    try:
        return freeze_dataset(
            actor=round_.started_by,
            project=round_.project,
            name=name,
            criterion=round_.criterion,
            purposes=("normal",),
            annotator_kinds=plan.annotation.annotator_kinds,
        )
    except ActionError as error:
        if error.code == "dataset_name_taken":  # another worker was faster
            return PreferenceDataset.objects.get(project=round_.project, name=name)
        raise


def _reward_model_base(round_: Round, plan: RoundPlan) -> Artifact:
    if plan.reward_model_start == "previous_reward_model":
        earlier = (
            RewardModel.objects.filter(project=round_.project, criterion=round_.criterion)
            .order_by("-pk")
            .first()
        )
        if earlier is not None:
            return earlier.artifact
    policy = round_.start_policy
    if plan.reward_model_start == "first_policy":
        while policy.parent is not None:
            policy = policy.parent
    return policy.artifact


def _step_reward_model(round_: Round, plan: RoundPlan) -> bool:
    runs = runs_of(round_, Stage.REWARD_MODEL)
    if round_.dataset is None:
        return False  # the stage began after the unlocked look; the next tick takes the snapshot
    if not runs:
        run = train_reward_model(
            actor=round_.started_by,
            project=round_.project,
            criterion=round_.criterion,
            dataset=round_.dataset,
            base=_reward_model_base(round_, plan),
            name=free_name(
                RewardModel.objects.filter(project=round_.project),
                f"{round_.criterion.name}, round {round_.number}",
            ),
            config=options_to_mapping(plan.reward_model),
            consensus=plan.consensus,
        )
        _link(round_, run)
        return True
    if runs[0].parameters["dataset"] != round_.dataset.pk:
        # The labels were taken anew after this run refused the earlier ones.
        parameters = {**runs[0].parameters, "dataset": round_.dataset.pk}
        clone_run(actor=round_.started_by, run=runs[0], title=runs[0].title, parameters=parameters)
        return True
    if not _all_done(runs):
        return False
    reward_model = RewardModel.objects.get(produced_by=runs[0])
    accuracy = reward_model.report.get("accuracy")
    reason = "trained" if accuracy is None else f"agrees with {accuracy:.1%} of the held-out comparisons"
    enter(round_, Stage.POLICY, reason, reward_model=reward_model)
    return True


# --- policy -----------------------------------------------------------------------------------------------------


def _step_policy(round_: Round, plan: RoundPlan) -> bool:
    runs = runs_of(round_, Stage.POLICY)
    if not runs:
        assert round_.reward_model is not None
        run = train_by_ppo(
            actor=round_.started_by,
            project=round_.project,
            name=free_name(Policy.objects.filter(project=round_.project), f"round {round_.number}"),
            start=round_.start_policy,
            reward_model=round_.reward_model,
            prompt_set=round_.prompt_set,
            config=options_to_mapping(plan.policy),
        )
        _link(round_, run)
        return True
    if not _all_done(runs):
        return False
    policy = Policy.objects.get(made_by=runs[0])
    before, after = policy.report["reward_before"], policy.report["reward_after"]
    enter(round_, Stage.SCORING, f"mean reward {before:.2f} before, {after:.2f} after", new_policy=policy)
    return True


# --- scoring ----------------------------------------------------------------------------------------------------


def _step_scoring(round_: Round, plan: RoundPlan) -> bool:
    runs = runs_of(round_, Stage.SCORING)
    if not runs:
        assert round_.reward_model is not None
        responses = responses_to_score(round_)
        run = score_responses(
            actor=round_.started_by,
            project=round_.project,
            reward_model=round_.reward_model,
            responses=responses,
            config={
                "batch": options_to_mapping(plan.reward_model.batch),
                "runtime": options_to_mapping(plan.reward_model.runtime),
            },
        )
        _link(round_, run)
        return True
    if not _all_done(runs):
        return False
    enter(round_, Stage.DONE, "the new policy stands", finished_at=timezone.now())
    if plan.open_next_round:
        open_next_round(round_)
    return True


def responses_to_score(round_: Round) -> list[Response]:
    """The round's own responses and whatever people have judged on this criterion: each can see the agreement."""
    of_round = Response.objects.filter(
        task_responses__task__batch__round_number=round_.number,
        task_responses__task__batch__project=round_.project,
    )
    judged = Judgment.objects.current().of_project(round_.project).of_criterion(round_.criterion).by_people()
    of_people = Response.objects.filter(task_responses__task__in=judged.values("task"))
    return list((of_round | of_people).distinct().order_by("pk"))


def open_next_round(round_: Round, *, actor: User | None = None) -> Round:
    """The round after a done one, with the same plan: its start is this round's new policy."""
    assert round_.new_policy is not None
    following = Round.objects.create(
        project=round_.project,
        number=round_.number + 1,
        criterion=round_.criterion,
        prompt_set=round_.prompt_set,
        plan=round_.plan,
        start_policy=round_.new_policy,
        previous_policy=round_.start_policy,
        started_by=actor or round_.started_by,
    )
    enter(following, Stage.SAMPLING, f"round {round_.number} is done", actor=actor)
    return following


STEPS: dict[Stage, Callable[[Round, RoundPlan], bool]] = {
    Stage.SAMPLING: _step_sampling,
    Stage.ANNOTATING: _step_annotating,
    Stage.REWARD_MODEL: _step_reward_model,
    Stage.POLICY: _step_policy,
    Stage.SCORING: _step_scoring,
}
