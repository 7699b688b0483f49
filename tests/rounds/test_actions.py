from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.judging.actions import submit_judgment
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Batch, Source
from annotation.queue.actions import claim_task
from policy_training.models import Policy
from rounds.actions import cancel_round, end_annotation, retry_round, start_round
from rounds.errors import RoundRefused, WrongStage
from rounds.models import Round, Stage
from rounds.plans import load_plan, override_plan, plan_to_dict, preset_plan
from rounds.reports import round_report
from rounds.stages.machine import advance_round, advance_rounds
from rounds.stages.registry import STAGE_HANDLERS
from rounds.stages.transitions import enter_stage, fail_round, stage_runs
from runs.actions import clone_run
from runs.models import Artifact, Run
from runs.states import RunState
from workspace.actions import create_machine_annotator
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def begin(project, criterion, policy, prompt_set, max_):
    def begin(**changes):
        asked = {
            "actor": max_,
            "project": project,
            "criterion": criterion,
            "start_policy": policy,
            "prompt_set": prompt_set,
            "plan": preset_plan("tiny"),
        }
        return start_round(**{**asked, **changes})

    return begin


def test_a_round_without_prompts_is_refused_with_what_to_do(begin, project, max_):
    empty = get_or_create_prompt_set(actor=max_, project=project, name="none", purpose="policy")
    with pytest.raises(RoundRefused, match="import_prompts"):
        begin(prompt_set=empty)
    assert not Round.objects.exists()


def test_one_round_at_a_time(begin):
    begin()
    with pytest.raises(RoundRefused) as caught:
        begin()
    assert caught.value.code == "round_open"
    assert Round.objects.count() == 1


def test_the_database_itself_refuses_a_second_open_round(begin):
    first = begin()
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.create(
            project=first.project,
            number=2,
            criterion=first.criterion,
            prompt_set=first.prompt_set,
            plan={},
            start_policy=first.start_policy,
            started_by=first.started_by,
        )


def test_another_policy_that_is_not_there_is_refused(begin):
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("nobody",)})
    with pytest.raises(RoundRefused, match="nobody"):
        begin(plan=plan)


def test_sampling_queues_one_run_a_policy_once_however_often_it_ticks(begin, make_policy):
    make_policy("older")
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("older",), "prompts": 5})
    round_ = begin(plan=plan)
    assert advance_round(round_.pk)
    assert not advance_round(round_.pk)
    runs = Run.objects.all()
    assert {run.parameters["policy"] for run in runs} == {link.policy_id for link in round_.round_runs.all()}
    assert len(runs) == 2
    assert all(len(run.parameters["prompt_ids"]) == 5 for run in runs)


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


def at_annotation(round_, criterion, max_, **fields):
    batch = create_batch(
        actor=max_, project=round_.project, criterion=criterion, name="Round 1", round_number=1
    )
    prompt = round_.prompt_set.prompts.first()
    rows = [NewResponse(prompt=prompt, source=round_.start_policy.source, text=text) for text in ("a", "b")]
    pair = add_responses(actor=max_, project=round_.project, rows=rows)
    add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, responses=pair)])
    open_batch(actor=max_, batch=batch)
    with transaction.atomic():
        enter_stage(round_, Stage.ANNOTATING, "ready", batch=batch, **fields)
    return batch


def judge_elsewhere(round_, criterion, manager, annotator, count=2):
    """Judgments from elsewhere (an import, an earlier round) on prompts of the train side."""
    batch = create_batch(actor=manager, project=round_.project, criterion=criterion, name="Earlier")
    prompts = round_.prompt_set.prompts.filter(split="train")[:count]
    rows = [
        NewResponse(prompt=prompt, source=round_.start_policy.source, text=text)
        for prompt in prompts
        for text in ("better", "worse")
    ]
    responses = add_responses(actor=manager, project=round_.project, rows=rows)
    tasks = add_tasks(
        actor=manager,
        batch=batch,
        tasks=[
            NewTask(prompt=prompt, responses=responses[2 * n : 2 * n + 2]) for n, prompt in enumerate(prompts)
        ],
    )
    add_judgments(
        actor=manager,
        batch=batch,
        rows=[
            NewJudgment(
                task=task,
                annotator=annotator,
                tiers=[[responses[2 * n].pk], [responses[2 * n + 1].pk]],
                strengths=[2],
                idempotency_key=f"earlier-{n}",
            )
            for n, task in enumerate(tasks)
        ],
    )


