"""The annotator's side of a live conversation: start, write, get answers, go on with the judged one, end.

The answers are written elsewhere (generation.py). Whoever looks at an open turn moves it on: what is finished is
stored, and when both answers are there the turn becomes a task that is the person's own, judged like any other. A
browser that goes away stops nothing that the next look does not take up again.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from annotation.batches.actions import NewTask, add_tasks
from annotation.batches.naming import batch_words
from annotation.batches.progress import batch_progress
from annotation.content.actions import NewResponse, add_prompts, add_responses
from annotation.conversation.generation import AnswerProgress, AnswerRequest, generator
from annotation.conversation.places import require_place
from annotation.errors import ConversationChanged, ConversationRefused, InvalidText
from annotation.models import (
    Assignment,
    Batch,
    Conversation,
    ConversationTurn,
    CurrentJudgment,
    LiveBatch,
    Prompt,
    Response,
    Task,
    TurnAnswer,
)
from annotation.queue.offers import offered_batches
from annotation.queue.search import current_versions, lock_member
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import Project, User

Outcome = ConversationTurn.Outcome
State = TurnAnswer.State


@dataclass(frozen=True)
class SeenTurn:
    """The last turn as it is now, with what is written of its answers so far, by side."""

    turn: ConversationTurn
    progress: dict[int, AnswerProgress]


@write_transaction
def start_conversation(*, actor: User, live: LiveBatch) -> Conversation:
    """The actor's open conversation of the batch, or a new one.

    Raises BatchNotOpen, MemberPaused, NotAMember, DailyLimitReached, AcknowledgementNeeded.
    """
    project = live.batch.project
    lock_member(actor, project, takes_task=True)
    if found := Conversation.objects.filter(live=live, annotator=actor, ended_at__isnull=True).first():
        return found
    require_place(actor, live)
    conversation = Conversation.objects.create(live=live, annotator=actor)
    record_audit(actor=actor, action="conversation.start", project=project, target=conversation)
    return conversation


@write_transaction
def send_message(*, actor: User, conversation: Conversation, text: str, number: int) -> ConversationTurn:
    """The person's message as turn `number`. The same again is the turn that is there.

    Raises InvalidText, BatchNotOpen, MemberPaused, DailyLimitReached, AcknowledgementNeeded, ConversationRefused for a
    conversation that is over, and ConversationChanged when it went on in another window.
    """
    live = conversation.live
    text = clean_text(text, "Your message").strip()
    if len(text) > live.max_message_characters:
        raise InvalidText(
            gettext("Your message has %(n)s characters; at most %(most)s are accepted.")
            % {"n": f"{len(text):,}", "most": f"{live.max_message_characters:,}"}
        )
    lock_member(actor, live.batch.project, takes_task=True)
    conversation = Conversation.objects.select_for_update(no_key=True).get(
        pk=conversation.pk, annotator=actor
    )
    turns = list(conversation.turns.order_by("number"))
    if 1 <= number <= len(turns) and turns[number - 1].message == text:
        return turns[number - 1]
    if number != len(turns) + 1 or (turns and turns[-1].outcome == Outcome.OPEN):
        raise ConversationChanged(
            gettext(
                "The conversation went on in another window: look at it before you go on. Your message is kept."
            )
        )
    if conversation.ended_at is not None:
        raise ConversationRefused(gettext("The conversation has ended: begin another one."))
    if len(turns) >= live.max_turns:
        raise ConversationRefused(
            gettext("A conversation has at most %(n)d turns: begin another one.") % {"n": live.max_turns}
        )
    require_place(actor, live)
    turn = ConversationTurn.objects.create(
        conversation=conversation, number=number, message=text, shown_first=secrets.randbelow(2)
    )
    TurnAnswer.objects.bulk_create(
        TurnAnswer(
            turn=turn, side=side, source=source, temperature=temperature, seed=str(secrets.randbits(62))
        )
        for side, (source, temperature) in enumerate(live.sides)
    )
    record_audit(
        actor=actor,
        action="conversation.message",
        project=live.batch.project,
        target=conversation,
        turn=number,
    )
    return turn


def last_turn(conversation: Conversation) -> ConversationTurn | None:
    return conversation.turns.select_related("task", "chosen").order_by("-number").first()


def advance(*, actor: User, conversation: Conversation) -> SeenTurn | None:
    """Move the last turn on by what has happened since, and say how it stands; None before the first message."""
    turn = last_turn(conversation)
    if turn is None:
        return None
    progress: dict[int, AnswerProgress] = {}
    if turn.outcome == Outcome.OPEN and turn.task_id is None and _goes_on(conversation):
        messages = messages_before(conversation, turn)
        for answer in turn.answers.select_related("source"):
            # Outside of a transaction: the model's server may take a moment.
            progress[answer.side] = _advance_answer(actor, conversation, answer, messages)
        if all(found.state == "done" for found in progress.values()):
            _make_task(actor=actor, conversation=conversation, turn=turn)
    elif turn.outcome == Outcome.OPEN and turn.task_id is not None:
        _settle(actor=actor, turn=turn)
    return SeenTurn(last_turn(conversation) or turn, progress)


def _goes_on(conversation: Conversation) -> bool:
    """Asked again: it may have been ended in another window."""
    return Conversation.objects.filter(pk=conversation.pk, ended_at__isnull=True).exists()


def messages_before(conversation: Conversation, turn: ConversationTurn) -> list[dict[str, str]]:
    """The prompt of a turn: the system prompt, what was said and chosen so far, and its message."""
    live = conversation.live
    messages = [{"role": "system", "content": live.system_prompt}] if live.system_prompt else []
    for earlier in conversation.turns.filter(number__lt=turn.number).select_related("chosen"):
        assert earlier.chosen is not None
        messages.append({"role": "user", "content": earlier.message})
        messages.append({"role": "assistant", "content": earlier.chosen.text})
    return [*messages, {"role": "user", "content": turn.message}]


def answer_request(
    conversation: Conversation, answer: TurnAnswer, messages: list[dict[str, str]]
) -> AnswerRequest:
    live = conversation.live
    return AnswerRequest(
        id=f"{conversation.public_id.hex}-{answer.request_id}",
        source=answer.source,
        messages=messages,
        seed=answer.seed,
        max_tokens=live.max_response_tokens,
        temperature=answer.temperature,
        top_p=live.top_p,
    )


def _advance_answer(
    actor: User, conversation: Conversation, answer: TurnAnswer, messages: list[dict[str, str]]
) -> AnswerProgress:
    if answer.state == State.DONE:
        return AnswerProgress(state="done", text=answer.text)
    if answer.state == State.FAILED:
        return AnswerProgress(state="failed", message=answer.error)
    found = generator().advance(actor, answer_request(conversation, answer, messages))
    own = TurnAnswer.objects.filter(pk=answer.pk, state=State.WRITING, attempt=answer.attempt)
    if found.state == "done":
        own.update(
            state=State.DONE,
            text=found.text,
            token_ids=list(found.token_ids),
            logprobs=list(found.logprobs),
            ended=found.ended,
            max_tokens=found.max_tokens,
            prompt_cut=found.prompt_cut,
        )
    elif found.state == "failed":
        own.update(state=State.FAILED, error=found.message[:1000])
    return found


@write_transaction
def _make_task(*, actor: User, conversation: Conversation, turn: ConversationTurn) -> None:
    """Both answers are there: a task for this person alone, leased to them."""
    live = conversation.live
    project = live.batch.project
    now = lock_member(actor, project)
    turn = ConversationTurn.objects.select_for_update(no_key=True).get(pk=turn.pk)
    answers = list(turn.answers.select_related("source"))
    if turn.task_id is not None or any(answer.state != State.DONE for answer in answers):
        return
    prompt, responses = _store(actor, conversation, turn, answers)
    [task] = add_tasks(
        actor=actor, batch=live.batch, tasks=[NewTask(prompt=prompt, responses=responses, reserved_for=actor)]
    )
    Task.objects.filter(pk=task.pk).update(open_slots=0)
    first = responses[turn.shown_first]
    Assignment.objects.create(
        task=task,
        annotator=actor,
        leased_until=now + timedelta(minutes=project.lease_minutes),
        shuffle_seed=0,
        order_shown=[first.pk, *(response.pk for response in responses if response.pk != first.pk)],
        **current_versions(project),
    )
    ConversationTurn.objects.filter(pk=turn.pk).update(task=task)


def _store(
    actor: User, conversation: Conversation, turn: ConversationTurn, answers: list[TurnAnswer]
) -> tuple[Prompt, list[Response]]:
    live = conversation.live
    project = live.batch.project
    [prompt] = add_prompts(
        actor=actor,
        project=project,
        rows=[{"messages": messages_before(conversation, turn), "author": actor}],
    )
    responses = add_responses(
        actor=actor,
        project=project,
        rows=[
            NewResponse(
                prompt=prompt,
                source=answer.source,
                text=answer.text,
                sampling={
                    "temperature": answer.temperature,
                    "top_p": live.top_p,
                    "top_k": 0,
                    "max_tokens": answer.max_tokens or live.max_response_tokens,
                    "repetition_penalty": 1.0,
                    "seed": int(answer.seed),
                },
                token_ids=answer.token_ids,
                logprobs=answer.logprobs,
                ended=answer.ended,
            )
            for answer in answers
        ],
    )
    for answer, response in zip(answers, responses, strict=True):
        TurnAnswer.objects.filter(pk=answer.pk).update(response=response)
    return prompt, responses


@write_transaction
def _settle(*, actor: User, turn: ConversationTurn) -> None:
    """The conversation goes on with what was judged better: after a tie, or where the person could not judge or took
    the judgment back, with one that is drawn. A judgment that is changed later changes nothing of what was said since.
    """
    turn = ConversationTurn.objects.select_for_update(no_key=True).get(pk=turn.pk)
    if turn.outcome != Outcome.OPEN or turn.task_id is None:
        return
    responses = [answer.response_id for answer in turn.answers.all()]
    current = (
        CurrentJudgment.objects.filter(task=turn.task_id, annotator=actor).select_related("judgment").first()
    )
    if current is not None and current.judgment.withdrawn:
        best, outcome = responses, Outcome.SKIPPED
    elif current is not None:
        best, outcome = current.judgment.tiers[0], Outcome.JUDGED
    elif Assignment.objects.filter(
        task=turn.task_id, annotator=actor, state=Assignment.State.SKIPPED
    ).exists():
        best, outcome = responses, Outcome.SKIPPED
    else:
        return
    ConversationTurn.objects.filter(pk=turn.pk).update(
        chosen=secrets.choice(best), chosen_at_random=len(best) > 1, outcome=outcome
    )


@transaction.atomic
def ask_again(*, actor: User, conversation: Conversation) -> None:
    """Have the answers that could not be written asked for once more, with another seed. Raises ConversationRefused."""
    turn = _lock_open_turn(actor, conversation)
    failed = list(turn.answers.filter(state=State.FAILED))
    for answer in failed:
        answer.state, answer.error = State.WRITING, ""
        answer.attempt += 1
        answer.seed = str(secrets.randbits(62))
        answer.save(update_fields=["state", "error", "attempt", "seed"])
    if failed:
        record_audit(
            actor=actor,
            action="conversation.ask_again",
            project=conversation.live.batch.project,
            target=conversation,
            turn=turn.number,
        )


@write_transaction
def go_on_with_one(*, actor: User, conversation: Conversation) -> None:
    """One answer could not be written: go on with the other; nothing is judged. Raises ConversationRefused."""
    turn = _lock_open_turn(actor, conversation)
    answers = list(turn.answers.select_related("source"))
    done = [answer for answer in answers if answer.state == State.DONE]
    if len(done) != 1 or not any(answer.state == State.FAILED for answer in answers):
        raise ConversationRefused(gettext("There are not one answer and one that failed."))
    _, [response] = _store(actor, conversation, turn, done)
    ConversationTurn.objects.filter(pk=turn.pk).update(outcome=Outcome.ONE_ANSWER, chosen=response)
    record_audit(
        actor=actor,
        action="conversation.one_answer",
        project=conversation.live.batch.project,
        target=conversation,
        turn=turn.number,
    )


def _lock_open_turn(actor: User, conversation: Conversation) -> ConversationTurn:
    turn = (
        ConversationTurn.objects.select_for_update(no_key=True, of=("self",))
        .filter(conversation=conversation, conversation__annotator=actor)
        .order_by("-number")
        .first()
    )
    if turn is None or turn.outcome != Outcome.OPEN or turn.task_id is not None:
        raise ConversationRefused(gettext("No answer is being waited for."))
    return turn


@transaction.atomic
def end_conversation(*, actor: User, conversation: Conversation) -> None:
    """Over, whatever is being written. Answers that wait for their judgment can still be judged. Twice is once."""
    changed = Conversation.objects.filter(pk=conversation.pk, annotator=actor, ended_at__isnull=True).update(
        ended_at=Now()
    )
    if not changed:
        return
    record_audit(
        actor=actor,
        action="conversation.end",
        project=conversation.live.batch.project,
        target=conversation,
    )
    turn = last_turn(conversation)
    if turn is not None and turn.outcome == Outcome.OPEN and turn.task_id is None:
        messages = messages_before(conversation, turn)
        requests = [
            answer_request(conversation, answer, messages)
            for answer in turn.answers.filter(state=State.WRITING).select_related("source")
        ]
        for request in requests:
            transaction.on_commit(partial(generator().cancel, request))


def open_batches_for(actor: User, project: Project) -> tuple[list[dict[str, Any]], str]:
    """The live batches in which the actor can talk, with their own open conversation and how many they have had; and
    what keeps them from all new work at present. A turn that is open can be finished all the same.
    """
    batches = LiveBatch.objects.filter(batch__in=Batch.objects.open_to_annotators(project))
    found = list(batches.select_related("batch__criterion").order_by("-batch__priority", "pk"))
    if not found:
        return [], ""
    offered, refused = offered_batches(actor, project)
    rows = []
    for live in found:
        own = Conversation.objects.filter(live=live, annotator=actor)
        current = own.filter(ended_at__isnull=True).first()
        is_offered = refused is None and live.batch_id in offered
        if not is_offered and not (current and current.turns.filter(outcome=Outcome.OPEN).exists()):
            continue
        if current is None and batch_progress(live.batch).quota_met:
            continue
        had = own.exclude(ended_at=None).count()
        rows.append({"live": live, "words": batch_words(live.batch), "current": current, "had": had})
    is_kept = refused and any(live.batch_id in offered for live in found)
    return rows, refused.message if refused and is_kept else ""
