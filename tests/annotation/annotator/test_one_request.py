"""One request a judgment: submit answers with the next task, already leased; and what a request costs in statements."""

import json
import re

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.adjudication.more_annotators import set_one_more_rule
from annotation.annotator import endpoints
from annotation.assigning.acknowledging import acknowledge_guideline, require_acknowledgement
from annotation.assigning.actions import set_batch_audience, set_daily_limit, set_member_work
from annotation.judging import actions as judging
from annotation.models import Assignment, Batch, CurrentJudgment, Judgment, Prompt, Response, Task, Training
from annotation.qualification.actions import create_training, let_through
from annotation.queue.actions import sweep_expired_leases
from annotation.queue.counters import find_counter_drift
from annotation.queue.positions import Kind
from annotation.queue.repeats import prepare_repeats
from annotation.rendering.html_cache import message_fragment, response_fragment, show
from workspace.members import remove_member, set_role
from workspace.models import AuditEvent, Membership, Project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def post(client, project, name, body=None, **kwargs):
    address = reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})
    return client.post(address, json.dumps(body or {}), content_type="application/json")


def answer(key, **changes):
    return {
        "tiers": [["B"], ["A"]], "strengths": [3], "seconds": 4.5, "idempotency_key": key,
        "settings_version": 1, "guideline_version": 1,
    } | changes  # fmt: skip


@pytest.fixture
def at_work(client, ada, project, make_batch):
    client.force_login(ada)
    make_batch(tasks=8)
    return client


def statements(captured):
    """Without the beginning and the end of transactions (in a test those are savepoints)."""
    return [
        query["sql"]
        for query in captured.captured_queries
        if not re.match(r"BEGIN|COMMIT|SAVEPOINT|RELEASE", query["sql"])
    ]


def test_next_and_submit_are_eight_statements_each_and_fourteen_together(at_work, project, key):
    def cost(*args, **kwargs):
        with CaptureQueriesContext(connection) as captured:
            response = post(at_work, project, *args, **kwargs)
        assert response.status_code in (200, 201), response.content
        return response.json(), len(statements(captured))

    # The texts' HTML has been made before, in another process.
    show([message_fragment(message) for prompt in Prompt.objects.all() for message in prompt.messages])
    show([response_fragment(response.answer) for response in Response.objects.all()])
    cache.clear()
    post(at_work, project, "next_task")  # the guideline's text is read once a process
    first = Assignment.objects.get()
    second, claimed = cost("next_task", {"after_assignment": str(first.public_id)})
    assert claimed <= 8
    _, submitted = cost("submit", answer(key()), public_id=first.public_id)
    assert submitted <= 8
    ahead = {"after_assignment": second["public_id"]}
    stored, together = cost("submit", answer(key(), claim_next=ahead), public_id=second["public_id"])
    assert stored["next"]["public_id"] and together <= 14


def ask_for_everything(actor, person, project):
    membership = Membership.objects.get(project=project, user=person)
    set_daily_limit(actor=actor, project=project, daily_limit=100)
    set_member_work(
        actor=actor, project=project, membership=membership, groups=["desk"], skills=["english", "cooking"],
        daily_limit=50,
    )  # fmt: skip
    set_batch_audience(
        actor=actor, batch=Batch.objects.get(), groups=["desk"], skills=["english", "cooking"], skills_asked="all",
        person_quota=20,
    )  # fmt: skip
    version = project.guidelines.latest_version().version
    require_acknowledgement(actor=actor, project=project, version=version)
    acknowledge_guideline(actor=person, project=project, version=version)
    set_one_more_rule(actor=actor, project=project, most=3)


