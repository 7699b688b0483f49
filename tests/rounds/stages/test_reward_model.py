from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from annotation.batches.actions import close_batch
from annotation.errors import InvalidBatch
from annotation.models import Batch
from rounds.actions import end_annotation, reopen_annotation, retry_round
from rounds.errors import RoundRefused, WrongStage
from rounds.models import Stage
from rounds.reports import round_report, timeline
from rounds.stages.machine import advance_round
from rounds.stages.transitions import enter_stage, stage_runs
from runs.models import Run
from runs.states import RunState
from tests.rounds.annotating import at_annotation, judge_elsewhere, judge_next

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def refused_at_the_reward_model(round_, criterion, max_, ada):
    """A round whose reward model's run said that its judgments will not do."""
    at_annotation(round_, criterion, max_, pairs=3)
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


def test_the_annotation_of_a_failed_round_is_opened_again_and_its_reward_model_trained_anew(
    begin, criterion, max_, ada, project, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    round_ = begin()
    with pytest.raises(WrongStage):
        reopen_annotation(actor=max_, round_=round_)
    refused = refused_at_the_reward_model(round_, criterion, max_, ada)
    refused_dataset = round_.dataset
    assert (round_.batch.state, round_report(round_, max_).can_reopen_annotation) == (
        Batch.State.CLOSED,
        True,
    )
    round_ = reopen_annotation(actor=max_, round_=round_)
    batch = Batch.objects.get(pk=round_.batch_id)
    assert (round_.stage, round_.dataset, batch.state) == (Stage.ANNOTATING, None, Batch.State.OPEN)
    for _ in range(3):
        judge_next(ada, project)
    assert not advance_round(round_.pk)  # its quota is met, and a manager ends it
    assert [entry.status for entry in timeline(round_)][:3] == ["done", "current", "ahead"]
    end_annotation(actor=max_, round_=round_)
    while advance_round(round_.pk):
        pass
    round_.refresh_from_db()
    [run] = stage_runs(round_, Stage.REWARD_MODEL)
    assert round_.stage == Stage.REWARD_MODEL and round_.dataset != refused_dataset
    assert (run.cloned_from, run.parameters["dataset"]) == (refused, round_.dataset.pk)
    assert (refused_dataset.counts["counted"], round_.dataset.counts["counted"]) == (2, 5)


def test_an_annotation_opened_again_with_a_quota_ends_at_it(
    begin, criterion, max_, ada, project, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    round_ = begin()
    refused_at_the_reward_model(round_, criterion, max_, ada)
    for quota in (0, 4):
        with pytest.raises(InvalidBatch, match="at most 3"):
            reopen_annotation(actor=max_, round_=round_, quota=quota)
    call_command("reopen_annotation", project.slug, "--quota", "2", stdout=StringIO())
    judge_next(ada, project)
    assert not advance_round(round_.pk)
    judge_next(ada, project)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.REWARD_MODEL


def test_a_round_that_has_its_reward_model_does_not_go_back_to_the_annotation(begin, criterion, max_):
    round_ = begin()
    at_annotation(round_, criterion, max_)
    with transaction.atomic():
        enter_stage(round_, Stage.FAILED, "no memory", failed_stage=Stage.POLICY, error="no memory")
    with pytest.raises(RoundRefused, match="try this stage again"):
        reopen_annotation(actor=max_, round_=round_)


def test_a_batch_that_was_closed_while_its_round_annotates_is_opened_again(
    begin, criterion, max_, ada, project
):
    round_ = begin()
    batch = at_annotation(round_, criterion, max_, pairs=3)
    with pytest.raises(RoundRefused, match="its batch is open"):
        reopen_annotation(actor=max_, round_=round_)
    close_batch(actor=max_, batch=batch)
    round_.refresh_from_db()
    report = round_report(round_, max_)
    assert report.can_reopen_annotation and "Its batch was closed" in report.blocked_reason
    round_ = reopen_annotation(actor=max_, round_=round_, quota=2)
    assert judge_next(ada, project) and not advance_round(round_.pk)
    judge_next(ada, project)
    assert advance_round(round_.pk)
