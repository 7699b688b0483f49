import dataclasses
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.models import PromptSet
from rounds.actions import cancel_round
from rounds.models import Round, Schedule, ScheduleFiring, Stage
from rounds.plans import plan_to_dict, preset_plan
from rounds.schedules.actions import drop_firing, pause_schedule, resume_schedule, retry_firing
from rounds.schedules.due import next_time
from rounds.schedules.firing import fire_due_schedules
from rounds.schedules.triggers import after_judgments, after_round, at_time, every_week
from rounds.stages.machine import advance_round
from runs.models import Run
from tests.rounds.annotating import at_annotation, judge_elsewhere, judge_next
from tests.rounds.schedules.conftest import HOUR, MONDAY, WEEK
from workspace.members import NotAManager, remove_member, set_role
from workspace.models import AuditEvent
from workspace.project_settings import set_time_zone

pytestmark = [pytest.mark.db, pytest.mark.django_db]

NINE = every_week(0, time(9, 0))


def states(schedule):
    return list(schedule.firings.order_by("due_at").values_list("state", flat=True))


def end(round_, max_):
    cancel_round(actor=max_, round_=round_)


def test_a_round_starts_at_its_time_and_once(add_schedule, policy, max_):
    schedule = add_schedule(at_time(MONDAY + 500 * WEEK, UTC))
    due = MONDAY + 500 * WEEK
    assert fire_due_schedules(due - timedelta(seconds=1)) == 0
    assert not Round.objects.exists()
    assert fire_due_schedules(due) == 1
    round_ = Round.objects.get()
    assert (round_.start_policy, round_.started_by, round_.plan) == (
        policy,
        max_,
        plan_to_dict(preset_plan("tiny")),
    )
    assert round_.stage_entries.get().reason.startswith("started by the schedule “")
    end(round_, max_)
    assert fire_due_schedules(due) == fire_due_schedules(due + WEEK) == 0
    firing = schedule.firings.get()
    assert (firing.due_at, firing.state, firing.round) == (due, "started", round_)
    schedule.refresh_from_db()
    assert schedule.ended_at == due and next_time(schedule, due) is None


def test_a_weekly_round_starts_every_week_at_the_projects_time(add_schedule, project, max_):
    set_time_zone(actor=max_, project=project, time_zone="Europe/Berlin")
    made_at = datetime(2026, 10, 18, 12, 0, tzinfo=UTC)
    schedule = add_schedule(NINE, made_at=made_at)
    started = []
    for hours in range(3 * 7 * 24):
        now = made_at + timedelta(hours=hours)
        if fire_due_schedules(now):
            started.append(now)
            end(Round.objects.get(finished_at=None), max_)
    # 09:00 in Berlin; its clocks were put back on the 25th.
    assert started == [
        datetime(2026, 10, 19, 7, tzinfo=UTC),
        *(datetime(2026, *d, 8, tzinfo=UTC) for d in ((10, 26), (11, 2))),
    ]
    assert states(schedule) == ["started"] * 3
    schedule.refresh_from_db()
    assert next_time(schedule, now) == datetime(2026, 11, 9, 8, tzinfo=UTC)


def test_times_missed_while_no_worker_was_running_are_made_up_for_once(add_schedule, max_):
    schedule = add_schedule(NINE)
    at_nine = MONDAY + HOUR  # the project's zone is UTC
    back = at_nine + 3 * WEEK + 2 * HOUR
    assert fire_due_schedules(back) == 1
    firing = schedule.firings.get()
    assert (firing.due_at, firing.missed, firing.state) == (at_nine + 3 * WEEK, 3, "started")
    end(Round.objects.get(), max_)
    assert fire_due_schedules(back + HOUR) == 0
    assert fire_due_schedules(at_nine + 4 * WEEK) == 1
    assert Round.objects.count() == 2


def test_a_time_due_while_a_round_is_under_way_waits_for_its_end(add_schedule, begin, max_):
    schedule, running = add_schedule(NINE), begin()
    at_nine = MONDAY + HOUR
    assert fire_due_schedules(at_nine) == 1
    for n in range(3):
        assert fire_due_schedules(at_nine + n * HOUR) == 0, "waiting is not trying again and again"
    assert (states(schedule), Round.objects.count()) == (["waiting"], 1)
    assert fire_due_schedules(at_nine + WEEK) == 1
    assert (schedule.firings.get().missed, states(schedule)) == (1, ["waiting"])
    end(running, max_)
    assert fire_due_schedules(at_nine + WEEK + HOUR) == 1
    assert (states(schedule), Round.objects.count()) == (["started"], 2)
    assert Schedule.objects.get().ended_at is None


