"""Whole conversations compared: which come together, what the task holds, and what datasets and exports make of it."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.http import Http404
from django.urls import reverse

from annotation.access import access_assignment, access_assignment_to_judge
from annotation.adjudication.actions import decide_task
from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.conversation.actions import (
    advance,
    end_conversation,
    last_turn,
    send_message,
    start_conversation,
)
from annotation.conversation.comparing import (
    ComparedConversations,
    find_conversations,
    make_batch_from_conversations,
)
from annotation.datasets.actions import freeze_dataset
from annotation.errors import InvalidBatch, InvalidDecision
from annotation.exporting.actions import export_preferences
from annotation.importing.actions import import_comparisons
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, Batch, Response
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from annotation.queue.search import read_annotator_counts

pytestmark = [pytest.mark.db, pytest.mark.django_db]
RICE = "What can I cook with rice?"


@pytest.fixture
def lead(live, writer):
    """A conversation of these messages, led to its end; every answer says whose it is and to what."""

    def lead(person, *messages, better="old", ends=True):
        talk = start_conversation(actor=person, live=live)
        for number, text in enumerate(messages, start=1):
            send_message(actor=person, conversation=talk, text=text, number=number)
            for policy in ("old", "new"):
                writer.lay_down(policy, "done", f"{person.username}: {policy} {number}.")
            advance(actor=person, conversation=talk)
            assignment = Assignment.objects.get(task=last_turn(talk).task, annotator=person)
            first = Response.objects.get(pk=assignment.order_shown[0]).source.name
            tiers = [["A"], ["B"]] if first == better else [["B"], ["A"]]
            submit_judgment(
                actor=person, assignment=assignment, content=JudgmentInput(tiers=tiers, strengths=[1]),
                idempotency_key=f"turn-{assignment.pk}-0123456789",
            )  # fmt: skip
            advance(actor=person, conversation=talk)
        if ends:
            end_conversation(actor=person, conversation=talk)
        return talk

    return lead


def turns(*texts):
    roles = ["assistant", "user"] * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


@pytest.fixture
def both(lead, ada, ruth):
    """Two that begin alike, led on in different words and with different policies."""
    return lead(ada, RICE, "Without salt?"), lead(ruth, RICE, "And then?", "Thanks", better="new")


@pytest.fixture
def batch(both, project, criterion, max_):
    return make_batch_from_conversations(
        actor=max_, chosen=ComparedConversations(project=project), criterion=criterion, name="Whole"
    )


def test_two_that_begin_alike_are_one_task_from_the_first_answer_to_the_last(batch, both):
    task = batch.tasks.get()
    assert (batch.state, batch.kind) == ("draft", "pairwise")
    assert task.prompt.messages == [{"role": "user", "content": RICE}]
    first, second = (row.response for row in task.task_responses.all())
    assert first.turns == turns("ada: old 1.", "Without salt?", "ada: old 2.")
    assert second.turns == turns("ruth: new 1.", "And then?", "ruth: new 2.", "Thanks", "ruth: new 3.")
    assert (first.source.name, second.source.name) == ("old", "new")
    assert [row.external_id for row in (first, second)] == [
        f"conversation-{talk.public_id.hex}" for talk in both
    ]
    assert first.ended is True


def test_who_stands_alone_is_short_or_still_open_or_compared_already_is_left_out(
    both, batch, lead, project, criterion, ada, ruth, max_
):
    lead(ada, "Something else", "And?")
    lead(ruth, RICE)
    lead(max_, RICE, "More?", ends=False)
    found = find_conversations(ComparedConversations(project=project), criterion)
    assert (found.tasks, found.alone, found.compared) == ([], 1, 2)
    with pytest.raises(
        InvalidBatch, match="1 conversations begin like no other, or are the same. 2 are compared"
    ):
        make_batch_from_conversations(
            actor=max_, chosen=ComparedConversations(project=project), criterion=criterion, name="Again"
        )
    again = ComparedConversations(project=project, skip_compared=False, least_turns=1, most=3)
    (three,) = find_conversations(again, criterion).tasks
    assert [one.conversation.annotator.username for one in three] == ["ada", "ruth", "ruth"]
    batch = make_batch_from_conversations(actor=max_, chosen=again, criterion=criterion, name="Three")
    assert batch.kind == "ranking" and batch.tasks.get().task_responses.count() == 3


def test_who_led_one_is_not_asked_to_compare_it(batch, project, ada, ruth, max_):
    task = open_batch(actor=max_, batch=batch).tasks.get()
    for writer in (ada, ruth):
        assert read_annotator_counts(writer, project).remaining == 0
        assert claim_task(actor=writer, project=project) is None
        own = Assignment.objects.get(task=task, annotator=writer)
        assert own.state == "own"
        # Whoever guessed its address would be told nothing either.
        with pytest.raises(Http404):
            access_assignment(writer, project, own.public_id)
        with pytest.raises(Http404):
            access_assignment_to_judge(writer, project, own.public_id)
    assert read_annotator_counts(max_, project).remaining == 1
    claimed = claim_task(actor=max_, project=project)
    assert claimed.task == task
    submit_judgment(
        actor=max_, assignment=claimed, idempotency_key="m" * 16,
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
    )  # fmt: skip
    assert find_counter_drift(project) == []
    keys = claimed.order_shown
    with pytest.raises(InvalidDecision, match="You led one of these"):
        decide_task(
            actor=ruth, task=task, order_shown=keys, tiers=[keys[:1], keys[1:]], strengths=[1], kind="slip"
        )


def test_nor_in_a_batch_that_is_made_of_its_answers_later(
    batch, project, criterion, ada, max_, make_annotators
):
    shown = [row.response for row in batch.tasks.get().task_responses.all()]
    later = create_batch(actor=max_, project=project, criterion=criterion, name="Later", overlap=2)
    add_tasks(actor=max_, batch=later, tasks=[NewTask(prompt=shown[0].prompt, responses=shown)])
    open_batch(actor=max_, batch=later)
    assert claim_task(actor=ada, project=project) is None
    (cleo,) = make_annotators(1)
    assert claim_task(actor=cleo, project=project) is not None


def test_one_led_by_both_policies_is_by_both_and_a_message_nobody_answered_is_no_part_of_it(
    lead, live, project, criterion, ada, ruth, writer
):
    lead(ada, RICE, "And?")
    talk = lead(ruth, RICE, ends=False)
    send_message(actor=ruth, conversation=talk, text="Noodles?", number=2)
    for policy in ("old", "new"):
        writer.lay_down(policy, "done", f"{policy} again")
    advance(actor=ruth, conversation=talk)
    assignment = Assignment.objects.get(task=last_turn(talk).task, annotator=ruth)
    newer = Response.objects.get(pk=assignment.order_shown[0]).source.name == "new"
    submit_judgment(
        actor=ruth, assignment=assignment, idempotency_key="k" * 16,
        content=JudgmentInput(tiers=[["A"], ["B"]] if newer else [["B"], ["A"]], strengths=[1]),
    )  # fmt: skip
    advance(actor=ruth, conversation=talk)
    send_message(actor=ruth, conversation=talk, text="Nobody answers this", number=3)
    end_conversation(actor=ruth, conversation=talk)
    batch = make_batch_from_conversations(
        actor=ruth,
        chosen=ComparedConversations(project=project, live=[live]),
        criterion=criterion,
        name="Whole",
    )
    _, second = (row.response for row in batch.tasks.get().task_responses.all())
    assert second.turns == turns("ruth: old 1.", "Noodles?", "new again")
    assert (second.source.kind, second.source.name) == ("policy", "new + old")


def test_what_is_judged_goes_out_whole_and_comes_in_again_as_it_was(
    batch, project, criterion, max_, tmp_path
):
    open_batch(actor=max_, batch=batch)
    assignment = claim_task(actor=max_, project=project)
    first = Response.objects.get(pk=assignment.order_shown[0]).source.name
    submit_judgment(
        actor=max_, assignment=assignment, idempotency_key="k" * 16,
        content=JudgmentInput(tiers=[["A"], ["B"]] if first == "new" else [["B"], ["A"]], strengths=[3]),
    )  # fmt: skip
    dataset = freeze_dataset(actor=max_, project=project, criterion=criterion, batches=[batch])
    chosen = turns("ruth: new 1.", "And then?", "ruth: new 2.", "Thanks", "ruth: new 3.")
    rejected = turns("ada: old 1.", "Without salt?", "ada: old 2.")
    for name in ("trl", "hh", "records"):
        export_preferences(actor=max_, dataset=dataset, out=tmp_path / name, format=name, files="jsonl")
        (path,) = (tmp_path / name).rglob("*.jsonl")
        (row,) = [json.loads(line) for line in path.read_text().splitlines()]
        if name == "trl":
            assert [
                [(turn["role"], turn["content"]) for turn in row[side]] for side in ("chosen", "rejected")
            ] == [[(turn["role"], turn["content"]) for turn in side] for side in (chosen, rejected)]
        if name == "hh":
            assert row["chosen"] == (
                f"\n\nHuman: {RICE}\n\nAssistant: ruth: new 1.\n\nHuman: And then?\n\nAssistant: ruth: new 2."
                "\n\nHuman: Thanks\n\nAssistant: ruth: new 3."
            )
        back, _ = import_comparisons(actor=max_, project=project, path=path, format=name, again=True)
        shown = {
            row.response.answer[-1]["content"]: row.response.answer
            for row in back.tasks.get().task_responses.all()
        }
        assert shown == {"ruth: new 3.": chosen, "ada: old 2.": rejected}


def test_by_page_a_manager_sees_what_there_would_be_and_makes_it(
    both, live, project, criterion, client, max_
):
    client.force_login(max_)
    address = reverse("annotation:compare_conversations", args=[project.slug, live.batch_id])
    fields = {"criterion": criterion.pk, "most": 2, "least_turns": 2, "skip_compared": "on"}
    assert (
        "<strong>1</strong> task of 2 conversations."
        in client.get(address, fields | {"part": "preview"}).content.decode()
    )
    assert client.post(address, fields | {"name": "Whole", "least_turns": 3}).status_code == 422
    assert client.post(address, fields | {"name": "Whole", "open_at_once": "on"}).status_code == 302
    assert Batch.objects.get(name="Whole").state == "open"
    assert "2 are compared already" in client.get(address, fields | {"part": "preview"}).content.decode()
    assert "begin like no other" in client.post(address, fields | {"name": "More"}).content.decode()


def test_by_command(both, live, project, max_):
    out = StringIO()
    call_command(
        "compare_conversations",
        project.slug,
        "Whole",
        batch=["Talk"],
        open=True,
        actor=max_.username,
        stdout=out,
    )
    assert out.getvalue() == "The batch “Whole” has 1 tasks; it is open.\n"
