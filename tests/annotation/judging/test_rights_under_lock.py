"""Rights are looked at in the transaction that acts: two connections, one of which takes the rights away meanwhile."""

import pytest
from django.db import transaction

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.errors import NotAMember
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment, Judgment, Source
from annotation.queue.actions import claim_task, skip_task
from tests.other_connection import in_another_connection, until_it_waits
from workspace.members import NotAManager, change_role, invite, remove_member, set_role, withdraw_invitation
from workspace.models import Invitation, Membership

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]
BETTER = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
WORSE = JudgmentInput(tiers=[["B"], ["A"]], strengths=[1])


@pytest.fixture
def ruled(project, make_user, max_):
    """A second manager, who takes rights away."""
    other = make_user("mia")
    set_role(actor=max_, project=project, user=other, role="manager")
    return other


def while_somebody_is_being(removed_or_demoted, act):
    """`act` begins while the transaction that takes the rights away has not been committed; what became of it.

    On PostgreSQL it is waited for until it waits for a lock of the open transaction.
    """
    with transaction.atomic():
        removed_or_demoted()
        thread, found = in_another_connection(act)
        until_it_waits(thread)
    thread.join(150)
    assert not thread.is_alive()
    return found[0]


@pytest.fixture
def tasks(project, criterion, max_):
    batch = create_batch(actor=max_, project=project, criterion=criterion, name="pairs", overlap=2)
    rows = [{"messages": [{"role": "user", "content": f"Why {n}?"}]} for n in range(2)]
    prompts = add_prompts(actor=max_, project=project, rows=rows)
    source = get_or_create_source(actor=max_, project=project, kind=Source.Kind.POLICY, name="base")
    new = [NewResponse(prompt=prompt, source=source, text=text) for prompt in prompts for text in "ab"]
    responses = add_responses(actor=max_, project=project, rows=new)
    pairs = [NewTask(prompt=p, responses=responses[2 * n : 2 * n + 2]) for n, p in enumerate(prompts)]
    add_tasks(actor=max_, batch=batch, tasks=pairs)
    open_batch(actor=max_, batch=batch)


@pytest.mark.parametrize("what", ["revise", "withdraw", "late submit", "skip"])
def test_who_is_being_removed_changes_nothing_any_more(project, tasks, max_, ada, what):
    first = claim_task(actor=ada, project=project)
    submit_judgment(actor=ada, assignment=first, content=BETTER, idempotency_key="the-first")
    second = claim_task(actor=ada, project=project)
    if what == "late submit":  # its lease has ended: it takes the longer way
        Assignment.objects.filter(pk=second.pk).update(state=Assignment.State.EXPIRED)
        second.refresh_from_db()
    acts = {
        "revise": lambda: revise_judgment(
            actor=ada, assignment=first, content=WORSE, idempotency_key="the-second"
        ),
        "withdraw": lambda: withdraw_judgment(actor=ada, assignment=first, idempotency_key="the-third"),
        "late submit": lambda: submit_judgment(
            actor=ada, assignment=second, content=BETTER, idempotency_key="the-fourth"
        ),
        "skip": lambda: skip_task(actor=ada, assignment=second),
    }
    before = Assignment.objects.get(pk=second.pk).state
    became = while_somebody_is_being(lambda: remove_member(actor=max_, project=project, user=ada), acts[what])
    assert isinstance(became, NotAMember)
    assert Judgment.objects.count() == 1 and Assignment.objects.get(pk=second.pk).state == before


@pytest.mark.parametrize("what", ["invite", "set_role", "remove", "withdraw an invitation"])
def test_who_is_no_manager_any_more_changes_nobody(project, ruled, max_, ada, what):
    invitation, _ = invite(actor=ruled, project=project, role="annotator")
    acts = {
        "invite": lambda: invite(actor=max_, project=project, role="manager"),
        "set_role": lambda: set_role(actor=max_, project=project, user=ada, role="manager"),
        "remove": lambda: remove_member(actor=max_, project=project, user=ada),
        "withdraw an invitation": lambda: withdraw_invitation(actor=max_, invitation=invitation),
    }
    became = while_somebody_is_being(
        lambda: change_role(actor=ruled, project=project, user=max_, role="annotator"), acts[what]
    )
    assert isinstance(became, NotAManager)
    assert Membership.objects.get(project=project, user=ada).role == "annotator"
    assert [one.pk for one in Invitation.objects.open()] == [invitation.pk]


def test_a_new_role_does_not_bring_back_who_was_removed_meanwhile(project, ruled, max_, ada):
    became = while_somebody_is_being(
        lambda: remove_member(actor=ruled, project=project, user=ada),
        lambda: change_role(actor=max_, project=project, user=ada, role="reviewer"),
    )
    assert (became.code, became.message) == ("not_a_member", "ada is not on the project any more.")
    assert not Membership.objects.filter(project=project, user=ada).exists()
