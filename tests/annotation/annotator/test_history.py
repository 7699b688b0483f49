"""What somebody has judged, on a page of their own: only theirs, found by words, batch, report and day."""

import re
import uuid
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.annotator.history import own_days
from annotation.batches.actions import close_batch
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.judging.gold import make_known_tasks
from annotation.models import Assignment, Batch, Judgment, WorkCount
from annotation.qualification.actions import add_practice, change_training, create_training, submit_practice
from annotation.queue.actions import claim_task
from annotation.queue.opt_outs import set_content_warnings, set_opt_outs
from annotation.queue.positions import Kind
from annotation.queue.repeats import prepare_repeats
from workspace.project_settings import set_checks

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def judge(person, project, **said):
    assignment = claim_task(actor=person, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1], seconds=30.0, **said)
    return submit_judgment(
        actor=person, assignment=assignment, content=content, idempotency_key=uuid.uuid4().hex
    )


@pytest.fixture
def history(client, project, ada):
    client.force_login(ada)

    def get(**asked):
        return client.get(reverse("annotation:own_history", args=[project.slug]), asked).content.decode()

    return get


def test_own_judgments_are_found_by_what_was_asked_answered_and_said(history, project, ada, ruth, make_batch):
    make_batch(tasks=1, prompt="How is tea made?", texts=["Boil water.", "Ask the pot."])
    judge(ada, project, rationale="Only one names water that boils.")
    make_batch(tasks=1, prompt="What is rain?", name="new-policy-7b against old")
    judge(ada, project, flags=["unsafe"])
    make_batch(tasks=1, prompt="Somebody else's?")
    judge(ruth, project)
    page = history()
    assert "How is tea made?" in page and "What is rain?" in page
    # Nor whose answers they compared: of a batch not even its name.
    assert not any(word in page for word in ("Somebody else", "secret-policy", "new-policy"))
    for words, found in [("tea", 1), ("POT", 1), ("names water", 1), ("nowhere", 0), ("100%", 0)]:
        assert history(q=words).count('class="recent-prompt"') == found
    assert "What is rain?" not in history(q="tea")
    assert "How is tea made?" not in history(flag="unsafe") and "What is rain?" in history(flag="unsafe")
    batch = Judgment.objects.filter(annotator=ada).earliest("pk").task.batch
    assert "What is rain?" not in history(batch=str(batch.pk))
    assert history(since="1").count('class="recent-prompt"') == 2


def test_what_a_closed_batch_holds_can_be_read_and_not_changed(history, project, ada, max_, make_batch):
    batch = make_batch(tasks=2)
    judgment = judge(ada, project)
    change = reverse("annotation:task", args=[project.slug, judgment.assignment.public_id])
    assert change in history()
    claim_task(actor=ada, project=project)
    assert "Continue" in history()
    close_batch(actor=max_, batch=batch)
    assert change not in history() and "Closed" in history()


def test_a_day_begins_at_half_past_where_clocks_do(project, ada, make_batch):
    project.time_zone = "Asia/Kolkata"  # midnight is 18:30 in UTC
    project.save()
    batch = make_batch(tasks=1)
    zone = ZoneInfo("Asia/Kolkata")
    midnight = datetime.combine(timezone.now().astimezone(zone).date(), time(), tzinfo=zone)
    for minutes, number in [(-15, 2), (0, 5)]:
        at = midnight + timedelta(minutes=minutes)
        WorkCount.objects.create(batch=batch, annotator_id=ada.pk, quarter=at, judgments=number)
    assert [day.judgments for day in own_days(ada, project)][-2:] == [2, 5]


def test_days_are_those_of_the_project(project, ada, make_batch):
    project.time_zone = "Pacific/Auckland"  # half a day ahead of UTC
    project.save()
    batch = make_batch(tasks=1)
    judge(ada, project)
    [count] = WorkCount.objects.all()
    for hours, number in [(24, 2), (24 * 13, 4), (24 * 30, 8)]:
        WorkCount.objects.create(
            batch=batch,
            annotator_id=ada.pk,
            quarter=count.quarter - timedelta(hours=hours),
            judgments=number,
            seconds=3600.0,
        )
    days = own_days(ada, project)
    assert [(day.judgments, day.time) for day in days] == [
        (4, "1 h 00 min"),
        *[(0, "0 min")] * 11,
        (2, "1 h 00 min"),
        (1, "0 min"),
    ]


def test_who_opts_out_gives_back_what_they_hold_of_it_and_may_still_submit(
    project, ada, ruth, max_, make_batch
):
    batch = make_batch(tasks=1)
    set_content_warnings(actor=max_, batch=batch, names=["violence"])
    assignment = claim_task(actor=ada, project=project)
    set_opt_outs(actor=ada, project=project, names=["violence"])
    assert Assignment.objects.get().state == "expired" and batch.tasks.get().open_slots == 1
    assert claim_task(actor=ada, project=project) is None
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    stored = submit_judgment(
        actor=ada, assignment=assignment, content=content, idempotency_key=uuid.uuid4().hex
    )
    assert not stored.surplus and batch.tasks.get().counted_judgments == 1
    assert project.audit_events.get(action="content.opt_out").details["released"] == 1


