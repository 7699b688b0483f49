import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Batch, Judgment
from rounds.actions import end_annotation
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plans import load_plan, plan_to_dict, preset_plan
from rounds.reports import round_report
from rounds.stages.machine import advance_round
from tests.rounds.annotating import at_annotation, judge_elsewhere, judge_next
from workspace.accounts import create_machine_annotator

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
    with pytest.raises(RoundRefused, match="0 usable comparisons"):
        end_annotation(actor=max_, round_=round_)


def test_a_round_of_ties_alone_keeps_annotation_open_and_goes_on_when_preferences_come_in(
    begin, criterion, max_, ada, project
):
    round_ = begin()
    batch = at_annotation(round_, criterion, max_, pairs=6)
    Batch.objects.filter(pk=batch.pk).update(quota=3)
    for _ in range(3):
        judge_next(ada, project, tie=True)
    assert not advance_round(round_.pk)
    round_.refresh_from_db()
    batch.refresh_from_db()
    assert (round_.stage, batch.state) == (Stage.ANNOTATING, Batch.State.OPEN)
    reason = round_report(round_, max_).blocked_reason
    assert "0 usable comparisons of 3" in reason and "ties alone teach the pairwise loss nothing" in reason
    assert "3 tasks are left" in reason
    with pytest.raises(RoundRefused, match="0 usable comparisons of 3"):
        end_annotation(actor=max_, round_=round_)

    judge_next(ada, project)
    assert not advance_round(round_.pk)
    assert "1 usable comparison of 4" in round_report(round_, max_).blocked_reason
    judge_next(ada, project)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, round_report(round_, max_).blocked_reason) == (Stage.REWARD_MODEL, "")


def test_opposite_judgments_of_a_task_are_a_tie_where_the_plan_merges_them(
    begin, criterion, max_, ada, ruth, project
):
    """Two people, each pair judged either way: four preferences, and no pair with one after the consensus."""
    mapping = plan_to_dict(preset_plan("tiny"))
    merged = begin(plan=load_plan({**mapping, "consensus": True}))
    at_annotation(merged, criterion, max_, pairs=2, overlap=2)
    for task in merged.batch.tasks.all():
        first, second = task.task_responses.values_list("response", flat=True)
        rows = [
            NewJudgment(
                task=task,
                annotator=who,
                tiers=tiers,
                strengths=[1],
                idempotency_key=f"judgment-{who}-{task.pk}",
            )
            for who, tiers in ((ada, [[first], [second]]), (ruth, [[second], [first]]))
        ]
        add_judgments(actor=max_, batch=merged.batch, rows=rows)
    assert not advance_round(merged.pk)
    assert "0 usable comparisons of 2" in round_report(merged, max_).blocked_reason
    Round.objects.update(plan=mapping)
    merged.refresh_from_db()
    assert round_report(merged, max_).blocked_reason == ""
    assert advance_round(merged.pk)


def test_a_file_of_ties_alone_is_nothing_to_train_on(begin, criterion, max_, ada, project, tmp_path):
    """Twelve imported ties and one of the round's own; the file is one that a tool wrote, where it is there."""
    cases = Path(
        os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases")
    )
    path = cases / "61_all_ties.jsonl"
    if not path.is_file():
        path = tmp_path / "ties.jsonl"
        rows = [
            {
                "prompt": f"How do I cook leek number {n}?",
                "responses": ["a warm pan", "a cold pan"],
                "ranks": [0, 0],
            }
            for n in range(12)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    call_command(
        "import_comparisons", "kitchen", str(path), "--format", "ranked", verbosity=0, stdout=StringIO()
    )
    ties = Judgment.objects.filter(task__prompt__split="train").count()
    round_ = begin()
    batch = at_annotation(round_, criterion, max_, pairs=3)
    Batch.objects.filter(pk=batch.pk).update(quota=1)
    judge_next(ada, project, tie=True)
    assert not advance_round(round_.pk)
    round_.refresh_from_db()
    assert (
        f"0 usable comparisons of {ties + 1} in the split train" in round_report(round_, max_).blocked_reason
    )
    judge_next(ada, project)
    judge_next(ada, project)
    assert advance_round(round_.pk)