@pytest.mark.parametrize("kind", Kind)
def test_a_check_costs_what_every_task_costs(at_work, ada, max_, project, key, make_batch, kind, monkeypatch):
    """All that can be asked of annotators is on (known answers, repeats, a training that was passed, groups and skills,
    limits, a guideline that was confirmed, one more annotator): the statements tell nobody which kind came.
    """
    ask_for_everything(max_, ada, project)
    Project.objects.filter(pk=project.pk).update(gold_share=0.1, repeat_share=0.1, repeat_after=1)
    make_batch(tasks=1, task_fields=lambda number: {"purpose": "gold"})
    training = create_training(
        actor=max_, project=project, name="Basics", criterion=project.criteria.get(), items=1, needed=1
    )
    Training.objects.filter(pk=training.pk).update(is_on=True)
    let_through(actor=max_, training=training, annotator=ada)
    # By chance the only gold task would come now and then.
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: Kind.USUAL)
    for _ in range(3):
        shown = post(at_work, project, "next_task").json()
        post(at_work, project, "submit", answer(key()), public_id=shown["public_id"])
    assert prepare_repeats(Project.objects.get(pk=project.pk)) > 0
    show([message_fragment(message) for prompt in Prompt.objects.all() for message in prompt.messages])
    show([response_fragment(response.answer) for response in Response.objects.all()])
    cache.clear()
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: kind)
    with CaptureQueriesContext(connection) as captured:
        claimed = post(at_work, project, "next_task").json()
    assert len(statements(captured)) <= 8
    task = Task.objects.get(assignments__public_id=claimed["public_id"])
    assert task.purpose == {Kind.USUAL: "normal", Kind.GOLD: "gold", Kind.REPEAT: "repeat"}[kind]
    with CaptureQueriesContext(connection) as captured:
        stored = post(at_work, project, "submit", answer(key()), public_id=claimed["public_id"])
    assert (stored.status_code, stored.json()) == (201, {"stored": True, "is_counted": True})
    assert len(statements(captured)) <= 8


@pytest.mark.parametrize("kind", [Kind.GOLD, Kind.REPEAT])
def test_a_check_that_is_due_and_not_there_costs_nothing_more(at_work, project, key, monkeypatch, kind):
    Project.objects.filter(pk=project.pk).update(gold_share=0.1, repeat_share=0.1)
    first = post(at_work, project, "next_task").json()
    show([message_fragment(message) for prompt in Prompt.objects.all() for message in prompt.messages])
    show([response_fragment(response.answer) for response in Response.objects.all()])
    cache.clear()
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: kind)
    with CaptureQueriesContext(connection) as captured:
        claimed = post(at_work, project, "next_task", {"after_assignment": first["public_id"]}).json()
    assert len(statements(captured)) <= 8
    task = Task.objects.get(assignments__public_id=claimed["public_id"])
    assert (task.purpose, task.open_slots, task.required_judgments) == ("normal", 0, 1)
    assert find_counter_drift() == []


def test_submit_answers_with_the_task_after_the_one_on_the_screen(at_work, ada, project, key):
    first = post(at_work, project, "next_task").json()
    on_screen = post(at_work, project, "next_task", {"after_assignment": first["public_id"]}).json()
    ahead = {"after_assignment": on_screen["public_id"]}
    stored = post(at_work, project, "submit", answer(key(), claim_next=ahead), public_id=first["public_id"])
    assert (stored.status_code, stored.json()["stored"]) == (201, True)
    behind = stored.json()["next"]
    assert behind["public_id"] not in (first["public_id"], on_screen["public_id"])
    assert (behind["progress"]["judged"], behind["progress"]["remaining"]) == (1, 7)
    assert behind["progress"]["last_assignment"] == first["public_id"]
    # It is what next would have answered, and leased already.
    asked = post(at_work, project, "next_task", ahead).json()
    assert asked == behind
    assert Assignment.objects.filter(annotator=ada, state="leased").count() == 2
    assert find_counter_drift() == []


def test_without_being_asked_submit_claims_nothing(at_work, project, key):
    first = post(at_work, project, "next_task").json()["public_id"]
    stored = post(at_work, project, "submit", answer(key()), public_id=first)
    assert stored.json() == {"stored": True, "is_counted": True}
    assert Assignment.objects.count() == 1


def test_when_nothing_is_left_submit_says_so_as_next_does(at_work, project, key):
    first = post(at_work, project, "next_task").json()["public_id"]
    Task.objects.exclude(assignments__public_id=first).update(open_slots=0, required_judgments=1)
    Task.objects.exclude(assignments__public_id=first).delete()
    stored = post(at_work, project, "submit", answer(key(), claim_next={}), public_id=first)
    assert stored.status_code == 201
    assert (stored.json()["next"]["public_id"], stored.json()["next"]["progress"]["remaining"]) == (None, 0)


@pytest.mark.parametrize("claim_next", [{"after_assignment": "no id"}, True, "x", [], None])
def test_a_judgment_is_stored_whatever_is_asked_for_beside_it(at_work, project, key, claim_next):
    first = post(at_work, project, "next_task").json()["public_id"]
    stored = post(at_work, project, "submit", answer(key(), claim_next=claim_next), public_id=first)
    assert (stored.status_code, stored.json()) == (201, {"stored": True, "is_counted": True})


