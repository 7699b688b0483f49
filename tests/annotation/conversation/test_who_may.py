"""Live conversations go to whom the batch is for, as tasks do; a turn that is open is finished all the same."""

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.assigning.acknowledging import acknowledge_guideline, publish_to_acknowledge
from annotation.assigning.actions import set_batch_audience, set_daily_limit, set_member_work
from annotation.batches.actions import close_batch
from annotation.batches.naming import batch_words
from annotation.conversation.actions import (
    advance,
    end_conversation,
    last_turn,
    open_batches_for,
    send_message,
    start_conversation,
)
from annotation.errors import AcknowledgementNeeded, BatchNotOpen, DailyLimitReached
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, Conversation, Qualification
from annotation.qualification.actions import create_training, require_training
from annotation.queue.opt_outs import set_content_warnings, set_opt_outs
from workspace.models import Membership

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judged_turn(ada, writer, key):
    """Has a message answered and judged."""

    def give(talk, number=1):
        send_message(actor=ada, conversation=talk, text="What can I cook?", number=number)
        writer.lay_down("old", "done", f"Rice {number}.")
        writer.lay_down("new", "done", f"Noodles {number}.")
        advance(actor=ada, conversation=talk)
        judge(talk)

    def judge(talk):
        assignment = Assignment.objects.get(task=last_turn(talk).task, annotator=ada)
        content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
        submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key=key())
        advance(actor=ada, conversation=talk)

    give.judge = judge
    return give


@pytest.fixture
def closes_to(live, ada, ruth, max_, project, criterion):
    """Closes the batch to ada by one of the gates, and gives what opens it again."""
    batch, member = live.batch, Membership.objects.get(project=project, user=ada)

    def training(for_everybody):
        made = create_training(
            actor=max_, project=project, name="Basics", criterion=criterion, items=1, needed=1
        )
        type(made).objects.filter(pk=made.pk).update(is_on=True, for_everybody=for_everybody)
        if not for_everybody:
            require_training(actor=max_, batch=batch, training=made)
        return lambda: Qualification.objects.create(
            training=made, annotator=ada, state="passed", tries_allowed=1, decided_at=timezone.now()
        )

    def people():
        set_batch_audience(actor=max_, batch=batch, people=["ruth"])
        return lambda: set_batch_audience(actor=max_, batch=batch, people=["ada", "ruth"])

    def tagged(kind):
        ruths = Membership.objects.get(project=project, user=ruth)
        set_member_work(actor=max_, project=project, membership=ruths, **{kind: ["experts"]})
        set_batch_audience(actor=max_, batch=batch, **{kind: ["experts"]})
        return lambda: set_member_work(actor=max_, project=project, membership=member, **{kind: ["experts"]})

    def opt_out():
        set_content_warnings(actor=max_, batch=batch, names=["violence"])
        set_opt_outs(actor=ada, project=project, names=["violence"])
        return lambda: set_opt_outs(actor=ada, project=project, names=[])

    def guideline():
        new = publish_to_acknowledge(actor=max_, project=project, text="Be kind.", must_acknowledge=True)
        return lambda: acknowledge_guideline(actor=ada, project=project, version=new.version)

    return {
        "people": people,
        "group": lambda: tagged("groups"),
        "skill": lambda: tagged("skills"),
        "opt_out": opt_out,
        "training": lambda: training(True),
        "training of the batch": lambda: training(False),
        "guideline": guideline,
    }


GATES = {
    "people": (BatchNotOpen, "for other people"),
    "group": (BatchNotOpen, "for other people"),
    "skill": (BatchNotOpen, "for other people"),
    "opt_out": (BatchNotOpen, "do not want to see"),
    "training": (BatchNotOpen, "passed its training"),
    "training of the batch": (BatchNotOpen, "passed its training"),
    "guideline": (AcknowledgementNeeded, "read it and confirm it"),
}


def listed(person, project):
    return [row["live"].batch.name for row in open_batches_for(person, project)[0]]