def test_annotation_ends_at_the_time_set_once_there_is_something_to_train_on(begin, criterion, max_, ada):
    round_ = begin()
    batch = at_annotation(round_, criterion, max_, annotation_deadline=timezone.now() + timedelta(hours=1))
    assert not advance_round(round_.pk)
    Round.objects.update(annotation_deadline=timezone.now() - timedelta(seconds=1))
    assert not advance_round(round_.pk)
    judge_elsewhere(round_, criterion, max_, ada)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    batch.refresh_from_db()
    assert (round_.stage, batch.state) == (Stage.REWARD_MODEL, Batch.State.CLOSED)


def judge_next(actor, project):
    submit_judgment(
        actor=actor,
        assignment=claim_task(actor=actor, project=project),
        tiers=[["A"], ["B"]],
        strengths=[2],
        seconds=3.0,
        idempotency_key="first-answer",
    )


def test_annotation_ends_when_the_quota_is_met(begin, criterion, max_, ada):
    round_ = begin()
    at_annotation(round_, criterion, max_)
    judge_elsewhere(round_, criterion, max_, ada)
    assert not advance_round(round_.pk)
    judge_next(ada, round_.project)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.REWARD_MODEL


def test_a_quota_met_with_too_little_to_train_on_keeps_annotation_open_and_says_so(
    begin, criterion, max_, ada
):
    round_ = begin()
    batch = at_annotation(round_, criterion, max_)
    judge_next(ada, round_.project)
    assert not advance_round(round_.pk)
    round_.refresh_from_db()
    batch.refresh_from_db()
    assert (round_.stage, batch.state) == (Stage.ANNOTATING, Batch.State.OPEN)
    assert "needs at least 2" in round_report(round_, max_).blocked_reason
    judge_elsewhere(round_, criterion, max_, ada)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, round_report(round_, max_).blocked_reason) == (Stage.REWARD_MODEL, "")


def refused_at_the_reward_model(round_, criterion, max_, ada):
    """A round whose reward model's run said that its judgments will not do."""
    at_annotation(round_, criterion, max_)
    judge_elsewhere(round_, criterion, max_, ada)
    end_annotation(actor=max_, round_=round_)
    assert advance_round(round_.pk)
    run = round_.round_runs.get(stage=Stage.REWARD_MODEL).run
    Run.objects.filter(pk=run.pk).update(
        state=RunState.USER_ERROR, error="All pairs are tied.", finished_at=timezone.now()
    )
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.FAILED
    return run


def test_a_retry_after_refused_judgments_freezes_them_anew(begin, criterion, max_, ada, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    round_ = begin()
    refused = refused_at_the_reward_model(round_, criterion, max_, ada)
    before = round_.dataset
    retry_round(actor=max_, round_=round_)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    [run] = stage_runs(round_, Stage.REWARD_MODEL)
    assert round_.dataset != before
    assert (run.parameters["dataset"], run.state) == (round_.dataset.pk, RunState.QUEUED)
    assert (run.cloned_from, refused.parameters["dataset"]) == (refused, before.pk)
    assert not advance_round(round_.pk)


def test_a_button_is_on_record_under_the_name_of_whoever_pressed_it(
    begin, project, criterion, max_, ruth, ada
):
    round_ = begin()
    at_annotation(round_, criterion, max_)
    judge_elsewhere(round_, criterion, max_, ada)
    before = AuditEvent.objects.count()
    end_annotation(actor=ruth, round_=round_)
    new = AuditEvent.objects.order_by("pk")[before:]
    assert [(event.action, event.actor) for event in new] == [
        ("batch.close", ruth),
        ("round.end_annotation", ruth),
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": "evaluation", "split": "train"}, "held_out_prompts"),
        ({"purpose": "policy", "split": "validation"}, "no_prompts"),
    ],
)
def test_prompts_that_no_policy_may_be_trained_on_are_refused_at_the_start(
    begin, project, max_, changes, code
):
    prompt_set = get_or_create_prompt_set(
        actor=max_, project=project, name="kept", purpose=changes["purpose"]
    )
    rows = [{"messages": [{"role": "user", "content": f"Kept {n}?"}]} for n in range(300)]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=prompt_set)
    prompt_set.members.exclude(prompt__split=changes["split"]).delete()
    assert prompt_set.prompts.exists()
    with pytest.raises(RoundRefused) as caught:
        begin(prompt_set=prompt_set)
    assert caught.value.code == code
    assert not Round.objects.exists()


