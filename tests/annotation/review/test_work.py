"""Who did how much: counted by hand over days of the project's time zone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment, withdraw_judgment
from annotation.models import Judgment
from annotation.queue.actions import claim_task
from annotation.review import work
from workspace.models import Project

pytestmark = [pytest.mark.db, pytest.mark.django_db]
# A Wednesday, in Tokyo already the 26th.
NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)


@pytest.fixture
def judged_at(project, key, monkeypatch):
    """Judges the next task of somebody at a time before now; 1,800 active seconds each."""

    def judge(person, before=timedelta()):
        assignment = claim_task(actor=person, project=project)
        content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2], seconds=1800)
        with monkeypatch.context() as patched:
            default = Judgment._meta.get_field("created_at")
            patched.setattr(default, "default", lambda: NOW - before)
            default.__dict__.pop("_get_default", None)
            submit_judgment(actor=person, assignment=assignment, content=content, idempotency_key=key())
        default.__dict__.pop("_get_default", None)
        return assignment

    monkeypatch.setattr(work.timezone, "now", lambda: NOW)
    return judge


@pytest.fixture
def world(project, make_batch, make_annotators, judged_at, key):
    one, two = make_annotators(2)
    make_batch(tasks=4, overlap=2)
    make_batch(tasks=2, overlap=2)  # another batch counts as well
    for hours in (0, 1, 24, 24 * 7):
        judged_at(one, timedelta(hours=hours))
    judged_at(two, timedelta(days=400))
    taken_back = judged_at(two)
    withdraw_judgment(actor=two, assignment=taken_back, idempotency_key=key())
    return one, two


def test_judgments_and_hours_of_everybody_by_day_and_week(project, world):
    one, two = world
    found = work.read_work(project)
    assert [(row.name, row.judgments, row.hours) for row in found.people] == [
        (one.username, 4, 2.0),
        (two.username, 1, 0.5),  # what was withdrawn is not held
    ]
    day = NOW.date()
    assert found.periods == [day - timedelta(days=number) for number in range(14)]
    assert found.people[0].by_period == {day: 2, day - timedelta(days=1): 1, day - timedelta(days=7): 1}
    assert found.people[1].by_period == {}
    weeks = work.read_work(project, "week")
    monday = datetime(2026, 11, 23).date()
    assert weeks.periods[:2] == [monday, monday - timedelta(days=7)] and len(weeks.periods) == 12
    assert weeks.people[0].by_period == {monday: 3, monday - timedelta(days=7): 1}


def test_days_are_those_of_the_project(project, world):
    Project.objects.update(time_zone="Asia/Tokyo")
    project.refresh_from_db()
    # 20:00 and 19:00 UTC are the 26th there, the day before the 25th.
    of_one = work.read_work(project).people[0].by_period
    assert of_one == {datetime(2026, 11, day).date(): n for day, n in ((26, 2), (25, 1), (19, 1))}


def test_by_the_page_and_by_a_program(client, program, project, world, ruth, ada, max_):
    one, two = world
    address = reverse("annotation:work_done", args=["kitchen"])
    client.force_login(ruth)
    for query in ("", "?by=week", "?by=year"):
        page = client.get(address + query).content.decode()
        assert one.username in page and '<td class="text-end">5</td><td class="text-end">2.5</td>' in page
    client.force_login(ada)
    assert client.get(address).status_code == 404
    client.logout()
    answer = program(max_)("GET", "projects/kitchen/work?by=week").json()
    assert [(row["annotator"], row["judgments"], row["by_period"]) for row in answer["people"]] == [
        (one.pseudonym, 4, {"2026-11-23": 3, "2026-11-16": 1}),
        (two.pseudonym, 1, {}),
    ]
