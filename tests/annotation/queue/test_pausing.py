"""Who is paused gets no tasks; what they hold, judged and may change stays theirs."""

import pytest
from django.urls import reverse

from annotation.errors import MemberPaused
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment
from annotation.queue.actions import claim_task, skip_task, undo_skip
from annotation.queue.counters import find_counter_drift
from workspace.members import pause_member, resume_member

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ORDER = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])


def test_a_paused_annotator_gets_no_task_and_loses_nothing(project, max_, ada, make_batch, key):
    make_batch(tasks=3)
    of = {"actor": max_, "project": project, "user": ada}
    held = claim_task(actor=ada, project=project)
    member = pause_member(**of)
    assert pause_member(**of).paused_at == member.paused_at  # again: nothing new
    with pytest.raises(MemberPaused):
        claim_task(actor=ada, project=project)
    submit_judgment(actor=ada, assignment=held, content=ORDER, idempotency_key=key())
    revise_judgment(actor=ada, assignment=held, content=ORDER, idempotency_key=key())
    resume_member(**of)
    skipped = claim_task(actor=ada, project=project)
    pause_member(**of)
    skip_task(actor=ada, assignment=skipped)
    with pytest.raises(MemberPaused):
        undo_skip(actor=ada, assignment=skipped)
    assert find_counter_drift(project) == []
    actions = project.audit_events.filter(action__startswith="membership.").order_by("pk")
    assert [event.action for event in actions if event.action != "membership.set"] == [
        "membership.pause", "membership.resume", "membership.pause",
    ]  # fmt: skip


def test_their_pages_say_so_and_managers_see_and_end_it(client, program, project, max_, ada, make_batch):
    make_batch(tasks=1)
    member = project.memberships.get(user=ada)
    change = reverse("workspace:change_member", args=["kitchen", member.pk])
    client.force_login(max_)
    assert "Paused since" in client.post(change, {"role": "pause"}, follow=True).content.decode()
    client.force_login(ada)
    assert "You are paused" in client.get(reverse("annotation:overview", args=["kitchen"])).content.decode()
    answer = client.post(
        reverse("annotation:next_task", args=["kitchen"]), "{}", content_type="application/json"
    ).json()
    assert answer["public_id"] is None and "You are paused" in answer["html"]
    client.logout()
    claimed = program(ada, role="annotator")("POST", "projects/kitchen/claim", {})
    assert (claimed.status_code, claimed.json()["code"]) == (409, "member_paused")
    resumed = program(max_)("PATCH", f"projects/kitchen/members/{member.pk}", {"paused": False}).json()
    assert (resumed["role"], resumed["paused_at"]) == ("annotator", None)
    assert program(ada)("POST", "projects/kitchen/claim", {}).json()["task"]