@pytest.mark.parametrize("gate", GATES)
def test_who_may_not_work_on_the_batch_neither_starts_nor_sends(gate, closes_to, live, ada, project):
    error, said = GATES[gate]
    opens = closes_to[gate]()
    assert listed(ada, project) == []
    with pytest.raises(error, match=said):
        start_conversation(actor=ada, live=live)
    assert not Conversation.objects.exists()
    opens()
    assert listed(ada, project) == ["Talk"]
    assert start_conversation(actor=ada, live=live).annotator == ada


@pytest.mark.parametrize("gate", GATES)
def test_an_open_turn_is_judged_and_the_next_message_refused(
    gate, closes_to, talk, ada, project, writer, judged_turn
):
    error, said = GATES[gate]
    send_message(actor=ada, conversation=talk, text="Hello", number=1)
    opens = closes_to[gate]()
    assert listed(ada, project) == ["Talk"]
    assert send_message(actor=ada, conversation=talk, text="Hello", number=1) == last_turn(talk)
    for side in ("old", "new"):
        writer.lay_down(side, "done", "Rice.")
    advance(actor=ada, conversation=talk)
    judged_turn.judge(talk)
    assert last_turn(talk).outcome == "judged" and listed(ada, project) == []
    with pytest.raises(error, match=said):
        send_message(actor=ada, conversation=talk, text="And then?", number=2)
    assert talk.turns.count() == 1
    opens()
    assert send_message(actor=ada, conversation=talk, text="And then?", number=2).number == 2


def test_a_persons_share_of_the_batch_ends_their_conversations(talk, live, ada, max_, project, judged_turn):
    set_batch_audience(actor=max_, batch=live.batch, person_quota=1)
    judged_turn(talk)
    with pytest.raises(BatchNotOpen, match="as one person may"):
        send_message(actor=ada, conversation=talk, text="And then?", number=2)
    end_conversation(actor=ada, conversation=talk)
    with pytest.raises(BatchNotOpen, match="as one person may"):
        start_conversation(actor=ada, live=live)
    assert listed(ada, project) == []
    set_batch_audience(actor=max_, batch=live.batch, person_quota=2)
    assert listed(ada, project) == ["Talk"]
    start_conversation(actor=ada, live=live)


def test_a_days_limit_counts_turns_and_what_is_held(
    talk, live, ada, ruth, max_, project, client, judged_turn
):
    set_daily_limit(actor=max_, project=project, daily_limit=1)
    judged_turn(talk)
    with pytest.raises(DailyLimitReached, match="You have done today's one task"):
        send_message(actor=ada, conversation=talk, text="And then?", number=2)
    end_conversation(actor=ada, conversation=talk)
    with pytest.raises(DailyLimitReached):
        start_conversation(actor=ada, live=live)
    client.force_login(ada)
    page = client.get(reverse("annotation:conversations", kwargs={"slug": project.slug})).content.decode()
    assert "You have done today&#x27;s one task" in page and "Begin a conversation" not in page
    start_conversation(actor=ruth, live=live)


def test_no_page_and_no_refusal_says_the_name_of_the_batch(
    talk, live, ada, ruth, max_, project, client, criterion
):
    live.batch.name = "old against new"
    live.batch.save(update_fields=["name"])
    client.force_login(ada)
    start = reverse("annotation:start_conversation", kwargs={"slug": project.slug, "pk": live.batch_id})
    addresses = [
        reverse("annotation:conversations", kwargs={"slug": project.slug}),
        reverse("annotation:conversation", kwargs={"slug": project.slug, "public_id": talk.public_id}),
    ]
    for address in addresses:
        page = client.get(address).content.decode()
        assert "old against new" not in page and batch_words(live.batch) in page
    close_batch(actor=max_, batch=live.batch)
    client.force_login(ruth)
    page = client.post(start, follow=True).content.decode()
    assert "its conversations have ended" in page and "old against new" not in page


def test_the_first_page_leads_to_conversations_who_may_have_them(live, closes_to, ada, project, client):
    client.force_login(ada)
    address = reverse("annotation:overview", kwargs={"slug": project.slug})
    assert "Conversations with two models" in client.get(address).content.decode()
    closes_to["people"]()
    assert "Conversations with two models" not in client.get(address).content.decode()