def test_a_plan_that_needs_demonstrations_is_refused_without_them(begin):
    mapping = plan_to_dict(preset_plan("tiny"))
    mapping["policy"]["algorithm"]["ptx_coefficient"] = 1.0
    with pytest.raises(RoundRefused, match="import_demonstrations"):
        begin(plan=load_plan(mapping))


def test_a_run_that_ends_while_its_round_is_cancelled_does_not_keep_it_from_it(begin, max_, monkeypatch):
    round_ = begin()
    advance_round(round_.pk)
    seen = stage_runs(round_)
    Run.objects.update(state=RunState.DONE, finished_at=timezone.now())
    monkeypatch.setattr("rounds.actions.stage_runs", lambda round_: seen)  # read before the run ended
    cancel_round(actor=max_, round_=round_)
    round_.refresh_from_db()
    assert (round_.stage, Run.objects.get().state) == (Stage.CANCELLED, RunState.DONE)


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": "nonsense"},
        {"stage": "annotating"},
        {"stage": "policy"},
        {"stage": "failed"},
        {"error": "Something."},
        {"stage": "cancelled"},
        {"finished_at": timezone.now()},
    ],
)
def test_the_database_itself_refuses_a_stage_that_cannot_be(begin, fields):
    round_ = begin()
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.filter(pk=round_.pk).update(**fields)


def test_a_managers_button_ends_annotation_once_and_not_before_there_are_judgments(
    begin, criterion, max_, ada
):
    round_ = begin()
    with pytest.raises(WrongStage):
        end_annotation(actor=max_, round_=round_)
    batch = at_annotation(round_, criterion, max_)
    with pytest.raises(RoundRefused, match="0 judgments"):
        end_annotation(actor=max_, round_=round_)
    batch.refresh_from_db()
    assert batch.state == Batch.State.OPEN
    judge_elsewhere(round_, criterion, max_, ada)
    end_annotation(actor=max_, round_=round_)
    with pytest.raises(WrongStage):
        end_annotation(actor=max_, round_=round_)


def test_judgments_of_machines_count_only_where_the_plan_says_so(begin, criterion, max_, project):
    robot = create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")
    round_ = begin()
    at_annotation(round_, criterion, max_)
    judge_elsewhere(round_, criterion, max_, robot)
    with pytest.raises(RoundRefused, match="0 judgments"):
        end_annotation(actor=max_, round_=round_)


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


def test_cancelling_a_round_closes_the_batches_kept_for_people_too(begin, criterion, max_):
    round_ = begin()
    at_annotation(round_, criterion, max_)
    kept = create_batch(
        actor=max_, project=round_.project, criterion=criterion, name="Round 1, kept for ada", round_number=1
    )
    cancel_round(actor=max_, round_=round_)
    kept.refresh_from_db()
    assert kept.state == Batch.State.CLOSED


def test_tasks_cannot_be_kept_for_a_stranger(begin, olga):
    plan = override_plan(
        preset_plan("tiny"), annotation={"reserved_for": ("olga",), "reserved_tasks_per_person": 3}
    )
    with pytest.raises(RoundRefused, match="olga"):
        begin(plan=plan)


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


def test_a_cancelled_round_stops_its_runs_and_makes_room_for_the_next(begin, max_):
    round_ = begin()
    advance_round(round_.pk)
    cancel_round(actor=max_, round_=round_)
    assert Run.objects.get().state == RunState.CANCELLED
    assert not advance_round(round_.pk)
    assert begin().number == 2


def test_a_failed_round_is_failed_once(begin):
    round_ = begin()
    with transaction.atomic():
        fail_round(round_, "First.")
        fail_round(round_, "Second.")
    round_.refresh_from_db()
    assert (round_.error, round_.failed_stage) == ("First.", Stage.SAMPLING)