@pytest.mark.parametrize("with_schedule", [False, True])
def test_what_waits_goes_before_a_round_that_would_follow_by_itself(
    add_schedule, begin, finish_round, monkeypatch, with_schedule
):
    if with_schedule:
        add_schedule(NINE)
    running = begin()
    assert running.plan["continue_automatically"]
    fire_due_schedules(MONDAY + HOUR)
    finish_round(running)
    # Its last stage once more, its run being done.
    Round.objects.filter(pk=running.pk).update(stage=Stage.SCORING, finished_at=None)
    monkeypatch.setattr("rounds.stages.scoring.stage_runs", lambda *_: [Run(state="done")])
    assert advance_round(running.pk)
    assert Round.objects.filter(number=2).exists() != with_schedule
    assert fire_due_schedules(MONDAY + 2 * HOUR) == with_schedule
    follower = Round.objects.get(finished_at=None)
    assert ScheduleFiring.objects.filter(round=follower).exists() == with_schedule


def test_a_plan_that_does_not_fit_any_more_fails_with_its_sentence_and_is_not_tried_again(
    add_schedule, prompt_set, max_
):
    schedule = add_schedule(NINE)
    PromptSet.objects.update(purpose="evaluation")
    at_nine = MONDAY + HOUR
    assert fire_due_schedules(at_nine) == 1
    assert fire_due_schedules(at_nine + HOUR) == 0
    firing = schedule.firings.get()
    assert (firing.state, Round.objects.count()) == ("failed", 0)
    assert "is kept for evaluation" in firing.error
    PromptSet.objects.update(purpose="policy")
    retry_firing(actor=max_, firing=firing)
    assert fire_due_schedules(at_nine + 2 * HOUR) == 1
    assert (states(schedule), Round.objects.count()) == (["started"], 1)
    actions = AuditEvent.objects.filter(action__startswith="schedule.").order_by("pk")
    assert [event.action for event in actions] == [
        "schedule.create",
        "schedule.failed",
        "schedule.retry",
        "schedule.started",
    ]


def test_the_next_week_is_tried_after_a_week_that_failed(add_schedule, prompt_set, max_):
    schedule = add_schedule(NINE)
    PromptSet.objects.update(purpose="evaluation")
    fire_due_schedules(MONDAY + HOUR)
    PromptSet.objects.update(purpose="policy")
    fire_due_schedules(MONDAY + HOUR + WEEK)
    assert states(schedule) == ["failed", "started"]


def test_a_round_starts_when_the_one_before_is_done_from_its_policy(add_schedule, begin, finish_round, max_):
    running = begin()
    schedule = add_schedule(after_round(), start_policy=None, made_at=timezone.now())
    assert fire_due_schedules() == 0
    finish_round(running)
    assert fire_due_schedules() == 1
    follower = Round.objects.get(number=2)
    assert (follower.start_policy, follower.comparison_policy) == (running.new_policy, running.start_policy)
    assert schedule.firings.get().due_at == running.finished_at
    finish_round(follower)
    assert fire_due_schedules() == 0, "it was for one round"


def test_a_cancelled_round_is_not_done(add_schedule, begin, max_):
    running = begin()
    add_schedule(after_round(), made_at=timezone.now())
    end(running, max_)
    assert fire_due_schedules() == 0


def test_a_round_that_another_waits_for_is_not_followed_by_one_of_its_own_plan(
    add_schedule, begin, finish_round, monkeypatch, max_
):
    running = begin()
    assert not Schedule.objects.takes_over(running.project)
    schedule = add_schedule(after_round(), made_at=timezone.now())
    assert Schedule.objects.takes_over(running.project)
    pause_schedule(actor=max_, schedule=schedule)
    assert not Schedule.objects.takes_over(running.project)


def test_a_round_starts_when_so_many_new_judgments_are_in(add_schedule, begin, criterion, max_, ada, project):
    before = begin()
    at_annotation(before, criterion, max_, pairs=5)
    judge_next(ada, project)
    schedule = add_schedule(after_judgments(2, repeats=True), made_at=timezone.now())
    judge_next(ada, project, tie=True)
    assert fire_due_schedules() == 0
    judge_next(ada, project)
    assert fire_due_schedules() == 1
    assert states(schedule) == ["waiting"]
    judge_next(ada, project)
    assert fire_due_schedules() == 0
    end(before, max_)
    assert fire_due_schedules() == 1
    assert (states(schedule), Round.objects.count()) == (["started"], 2)
    judge_elsewhere(before, criterion, max_, ada, count=1)  # the fourth new one
    assert fire_due_schedules() == 1
    assert states(schedule) == ["started", "waiting"]


