"""Whole conversations that were led live, compared with each other: tasks whose answers are how each of them went on.

Comparable are those that begin alike, with the same system prompt and first message: that is the prompt. What follows,
the first answer that was gone on with to the last, is one response of several turns, known by its conversation.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q
from django.utils.translation import gettext

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.errors import InvalidBatch
from annotation.models import Batch, Conversation, ConversationTurn, LiveBatch, Source, TaskResponse
from learning.interface.messages import Messages, answer_key, messages_key, to_answer
from workspace.access import require_of_project
from workspace.models import Criterion, Project, User

MAX_ANSWERS = 9
MAX_CONVERSATIONS = 2_000  # of one batch: their texts are in memory at once
KEYS_PER_QUERY = 500
MAX_SOURCE_NAME = 120


@dataclass(frozen=True, kw_only=True)
class ComparedConversations:
    """Which conversations: those that are over, of these live batches (none named: of all), with at least so many
    turns; at most `most` a task. `skip_compared` leaves out those that a batch of the criterion compares already.
    """

    project: Project
    live: Collection[LiveBatch] = ()
    most: int = 2
    least_turns: int = 2
    skip_compared: bool = True


@dataclass(frozen=True, kw_only=True)
class Led:
    """A conversation that is over."""

    conversation: Conversation
    prompt: Messages
    turns: Messages  # after the prompt
    policies: Sequence[Source]  # who wrote its answers, each once
    ended: bool | None  # whether the last answer came to its end

    @property
    def response_id(self) -> str:
        return self.conversation.response_id


@dataclass(kw_only=True)
class Found:
    tasks: list[list[Led]]
    conversations: int = 0  # that are in the tasks
    alone: int = 0  # that no other one begins like, or says anything else than
    compared: int = 0  # left out because they are compared already
    has_more: bool = False  # conversations that were not looked at


def find_conversations(chosen: ComparedConversations, criterion: Criterion) -> Found:
    """The tasks there would be. Conversations of one beginning come in their order, each in one task."""
    found = Found(tasks=[])
    led = list(_over(chosen, found))
    if chosen.skip_compared:
        compared = _compared(criterion, [one.response_id for one in led])
        found.compared = len(compared)
        led = [one for one in led if one.response_id not in compared]
    by_beginning: dict[str, dict[str, Led]] = {}
    for one in led:
        alike = by_beginning.setdefault(messages_key(one.prompt), {})
        alike.setdefault(answer_key(to_answer(one.turns)), one)
    for different in by_beginning.values():
        rows = list(different.values())
        for start in range(0, len(rows), chosen.most):
            if len(shown := rows[start : start + chosen.most]) > 1:
                found.tasks.append(shown)
    found.conversations = sum(map(len, found.tasks))
    found.alone = len(led) - found.conversations
    return found


def nothing_found(found: Found) -> str:
    if not (found.alone or found.compared):
        return "There is nothing to compare: no conversation that is over has so many turns."
    compared = f" {found.compared} are compared already." if found.compared else ""
    return f"There is nothing to compare: {found.alone} conversations begin like no other, or are the same.{compared}"


@transaction.atomic
def make_batch_from_conversations(
    *,
    actor: User,
    chosen: ComparedConversations,
    criterion: Criterion,
    name: str,
    overlap: int | None = None,
    priority: int = 0,
    open_at_once: bool = False,
) -> Batch:
    """A draft batch that compares them whole. Raises InvalidBatch."""
    project = chosen.project
    require_of_project(project, criterion, *(live.batch for live in chosen.live), error=InvalidBatch)
    if not 2 <= chosen.most <= MAX_ANSWERS:
        sentence = f"A task compares 2 to {MAX_ANSWERS} conversations."
        raise InvalidBatch(
            sentence, fields={"most": gettext("2 to %(max_answers)s") % {"max_answers": MAX_ANSWERS}}
        )
    if chosen.least_turns < 1:
        raise InvalidBatch(
            gettext("A conversation has at least one turn."), fields={"least_turns": gettext("At least 1")}
        )
    # Two that leave out what is compared already, at once, would both compare the same: the second waits for the first.
    criterion = Criterion.objects.select_for_update(no_key=True).get(pk=criterion.pk)
    found = find_conversations(chosen, criterion)
    if not found.tasks:
        raise InvalidBatch(nothing_found(found), code="no_conversations")
    batch = create_batch(
        actor=actor,
        project=project,
        criterion=criterion,
        name=name,
        responses_per_task=max(map(len, found.tasks)),
        overlap=overlap,
        priority=priority,
    )
    prompts = add_prompts(
        actor=actor,
        project=project,
        rows=[
            {"messages": shown[0].prompt, "author": shown[0].conversation.annotator} for shown in found.tasks
        ],
    )
    sources = _sources(actor, project, found.tasks)
    responses = iter(
        add_responses(
            actor=actor,
            project=project,
            rows=[
                NewResponse(
                    prompt=prompt,
                    source=sources[_source_name(one)],
                    text="",
                    turns=one.turns,
                    response_id=one.response_id,
                    ended=one.ended,
                )
                for prompt, shown in zip(prompts, found.tasks, strict=True)
                for one in shown
            ],
        )
    )
    tasks = [
        NewTask(prompt=prompt, responses=[next(responses) for _ in shown])
        for prompt, shown in zip(prompts, found.tasks, strict=True)
    ]
    add_tasks(actor=actor, batch=batch, tasks=tasks)
    batch.refresh_from_db()
    return open_batch(actor=actor, batch=batch) if open_at_once else batch


def _over(chosen: ComparedConversations, found: Found) -> Iterator[Led]:
    """Ended by their writer, at their last turn, or with their batch. A message that nothing was answered to is none of
    it.
    """
    finished = Count("turns", filter=~Q(turns__outcome=ConversationTurn.Outcome.OPEN))
    rows = Conversation.objects.filter(live__batch__project=chosen.project).annotate(finished=finished)
    if chosen.live:
        rows = rows.filter(live__in=chosen.live)
    is_over = (
        Q(ended_at__isnull=False)
        | Q(live__batch__state=Batch.State.CLOSED)
        | Q(finished__gte=F("live__max_turns"))
    )
    rows = rows.filter(is_over, finished__gte=chosen.least_turns)
    rows = rows.select_related("live", "annotator").order_by("pk")
    kept = list(rows[: MAX_CONVERSATIONS + 1])
    found.has_more = len(kept) > MAX_CONVERSATIONS
    kept = kept[:MAX_CONVERSATIONS]
    for start in range(0, len(kept), KEYS_PER_QUERY):
        chunk = kept[start : start + KEYS_PER_QUERY]
        turns = ConversationTurn.objects.filter(conversation__in=chunk, chosen__isnull=False)
        turns = turns.select_related("chosen__source").order_by("conversation", "number")
        of = {key: list(own) for key, own in groupby(turns, key=lambda turn: turn.conversation_id)}
        for conversation in chunk:
            yield _led(conversation, of[conversation.pk])


def _led(conversation: Conversation, turns: Sequence[ConversationTurn]) -> Led:
    answers = [turn.chosen for turn in turns if turn.chosen is not None]
    system = conversation.live.system_prompt
    said: list[dict[str, Any]] = []
    for turn, answer in zip(turns, answers, strict=True):
        said.append({"role": "user", "content": turn.message})
        said.append({"role": "assistant", "content": answer.text})
    return Led(
        conversation=conversation,
        prompt=[*([{"role": "system", "content": system}] if system else []), said[0]],
        turns=said[1:],
        policies=list({answer.source_id: answer.source for answer in answers}.values()),
        ended=answers[-1].ended,
    )


def _compared(criterion: Criterion, response_ids: Sequence[str]) -> set[str]:
    """Those that are in a task of the criterion."""
    compared: set[str] = set()
    for start in range(0, len(response_ids), KEYS_PER_QUERY):
        shown = TaskResponse.objects.filter(
            task__batch__criterion=criterion,
            response__project=criterion.project_id,
            response__external_id__in=response_ids[start : start + KEYS_PER_QUERY],
        )
        compared.update(shown.values_list("response__external_id", flat=True))
    return compared


def _source_name(led: Led) -> str:
    """That of the policy that wrote all answers; of several, all their names."""
    names = sorted(source.name for source in led.policies)
    joined = " + ".join(names)
    return joined if len(joined) <= MAX_SOURCE_NAME else f"{joined[: MAX_SOURCE_NAME - 1]}…"


def _sources(actor: User, project: Project, tasks: Sequence[Sequence[Led]]) -> Mapping[str, Source]:
    names = sorted({_source_name(one) for shown in tasks for one in shown})
    return {
        name: get_or_create_source(actor=actor, project=project, kind=Source.Kind.POLICY, name=name)
        for name in names
    }
