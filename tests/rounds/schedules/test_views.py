import re
from datetime import UTC, datetime, time

import pytest
from django.urls import reverse

from rounds.models import Round, Schedule, Trigger
from rounds.schedules.firing import fire_due_schedules
from rounds.schedules.triggers import after_judgments, every_week
from tests.rounds.schedules.conftest import HOUR, MONDAY
from workspace.project_settings import set_time_zone

pytestmark = [pytest.mark.db, pytest.mark.django_db]
LIST, START = (reverse(f"rounds:{name}", args=["kitchen"]) for name in ("list", "start"))


@pytest.fixture
def values(criterion, policy, prompt_set):
    return {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": policy.pk,
        "prompt_set": prompt_set.pk,
        "weekday": "0",
        "time_of_day": "09:00",
    }


def text(answer):
    return " ".join(re.sub("<[^>]*>", " ", answer.content.decode()).split())


def test_the_form_makes_schedules_in_the_projects_time_zone(client, project, values, policy, max_):
    set_time_zone(actor=max_, project=project, time_zone="Europe/Berlin")
    client.force_login(max_)
    said = text(client.post(START, {**values, "when": "at", "at": "2036-12-01T09:00"}, follow=True))
    assert "A round starts at 1 Dec 2036, 09:00 (Europe/Berlin)." in said
    assert "Next 1 Dec 2036, 09:00" in said
    weekly = {**values, "when": "weekly", "weekday": "4", "time_of_day": "17:30", "newest_policy": "on"}
    assert "Every Friday at 17:30 (Europe/Berlin)" in text(client.post(START, weekly, follow=True))
    judgments = {**values, "when": "judgments", "judgments": "500", "repeats": "on"}
    assert "0 of 500 judgments are in" in text(client.post(START, judgments, follow=True))
    client.post(START, {**values, "when": "after_round"})
    at, every, count, after = Schedule.objects.order_by("pk")
    assert (at.at, at.start_policy) == (datetime(2036, 12, 1, 8, 0, tzinfo=UTC), policy)
    assert (every.weekday, every.time_of_day, every.start_policy) == (4, time(17, 30), None)
    assert (count.judgments, count.repeats, after.trigger) == (500, True, Trigger.AFTER_ROUND)
    assert not Round.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"when": "at"}, "Give the day and the time"),
        ({"when": "at", "at": "2001-01-01T09:00"}, "1 Jan 2001, 09:00 (UTC) is over"),
        ({"when": "weekly", "time_of_day": ""}, "Give the day of the week and the time"),
        ({"when": "judgments"}, "Give the number of new judgments"),
        ({"when": "judgments", "judgments": "0"}, "Must be at least 1"),
        ({"when": "after_round"}, "No round is under way or planned"),
        ({"when": "someday"}, "Select a valid choice"),
    ],
)
def test_what_is_missing_is_said_on_the_form(client, values, max_, changes, sentence):
    client.force_login(max_)
    answer = client.post(START, {**values, **changes})
    assert answer.status_code == 422 and sentence in text(answer)
    assert not Schedule.objects.exists() and not Round.objects.exists()


def test_a_schedule_can_be_made_while_a_round_is_under_way(client, values, begin, max_):
    begin()
    client.force_login(max_)
    assert f'href="{START}?when=after_round"' in client.get(LIST).content.decode()
    page = client.get(START, {"when": "after_round"})
    assert "Round 1 is under way" in text(page)
    assert re.search(r'value="after_round"[^>]*checked', page.content.decode())
    refused = client.post(START, {**values, "when": "now"})
    assert refused.status_code == 422 and "Another round of this project is open" in text(refused)
    assert "When the round before is done" in text(
        client.post(START, {**values, "when": "after_round"}, follow=True)
    )


def test_the_page_says_what_waits_and_what_failed_and_its_buttons_do_it(
    client, add_schedule, begin, prompt_set, max_, ruth
):
    schedule, running = add_schedule(every_week(0, time(9, 0))), begin()
    fire_due_schedules(MONDAY + HOUR)
    client.force_login(max_)
    assert "Due 30 Nov 2026, 09:00: waits for the end of round 1" in text(client.get(LIST))
    Round.objects.update(stage="failed", failed_stage="sampling", error="No memory.")
    page = client.get(LIST)
    assert "waits for round 1, which failed: try it again or cancel it" in text(page)
    assert 'data-confirm="Delete the schedule' in page.content.decode()
    client.force_login(ruth)
    seen = client.get(LIST).content.decode()
    assert "waits for round 1" in seen and "/schedules/" not in seen, "a reviewer reads and has no button"

    client.force_login(max_)
    firing = schedule.firings.get()

    def press(name, pk):
        return text(client.post(reverse(f"rounds:{name}", args=["kitchen", pk]), follow=True))

    assert "Dropped" in press("drop_firing", firing.pk)
    assert "It does not wait any more" in press("drop_firing", firing.pk)
    assert "paused" in press("pause_schedule", schedule.pk)
    assert "goes on from now" in press("resume_schedule", schedule.pk)
    type(firing).objects.update(state="failed", error="All prompts are gone.")
    assert "All prompts are gone." in text(client.get(LIST))
    assert "waits for round 1" in press("retry_firing", firing.pk)
    assert "is deleted" in press("delete_schedule", schedule.pk)
    assert not Schedule.objects.exists() and Round.objects.get() == running


def test_the_page_is_there_for_a_schedule_whose_plan_cannot_be_read(client, add_schedule, max_):
    """After an upgrade, before a worker has paused it."""
    schedule = add_schedule(after_judgments(5))
    Schedule.objects.filter(pk=schedule.pk).update(plan=schedule.plan | {"of_another_version": 1})
    client.force_login(max_)
    assert "of_another_version" in text(client.get(LIST))


def test_schedules_of_another_project_are_not_found(client, add_schedule, olga):
    schedule = add_schedule(after_judgments(5))
    client.force_login(olga)
    for name in ("pause_schedule", "resume_schedule", "delete_schedule"):
        assert client.post(reverse(f"rounds:{name}", args=["garden", schedule.pk])).status_code == 404
    assert Schedule.objects.get().paused_at is None
