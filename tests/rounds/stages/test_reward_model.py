import pytest
from django.utils import timezone

from rounds.actions import end_annotation, retry_round
from rounds.models import Stage
from rounds.stages.machine import advance_round
from rounds.stages.transitions import stage_runs
from runs.models import Run
from runs.states import RunState
from tests.rounds.annotating import at_annotation, judge_elsewhere

pytestmark = [pytest.mark.db, pytest.mark.django_db]


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
