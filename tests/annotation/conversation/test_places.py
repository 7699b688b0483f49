"""A live batch's quota and a person's day hold while several turns are open at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connections
from django.utils import timezone

from annotation.assigning.actions import set_daily_limit
from annotation.conversation.actions import advance, end_conversation, send_message, start_conversation
from annotation.errors import BatchNotOpen, DailyLimitReached
from annotation.models import Assignment, ConversationTurn
from annotation.queue.actions import claim_task
from tests.annotation.conversation.live import make_live_batch
from workspace.models import Membership, User

pytestmark = [pytest.mark.db]
PEOPLE = 6


@pytest.fixture
def short(project, max_, writer):
    """A live batch that asks for two turns."""
    return make_live_batch(project, max_, name="Short", quota=2).live


def write(person, live, number=1):
    conversation = start_conversation(actor=person, live=live)
    send_message(actor=person, conversation=conversation, text=f"Hello {number}", number=number)
    return conversation


@pytest.mark.django_db(transaction=True)
def test_people_who_write_at_the_same_moment_do_not_pass_the_quota(short, project):
    people = [User.objects.create_user(f"writer{number}") for number in range(PEOPLE)]
    for person in people:
        Membership.objects.create(project=project, user=person, role="annotator")
    talks = [start_conversation(actor=person, live=short) for person in people]
    together = Barrier(PEOPLE)

    def say(person, conversation):
        try:
            together.wait()
            send_message(actor=person, conversation=conversation, text="Hello", number=1)
        except BatchNotOpen as refused:
            return str(refused)
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(PEOPLE) as threads:
        said = list(threads.map(say, people, talks))
    assert said.count("") == ConversationTurn.objects.count() == 2
    assert all("Others are at work" in sentence for sentence in said if sentence)


@pytest.mark.django_db
def test_a_place_is_free_again_when_its_turn_is_given_up_or_lies_too_long(
    short, ada, ruth, max_, project, writer
):
    first, second = write(ada, short), write(ruth, short)
    with pytest.raises(BatchNotOpen, match="Others are at work"):
        write(max_, short)
    end_conversation(actor=ada, conversation=first)
    write(max_, short)
    with pytest.raises(BatchNotOpen, match="Others are at work"):
        write(ada, short)
    for side in ("old", "new"):
        writer.lay_down(side, "done", "Rice.")
    advance(actor=ruth, conversation=second)
    with pytest.raises(BatchNotOpen, match="Others are at work"):  # a task that is lent
        write(ada, short)
    Assignment.objects.filter(annotator=ruth).update(leased_until=timezone.now())
    third = write(ada, short)
    end_conversation(actor=ada, conversation=third)
    long_ago = timezone.now() - timedelta(minutes=project.lease_minutes + 1)
    ConversationTurn.objects.filter(conversation__annotator=max_).update(created_at=long_ago)
    Assignment.objects.filter(annotator=ruth).update(leased_until=timezone.now() + timedelta(minutes=5))
    write(ada, short)


@pytest.mark.django_db
def test_a_turn_that_is_being_written_counts_for_the_day_whatever_batch_it_is_of(
    talk, short, ada, max_, project
):
    set_daily_limit(actor=max_, project=project, daily_limit=1)
    send_message(actor=ada, conversation=talk, text="Hello", number=1)
    with pytest.raises(DailyLimitReached, match="done or open"):
        write(ada, short)
    end_conversation(actor=ada, conversation=talk)
    write(ada, short)


@pytest.mark.django_db
def test_a_turn_that_is_being_written_leaves_no_room_for_another_task_of_the_day(
    talk, ada, ruth, max_, project, make_batch, writer
):
    make_batch(tasks=3)
    set_daily_limit(actor=max_, project=project, daily_limit=2)
    send_message(actor=ada, conversation=talk, text="Hello", number=1)
    first = claim_task(actor=ada, project=project)
    with pytest.raises(DailyLimitReached, match="2 tasks are done or open"):
        claim_task(actor=ada, project=project, after=first)
    assert claim_task(actor=ruth, project=project) is not None
    for side in ("old", "new"):
        writer.lay_down(side, "done", "Rice.")
    advance(actor=ada, conversation=talk)
    # The turn is a task that is held now, and comes before anything new.
    assert claim_task(actor=ada, project=project, after=first).task == talk.turns.get().task
