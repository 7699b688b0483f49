from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Batch
from rounds.actions import end_annotation
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.reports import round_report
from rounds.stages.machine import advance_round
from tests.rounds.annotating import at_annotation, judge_elsewhere, judge_next
from workspace.actions import create_machine_annotator

pytestmark = [pytest.mark.db, pytest.mark.django_db]


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


def test_judgments_of_machines_count_only_where_the_plan_says_so(begin, criterion, max_, project):
    robot = create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")
    round_ = begin()
    at_annotation(round_, criterion, max_)
    judge_elsewhere(round_, criterion, max_, robot)
    with pytest.raises(RoundRefused, match="0 judgments"):
        end_annotation(actor=max_, round_=round_)