def test_a_judgment_is_stored_when_the_next_task_cannot_be_claimed(at_work, project, key, monkeypatch):
    first = post(at_work, project, "next_task").json()["public_id"]

    def fail(**_):
        raise DatabaseError("gone")

    monkeypatch.setattr(endpoints.queue, "claim_with_content", fail)
    stored = post(at_work, project, "submit", answer(key(), claim_next={}), public_id=first)
    assert (stored.status_code, "next" in stored.json()) == (201, False)
    assert Judgment.objects.count() == 1


def test_a_refused_judgment_claims_nothing(at_work, project, key):
    first = post(at_work, project, "next_task").json()["public_id"]
    refused = post(at_work, project, "submit", answer(key(), tiers=None, claim_next={}), public_id=first)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_judgment")
    assert Assignment.objects.count() == 1


def test_a_repeated_submit_stores_nothing_and_answers_with_the_same_next_task(at_work, project, key):
    first = post(at_work, project, "next_task").json()["public_id"]
    same = answer(key(), claim_next={})
    answers = [post(at_work, project, "submit", same, public_id=first).json() for _ in range(3)]
    assert len({entry["next"]["public_id"] for entry in answers}) == 1
    assert (Judgment.objects.count(), AuditEvent.objects.filter(action="judgment.submit").count()) == (1, 1)


def test_a_removed_member_and_another_role_act_at_the_next_request(at_work, ada, max_, project, key):
    first = post(at_work, project, "next_task").json()["public_id"]
    set_role(actor=max_, project=project, user=ada, role="reviewer")
    reviewed = at_work.get(reverse("annotation:batches", kwargs={"slug": project.slug}))
    assert reviewed.status_code == 200
    set_role(actor=max_, project=project, user=ada, role="annotator")
    assert at_work.get(reverse("annotation:batches", kwargs={"slug": project.slug})).status_code == 404
    remove_member(actor=max_, project=project, user=ada)
    refused = post(at_work, project, "submit", answer(key()), public_id=first)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_a_member")
    assert not Judgment.objects.exists()


def test_deactivated_or_with_another_password_a_session_is_over_at_the_next_request(at_work, ada, project):
    assert post(at_work, project, "next_task").status_code == 200
    ada.is_active = False
    ada.save()
    assert post(at_work, project, "next_task").status_code == 401
    ada.is_active = True
    ada.save()
    at_work.force_login(ada)
    assert post(at_work, project, "next_task").status_code == 200
    ada.set_password("another horse battery")
    ada.save()
    assert post(at_work, project, "next_task").status_code == 401


def test_a_session_that_was_logged_out_is_over_wherever_its_cookie_went(at_work, client_class, project):
    copied = client_class()
    copied.cookies["sessionid"] = at_work.cookies["sessionid"].value
    assert post(copied, project, "next_task").status_code == 200
    at_work.post(reverse("workspace:logout"))
    assert post(copied, project, "next_task").status_code == 401


@pytest.fixture
def client_class():
    from django.test import Client

    return Client


def test_a_lease_that_ends_just_before_its_judgment_is_stored_by_the_long_way(
    at_work, ada, project, key, monkeypatch
):
    """The request has read a live lease; meanwhile it is swept and somebody else may take the slot."""
    first = post(at_work, project, "next_task").json()["public_id"]
    original = judging._submit_leased

    def overtaken(actor, assignment, *rest):
        Assignment.objects.filter(pk=assignment.pk).update(leased_until="2020-01-01T00:00:00Z")
        assert sweep_expired_leases() == 1
        return original(actor, assignment, *rest)

    monkeypatch.setattr(judging, "_submit_leased", overtaken)
    stored = post(at_work, project, "submit", answer(key()), public_id=first)
    assert (stored.status_code, stored.json()["is_counted"]) == (201, True)
    task = Task.objects.get(assignments__public_id=first)
    assert (task.open_slots, task.counted_judgments) == (0, 1)
    assert (Judgment.objects.count(), CurrentJudgment.objects.count()) == (1, 1)
    assert find_counter_drift() == []


def test_a_key_of_another_task_is_refused_and_leaves_the_lease(at_work, project, key):
    used = key()
    first = post(at_work, project, "next_task").json()["public_id"]
    stored = post(at_work, project, "submit", answer(used, claim_next={}), public_id=first).json()
    refused = post(at_work, project, "submit", answer(used), public_id=stored["next"]["public_id"])
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_reused")
    assert Assignment.objects.get(public_id=stored["next"]["public_id"]).state == "leased"
    assert find_counter_drift() == []
