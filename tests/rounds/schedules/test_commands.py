from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from rounds.models import Round, Schedule
from rounds.schedules.firing import fire_due_schedules
from tests.rounds.schedules.conftest import HOUR, MONDAY
from workspace.project_settings import set_time_zone

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def run(name, *arguments):
    out = StringIO()
    call_command(name, "kitchen", *arguments, stdout=out)
    return out.getvalue()


def refusal(name, *arguments):
    with pytest.raises(CommandError) as caught:
        run(name, *arguments)
    assert caught.value.returncode == 2
    return str(caught.value)


def test_start_round_makes_schedules_and_schedules_lists_and_changes_them(project, policy, prompt_set, max_):
    set_time_zone(actor=max_, project=project, time_zone="Europe/Berlin")
    assert run("schedules").startswith("No schedules.")
    said = run("start_round", "--every", "monday 09:00", "--prompts", "7")
    schedule = Schedule.objects.get()
    assert said.startswith(f"Schedule {schedule.pk}: a round starts every Monday at 09:00 (Europe/Berlin).")
    assert (schedule.start_policy, schedule.plan["sampling"]["prompts"]) == (None, 7)
    run("start_round", "--at", "2036-12-01 09:00", "--policy", "base")
    assert Schedule.objects.order_by("pk").last().start_policy == policy
    run("start_round", "--after", "500", "--repeat")
    run("start_round", "--after", "round")
    listed = run("schedules")
    for line in (
        "every Monday at 09:00 (Europe/Berlin); tiny, from the newest policy",
        "at 1 Dec 2036, 09:00 (Europe/Berlin); tiny, from base; next: 1 Dec 2036, 09:00",
        "every 500 new judgments; tiny, from the newest policy; next: 0 of 500 judgments are in",
        "when the round before is done",
    ):
        assert line in listed
    assert "next: paused" in run("schedules", "--pause", str(schedule.pk))
    assert "next: paused" not in run("schedules", "--resume", str(schedule.pk))
    assert not Round.objects.exists()

    Schedule.objects.filter(pk=schedule.pk).update(considered_until=MONDAY - HOUR)
    Schedule.objects.exclude(pk=schedule.pk).delete()
    fire_due_schedules(MONDAY + HOUR)
    assert "due 30 Nov 2026, 09:00: started round 1" in run("schedules")
    assert run("schedules", "--delete", str(schedule.pk)).startswith("No schedules.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--at", "soon"], "is no time"),
        (["--at", "2001-01-01 09:00"], "is over"),
        (["--every", "day"], "write monday 09:00"),
        (["--after", "round"], "No round is under way or planned"),
        (["--repeat"], "--repeat goes with --after"),
    ],
)
def test_a_time_that_is_none_is_refused(project, policy, prompt_set, arguments, sentence):
    assert sentence in refusal("start_round", *arguments)
    assert not Schedule.objects.exists() and not Round.objects.exists()


def test_a_schedule_that_is_not_there_is_refused_with_those_that_are(project, policy, prompt_set):
    assert "There is no schedule 7; there is: none yet." in refusal("schedules", "--pause", "7")
    run("start_round", "--every", "sunday 20:00")
    pk = str(Schedule.objects.get().pk)
    assert "is failed" in refusal("schedules", "--retry", pk)
    assert "is waiting" in refusal("schedules", "--drop", pk)
