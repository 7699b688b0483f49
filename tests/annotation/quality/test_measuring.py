"""What is stored of a project, from judgments in the database to the worker's run."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from annotation.batches.actions import change_overlap
from annotation.judging.gold import set_gold_judgment
from annotation.models import QualityReport, TaskConsensus
from annotation.quality import actions
from annotation.quality.actions import (
    measure_project,
    newest_report,
    queue_due_measurements,
    queue_measurement,
)
from annotation.quality.annotator_figures import share_of
from annotation.quality.run_kind import MEASURE
from annotation.quality.text_traits import text_traits
from runs.actions import cancel_run
from runs.models import Run
from runs.states import RunState
from runs.worker import run_worker
from tests.annotation.datasets.conftest import judge_all
from tests.annotation.quality.conftest import FIRST, SECOND
from workspace.accounts import create_machine_annotator
from workspace.errors import ActionError
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_two_people_are_compared_and_the_tasks_on_which_they_are_apart_are_kept(project, max_, judged):
    batch, tasks, one, other = judged
    report = measure_project(actor=max_, project=project)
    assert report.judgments == 12 and newest_report(project) == report
    figures = report.agreement.get().figures
    assert (figures["tasks"], figures["annotators"], figures["compared"]) == (6, 2, 6)
    assert figures["estimates"]["same"][0] == pytest.approx(4 / 6)
    pair = report.annotator_pairs.get()
    assert (pair.one, pair.other, pair.pairs, pair.same) == (one, other, 6, 4)
    assert pair.apart == [[batch.pk, tasks[5].pk], [batch.pk, tasks[4].pk]]
    mine = report.annotators.get(annotator=one).figures
    assert mine["others"][0] == pytest.approx(4 / 6) and mine["others"][3] == 6
    assert mine["ties"][0] == pytest.approx(1 / 6)
    consensus = {row.task_id: row for row in report.consensus.all()}
    assert len(consensus) == 6
    # They are apart there with the same strength: even, and least certain (the tie said by both is as even).
    assert consensus[tasks[5].pk].pairs[0][2] == pytest.approx(0.5, abs=0.1)
    assert consensus[tasks[2].pk].certainty > consensus[tasks[5].pk].certainty
    assert AuditEvent.objects.filter(action="quality.measure").count() == 1


def test_a_new_report_replaces_the_one_before(project, max_, judged):
    measure_project(actor=max_, project=project)
    report = measure_project(actor=max_, project=project)
    assert list(QualityReport.objects.all()) == [report]
    assert report.annotators.count() == 2


def test_a_report_is_read_once_it_is_complete_and_in_short_transactions(project, max_, judged, monkeypatch):
    first = measure_project(actor=max_, project=project)
    monkeypatch.setattr(actions, "ROWS_PER_TRANSACTION", 2)
    insert, seen = actions._insert, []

    def stop_at_consensus(model, *rest):
        seen.append(newest_report(project))
        if model is TaskConsensus:
            raise RuntimeError("killed")
        insert(model, *rest)

    monkeypatch.setattr(actions, "_insert", stop_at_consensus)
    with pytest.raises(RuntimeError, match="killed"):
        measure_project(actor=max_, project=project)
    assert set(seen) == {first} and newest_report(project) == first
    assert first.consensus.count() == 6 and QualityReport.objects.count() == 2
    monkeypatch.setattr(actions, "_insert", insert)
    report = measure_project(actor=max_, project=project)
    assert list(QualityReport.objects.all()) == [report] == [newest_report(project)]
    assert (report.consensus.count(), TaskConsensus.objects.count()) == (6, 6)


def test_one_that_was_overtaken_is_not_stored(project, max_, judged):
    newest = measure_project(actor=max_, project=project)
    old = actions.store_report(
        actor=max_,
        project=project,
        run=None,
        judgments=3,
        newest_judgment=newest.newest_judgment - 1,
        measures={},
    )
    assert old == newest and list(QualityReport.objects.all()) == [newest]


def test_one_that_failed_is_not_tried_for_ever(project, max_, judged, monkeypatch):
    monkeypatch.setattr(actions, "_next_look", 0.0)
    monkeypatch.setattr(actions, "LEAST_NEW", 12)
    assert queue_due_measurements(now=0.0) == 1
    Run.objects.update(state="failed", error="Out of memory.", finished_at=timezone.now())
    assert queue_due_measurements(now=1000.0) == 0
    # So much has come since.
    Run.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert queue_due_measurements(now=2000.0) == 1


def test_people_and_machines_are_never_mixed(project, max_, judged):
    batch, tasks, *_ = judged
    robot = create_machine_annotator(actor=max_, project=project, name="robot", kind="ai")
    change_overlap(actor=max_, batch=batch, overlap=3)
    judge_all(max_, batch, [(task, robot, SECOND, [1]) for task in tasks])
    report = measure_project(actor=max_, project=project)
    kinds = dict(report.agreement.values_list("annotator_kind", "figures"))
    assert kinds["person"]["annotators"] == 2 and kinds["ai"]["annotators"] == 1
    machine = report.summaries[str(project.criteria.get().pk)]["machines"][0]
    # Twelve votes of people: SECOND is the second task's two and one of the last.
    assert machine["same"][0] == pytest.approx(3 / 12)
    assert machine["people"] == pytest.approx(4 / 6)


def test_gold_and_repeats_are_measured_and_count_in_no_agreement(project, max_, judged, make_batch):
    _, _, one, other = judged
    gold = make_batch(tasks=4, task_fields=lambda number: {"purpose": "gold"})
    tasks = list(gold.tasks.order_by("pk"))
    for task in tasks:
        keys = list(task.task_responses.order_by("position").values_list("response_id", flat=True))
        set_gold_judgment(actor=max_, task=task, tiers=[[keys[0]], [keys[1]]], strengths=[2])
    judge_all(max_, gold, [(task, one, FIRST if place else SECOND, [1]) for place, task in enumerate(tasks)])
    report = measure_project(actor=max_, project=project)
    assert report.annotators.get(annotator=one).figures["gold"][::3] == [pytest.approx(3 / 4), 4]
    assert report.annotators.get(annotator=other).figures["gold"][3] == 0
    assert report.agreement.get(batch=None).figures["votes"] == 12


def test_who_came_after_the_reading_breaks_no_measurement(
    project, max_, judged, make_batch, make_user, monkeypatch
):
    """A known task that is judged while the models are fitted, by somebody who had judged nothing before."""
    gold = make_batch(tasks=1, task_fields=lambda number: {"purpose": "gold"})
    task = gold.tasks.get()
    keys = list(task.task_responses.order_by("position").values_list("response_id", flat=True))
    set_gold_judgment(actor=max_, task=task, tiers=[[keys[0]], [keys[1]]], strengths=[2])
    late = make_user("late")
    measure = actions.measure

    def slow(*args):
        judge_all(max_, gold, [(task, late, FIRST, [1])])
        return measure(*args)

    monkeypatch.setattr(actions, "measure", slow)
    report = measure_project(actor=max_, project=project)
    assert not report.annotators.filter(annotator=late).exists()


def test_nothing_to_measure_is_said(project, max_):
    with pytest.raises(ActionError, match="Nothing has been judged"):
        measure_project(actor=max_, project=project)
    with pytest.raises(ActionError, match="Nothing has been judged"):
        queue_measurement(actor=max_, project=project)
    assert not Run.objects.exists()


def test_who_asks_twice_waits_for_the_same_run(project, max_, judged):
    assert queue_measurement(actor=max_, project=project) == queue_measurement(actor=max_, project=project)


def test_it_is_measured_again_once_enough_is_new(project, max_, judged, monkeypatch):
    monkeypatch.setattr(actions, "_next_look", 0.0)
    assert queue_due_measurements(now=0.0) == 0  # twelve are too few
    monkeypatch.setattr(actions, "LEAST_NEW", 12)
    assert queue_due_measurements(now=1.0) == 0  # it has just looked
    assert queue_due_measurements(now=1000.0) == 1
    assert Run.objects.get().requested_by == max_
    assert queue_due_measurements(now=2000.0) == 0  # one is waiting
    cancel_run(actor=max_, run=Run.objects.get())
    measure_project(actor=max_, project=project)
    assert queue_due_measurements(now=3000.0) == 0  # nothing is new


def test_wilsons_interval():
    # Newcombe (1998), table I: 81 of 263 is 0.2553 to 0.3662.
    share, low, high, of = share_of(81, 263)
    assert (share, low, high, of) == pytest.approx((81 / 263, 0.2553, 0.3662, 263), abs=1e-4)
    assert share_of(0, 0) == [None, None, None, 0]


def test_what_may_sway_in_a_text():
    assert text_traits("# A\n\n- one\n- **two**\n") == (21, 4, 0.0)
    length, marks, stance = text_traits("It is certainly so and perhaps it might be so.")
    assert (length, marks, stance) == (46, 0, -10.0)
    assert text_traits("") == (0, 0, 0.0)
    assert text_traits("Возможно, это так.")[2] == 0


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_measures_it(project, max_, judged, settings, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.child_settings")
    monkeypatch.setenv("TEST_DATABASE_NAME", str(connection.settings_dict["NAME"]))
    settings.RUN_ENVIRONMENT_ALLOWLIST = [*settings.RUN_ENVIRONMENT_ALLOWLIST, "TEST_DATABASE_NAME"]
    settings.RUN_HEARTBEAT_SECONDS = 0.1
    run = queue_measurement(actor=max_, project=project)
    assert run_worker([MEASURE], once=True, install_signals=False) == 1
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.error
    report = newest_report(project)
    assert report.run == run and report.created_by == max_ and report.judgments == 12
