"""What somebody has judged, on a page of their own: only theirs, found by words, batch, report and day."""

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from annotation.annotator.history import own_days
from annotation.batches.actions import close_batch
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, Judgment, WorkCount
from annotation.queue.actions import claim_task
from annotation.queue.opt_outs import set_content_warnings, set_opt_outs

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
    assert "Go on" in history()
    close_batch(actor=max_, batch=batch)
    assert change not in history() and "Closed" in history()


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
            hour=count.hour - timedelta(hours=hours),
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