@pytest.fixture
def with_gold(project, ada, ruth, max_, make_batch, monkeypatch):
    """(the original's batch, that of others): Ada judged one of each, and the first one's gold copy."""
    source = make_batch(tasks=1, overlap=1, prompt="Copied?", name="source")
    judge(ruth, project)
    make_known_tasks(actor=max_, project=project, judgments=list(Judgment.objects.all()))
    others = make_batch(tasks=3, prompt="Usual?", name="others")
    judge(ada, project)
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: Kind.GOLD)
    assert judge(ada, project).task.purpose == "gold"
    return source, others


def offered(page):
    return set(re.findall(r"\(no\. (\d+)\)", page))


def test_gold_is_found_under_the_batch_of_the_usual_task_before_it(history, with_gold):
    """Not under its original's, of which Ada judged nothing, and not under none: both would tell what it is."""
    source, others = with_gold
    gold = Batch.objects.get(name__startswith="Known answers")
    assert offered(history()) == {str(others.pk)}
    assert history().count('class="recent-prompt"') == 2
    # What the filter does not offer it does not read.
    for unknown in (gold, source):
        assert history(batch=str(unknown.pk)).count('class="recent-prompt"') == 2
    of_others = history(batch=str(others.pk))
    assert "Copied?" in of_others and "Usual?" in of_others


def test_gold_that_came_first_is_found_under_the_first_usual_batch(
    history, project, ada, ruth, max_, make_batch, monkeypatch
):
    make_batch(tasks=1, overlap=1, prompt="Copied?", name="source")
    judge(ruth, project)
    make_known_tasks(actor=max_, project=project, judgments=list(Judgment.objects.all()))
    first = make_batch(tasks=1, prompt="Usual?", name="others")
    with monkeypatch.context() as patched:
        patched.setattr("annotation.queue.search.kind_at", lambda *_: Kind.GOLD)
        assert judge(ada, project).task.purpose == "gold"
    assert offered(history()) == set() and "Copied?" in history()
    judge(ada, project)
    second = make_batch(tasks=1, prompt="Usual, too?", name="more")
    judge(ada, project)
    assert offered(history()) == {str(first.pk), str(second.pk)}
    assert "Copied?" in history(batch=str(first.pk)) and "Copied?" not in history(batch=str(second.pk))


def test_gold_is_open_no_longer_than_what_was_judged_around_it(history, with_gold, max_):
    assert history().count("Change<") == 2
    close_batch(actor=max_, batch=with_gold[1])
    page = history()
    assert page.count("Change<") == 0 and page.count(">Closed<") == 2


def test_a_repeat_is_found_under_its_batch_with_the_first_time(
    history, project, ada, max_, make_batch, monkeypatch
):
    batch = make_batch(tasks=4)
    set_checks(actor=max_, project=project, repeat_share=0.2, repeat_after=1)
    project.refresh_from_db()
    judge(ada, project)
    judge(ada, project)
    assert prepare_repeats(project) == 1
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: Kind.REPEAT)
    assert judge(ada, project).task.purpose == "repeat"
    assert offered(history()) == {str(batch.pk)}
    assert history(batch=str(batch.pk)).count('class="recent-prompt"') == 3


def test_a_training_is_not_in_the_history(history, project, criterion, ada, ruth, max_, make_batch):
    make_batch(tasks=1, prompt="Practised?")
    judge(ruth, project)
    training = create_training(
        actor=max_, project=project, name="Basics", criterion=criterion, items=1, needed=1
    )
    add_practice(actor=max_, training=training, judgments=list(Judgment.objects.all()))
    change_training(actor=max_, training=training, is_on=True)
    held = claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    submit_practice(actor=ada, assignment=held, content=content, idempotency_key=uuid.uuid4().hex)
    page = history()
    assert "Practised?" not in page and offered(page) == set()


def test_a_judgment_is_taken_back_once_and_nobody_elses(client, history, project, ada, ruth, make_batch):
    batch = make_batch(tasks=2)
    mine = judge(ada, project)
    assert history().count(">Take back<") == 1
    address = reverse("annotation:take_back", args=[project.slug, mine.assignment.public_id])
    for _ in range(2):
        assert client.post(address, {"key": f"take-back-{mine.pk}"}).status_code == 302
    withdrawn = Judgment.objects.latest("pk")
    assert (withdrawn.withdrawn, withdrawn.supersedes, Judgment.objects.count()) == (True, mine, 2)
    task = batch.tasks.get(pk=mine.task_id)
    assert (task.open_slots, task.counted_judgments) == (1, 0)
    assert ">Take back<" not in history()
    # It goes to somebody else, not to her again.
    assert claim_task(actor=ada, project=project).task_id != mine.task_id
    client.force_login(ruth)
    assert client.post(address, {"key": "take-back-again"}).status_code == 404