def test_where_a_plan_names_batches_their_judgments_alone_are_waited_for(
    add_schedule, begin, criterion, max_, ada, project
):
    running = begin()
    batch = at_annotation(running, criterion, max_, pairs=2)
    plan = dataclasses.replace(preset_plan("tiny"), batches=(batch.name,))
    schedule = add_schedule(after_judgments(2), made_at=timezone.now(), plan=plan)
    judge_elsewhere(running, criterion, max_, ada, count=3)
    judge_next(ada, project)
    assert fire_due_schedules() == 0
    judge_next(ada, project)
    assert fire_due_schedules() == 1 and states(schedule) == ["waiting"]


def test_a_paused_schedule_leaves_out_what_passes(add_schedule, max_, monkeypatch):
    schedule = add_schedule(NINE)
    pause_schedule(actor=max_, schedule=schedule)
    assert fire_due_schedules(MONDAY + WEEK) == 0
    monkeypatch.setattr("rounds.schedules.actions.database_now", lambda: MONDAY + WEEK)
    schedule = resume_schedule(actor=max_, schedule=schedule)
    assert fire_due_schedules(MONDAY + WEEK) == 0
    assert fire_due_schedules(MONDAY + WEEK + HOUR) == 1
    assert schedule.firings.get().missed == 0


def test_a_time_that_waits_can_be_dropped(add_schedule, begin, max_):
    schedule, running = add_schedule(NINE), begin()
    fire_due_schedules(MONDAY + HOUR)
    drop_firing(actor=max_, firing=schedule.firings.get())
    end(running, max_)
    assert fire_due_schedules(MONDAY + 2 * HOUR) == 0
    assert (states(schedule), Round.objects.count()) == (["dropped"], 1)


def test_a_schedule_does_not_outlive_its_makers_rights(add_schedule, project, max_, ruth):
    set_role(actor=max_, project=project, user=ruth, role="manager")
    schedule = add_schedule(NINE, actor=ruth)
    remove_member(actor=max_, project=project, user=ruth)
    fire_due_schedules(MONDAY + HOUR)
    assert "is not a manager of the project any more" in schedule.firings.get().error
    assert not Round.objects.exists()


def test_nor_an_operators_who_may_make_one_only_as_a_manager(add_schedule, project, max_, make_user):
    root = make_user("root", is_staff=True, is_superuser=True)
    with pytest.raises(NotAManager, match="root does not manage the project"):
        add_schedule(NINE, actor=root)
    set_role(actor=max_, project=project, user=root, role="manager")
    schedule = add_schedule(NINE, actor=root)
    remove_member(actor=max_, project=project, user=root)
    fire_due_schedules(MONDAY + HOUR)
    assert "root, who made this schedule, is not a manager" in schedule.firings.get().error
    assert not Round.objects.exists()


def test_a_fault_stops_one_schedule_and_no_other(add_schedule, monkeypatch):
    broken, sound = add_schedule(every_week(0, time(8, 30))), add_schedule(NINE)
    real = fire_due_schedules.__globals__["fire_schedule"]

    def fire(pk, now):
        if pk == broken.pk:
            raise ZeroDivisionError("a fault")
        return real(pk, now)

    monkeypatch.setattr("rounds.schedules.firing.fire_schedule", fire)
    assert fire_due_schedules(MONDAY + HOUR) == 2
    assert fire_due_schedules(MONDAY + 2 * HOUR) == 0
    broken.refresh_from_db()
    assert broken.paused_at and "ZeroDivisionError: a fault" in broken.firings.get().error
    assert states(sound) == ["started"]


def test_the_database_refuses_a_second_firing_of_one_time(add_schedule):
    schedule = add_schedule(NINE)
    settled = {"state": "dropped", "settled_at": MONDAY}
    ScheduleFiring.objects.create(schedule=schedule, due_at=MONDAY, **settled)
    for fields in (
        {"due_at": MONDAY, **settled},
        {"due_at": MONDAY + HOUR, "state": "started", "settled_at": MONDAY},  # without a round
        {"due_at": MONDAY + HOUR, "state": "failed", "settled_at": MONDAY},  # without its sentence
        {"due_at": MONDAY + HOUR, "state": "dropped"},  # without its time
        {"due_at": MONDAY + HOUR, "state": "waiting", "settled_at": MONDAY},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            ScheduleFiring.objects.create(schedule=schedule, **fields)
    ScheduleFiring.objects.create(schedule=schedule, due_at=MONDAY + HOUR)
    with pytest.raises(IntegrityError), transaction.atomic():
        ScheduleFiring.objects.create(schedule=schedule, due_at=MONDAY + 2 * HOUR)
