from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from annotation.annotator.progress import count_remaining_tasks
from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    add_prompts,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Source
from annotation.queue.actions import claim_task
from policy_training.models import Policy
from rounds.actions import cancel_round, end_annotation, retry_round, start_round
from rounds.models import Stage
from rounds.plans import preset_plan
from rounds.stages.machine import advance_round, advance_rounds
from rounds.stages.registry import STAGE_HANDLERS
from rounds.stages.transitions import enter_stage, fail_round, stage_runs
from runs.actions import clone_run
from runs.models import Artifact, Run
from runs.states import RunState
from tests.rounds.annotating import at_annotation, judge_elsewhere

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_run_that_ends_badly_fails_the_round_with_its_sentence_and_a_retry_goes_on(begin, max_):
    round_ = begin()
    advance_round(round_.pk)
    run = Run.objects.get()
    Run.objects.filter(pk=run.pk).update(
        state=RunState.USER_ERROR, error="The folder has no tokenizer.", finished_at=timezone.now()
    )
    advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.FAILED
    assert "no tokenizer" in round_.error
    retry_round(actor=max_, round_=round_)
    round_.refresh_from_db()
    run.refresh_from_db()
    assert (round_.stage, round_.error, run.state) == (Stage.SAMPLING, "", RunState.QUEUED)
    assert not advance_round(round_.pk)
    assert Run.objects.count() == 1


def test_every_stage_of_a_round_keeps_the_processes_and_the_device_it_was_started_with(
    finish_round, project, criterion, policy, prompt_set, max_, ada, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    out = StringIO()
    call_command(
        "start_round", "kitchen", "--processes", "3", "--device", "auto", "--zero-stage", "1", stdout=out
    )
    round_ = project.rounds.get()
    assert "Started" in out.getvalue() and advance_round(round_.pk)
    at_annotation(round_, criterion, max_, pairs=3)
    judge_elsewhere(round_, criterion, max_, ada)
    end_annotation(actor=max_, round_=round_)
    assert advance_round(round_.pk)
    reward_model = finish_round(round_).reward_model
    for stage in (Stage.POLICY, Stage.SCORING):
        with transaction.atomic():
            round_.finished_at = None
            enter_stage(round_, stage, "goes on", reward_model=reward_model, finished_at=None)
        assert advance_round(round_.pk)
    runs = {run.kind: run for run in Run.objects.filter(round_run__round=round_)}
    assert set(runs) == {"policy.sample", "rewardmodel.train", "policy.ppo", "rewardmodel.score"}
    for run in runs.values():
        runtime = run.config["runtime"]
        assert (run.processes, runtime["device"], runtime["backend"], runtime["zero_stage"]) == (
            3, "auto", "deepspeed", 1,
        ), run.kind  # fmt: skip


def test_a_run_that_was_run_again_from_the_start_takes_the_place_of_the_failed_one(begin, max_):
    round_ = begin()
    advance_round(round_.pk)
    run = Run.objects.get()
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED, error="Broken.", finished_at=timezone.now())
    advance_round(round_.pk)
    run.refresh_from_db()
    clone = clone_run(actor=max_, run=run)
    retry_round(actor=max_, round_=round_)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert stage_runs(round_, Stage.SAMPLING) == [clone]
    assert not advance_round(round_.pk)


def test_a_fault_of_one_round_is_told_and_does_not_keep_the_others_waiting(begin, olga, monkeypatch):
    broken = begin()
    other = start_round(
        actor=olga,
        project=olga.memberships.get().project,
        criterion=olga.memberships.get().project.criteria.get(),
        **elsewhere(olga),
        plan=preset_plan("tiny"),
    )
    monkeypatch.setitem(STAGE_HANDLERS, Stage.SAMPLING, fail_for(broken))
    advance_rounds()
    broken.refresh_from_db()
    assert (broken.stage, broken.failed_stage) == (Stage.FAILED, Stage.SAMPLING)
    assert "OverflowError: too far" in broken.error
    assert other.round_runs.count() == 1


def fail_for(broken):
    healthy = STAGE_HANDLERS[Stage.SAMPLING]

    def handler(round_, plan):
        if round_.pk == broken.pk:
            raise OverflowError("too far")
        return healthy(round_, plan)

    return handler


def elsewhere(person):
    """A policy and prompts in the person's own project."""
    project = person.memberships.get().project
    artifact = Artifact.objects.create(
        project=project, kind=Artifact.Kind.POLICY, path="models/other", sha256="0" * 64, size_bytes=1
    )
    source = get_or_create_source(actor=person, project=project, kind=Source.Kind.POLICY, name="other")
    policy = Policy.objects.create(project=project, name="other", artifact=artifact, source=source)
    prompts = get_or_create_prompt_set(actor=person, project=project, name="p", purpose="policy")
    rows = [{"messages": [{"role": "user", "content": f"Anything {n}?"}]} for n in range(12)]
    add_prompts(actor=person, project=project, rows=rows, prompt_set=prompts)
    return {"start_policy": policy, "prompt_set": prompts}


def test_a_failed_round_is_failed_once(begin):
    round_ = begin()
    with transaction.atomic():
        fail_round(round_, "First.")
        fail_round(round_, "Second.")
    round_.refresh_from_db()
    assert (round_.error, round_.failed_stage) == ("First.", Stage.SAMPLING)


@pytest.mark.parametrize("ending", ["done", "cancelled"])
def test_a_round_that_is_over_hands_out_no_task_and_takes_what_is_on_a_screen(
    annotating_round, criterion, max_, ada, project, finish_round, ending
):
    """Its own batch with four tasks, one that is kept for a person and one of head-to-head pairs."""
    task = annotating_round.batch.tasks.first()
    pair = [link.response for link in task.task_responses.order_by("position")]

    def one_task_more(name, number, **fields):
        batch = create_batch(actor=max_, project=project, criterion=criterion, name=name, round_number=number)
        add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=task.prompt, responses=pair, **fields)])
        return open_batch(actor=max_, batch=batch)

    one_task_more("Kept", 1, reserved_for=ada)
    one_task_more("Pairs", 1, purpose="head_to_head")
    of_the_next = one_task_more("Of the next round", 2)
    assert count_remaining_tasks(ada, project) == 7
    on_screen = claim_task(actor=ada, project=project, batch=annotating_round.batch)
    if ending == "done":
        finish_round(annotating_round)
    else:
        cancel_round(actor=max_, round_=annotating_round)
    assert count_remaining_tasks(ada, project) == 1
    assert claim_task(actor=ada, project=project).task.batch == of_the_next
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
    late = submit_judgment(actor=ada, assignment=on_screen, content=content, idempotency_key="late-judgment")
    assert not late.surplus
