"""Live conversations: opened, read and compared by managers; an annotator's own: begun, led, judged, ended.

Nothing is streamed: who leads a conversation asks for its state as long as something is being written, and asking moves
it on. The two answers of a turn are an assignment, judged as every other one.
"""

from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.api.batches import OneBatchSerializer
from annotation.api.conversation_fields import (
    BatchFromConversations,
    ConversationQuery,
    ConversationSerializer,
    LiveBatchQuery,
    LiveBatchSerializer,
    NewConversation,
    NewLiveBatch,
    OneConversationSerializer,
    OwnConversationQuery,
    OwnConversationRowSerializer,
    OwnConversationSerializer,
    SentMessage,
    ToTalkSerializer,
)
from annotation.conversation import actions
from annotation.conversation.access import access_conversation, access_live_batch
from annotation.conversation.batches import LivePlan, open_live_batch
from annotation.conversation.comparing import ComparedConversations, make_batch_from_conversations
from annotation.models import Assignment, Batch, Conversation, ConversationTurn, LiveBatch, Source
from workspace.api.base import ProjectApiView
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.roles import Capability

LABELS = ("A", "B")
OPEN = ConversationTurn.Outcome.OPEN


class LiveBatches(ProjectApiView):
    @operation(Capability.REVIEW, lists=LiveBatchSerializer, query=LiveBatchQuery)
    def get(self, request: Request) -> QuerySet[LiveBatch]:
        """The batches of live conversations."""
        return LiveBatch.objects.filter(batch__project=self.project, batch__visible=True).select_related(
            "batch__criterion", "first_source", "second_source"
        )

    @operation(Capability.MANAGE, body=NewLiveBatch, answers=LiveBatchSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> LiveBatch:
        """Open one: annotators find it at once."""
        first, second = data.pop("sides")
        criterion = find_criterion(self.project, data.pop("criterion", None))
        batch = open_live_batch(
            actor=self.actor,
            project=self.project,
            criterion=criterion,
            name=data.pop("name"),
            quota=data.pop("quota"),
            plan=LivePlan(
                first_source=self.source(first["policy"]),
                second_source=self.source(second["policy"]),
                first_temperature=first["temperature"],
                second_temperature=second["temperature"],
                **data,
            ),
        )
        return access_live_batch(self.project, batch.pk)

    def source(self, name: str) -> Source:
        found = self.project.sources.filter(name=name, kind=Source.Kind.POLICY).first()
        if found is None:
            raise ValidationError({"sides": [f"The project has no policy “{name}”."]})
        return found


class OneLiveBatch(ProjectApiView):
    @operation(Capability.REVIEW, answers=LiveBatchSerializer)
    def get(self, request: Request, pk: int) -> LiveBatch:
        """How the conversations of a batch are led."""
        return access_live_batch(self.project, pk)


class LiveConversations(ProjectApiView):
    @operation(Capability.REVIEW, lists=ConversationSerializer, query=ConversationQuery)
    def get(self, request: Request, pk: int) -> QuerySet[Conversation]:
        """The conversations of a batch."""
        ended = self.query.pop("ended", None)
        found = _counted(Conversation.objects.filter(live=access_live_batch(self.project, pk)))
        return found if ended is None else found.filter(ended_at__isnull=ended == "false")


class OneLiveConversation(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneConversationSerializer)
    def get(self, request: Request, pk: int, conversation_pk: int) -> dict[str, Any]:
        """One conversation, turn by turn, with both answers to each message."""
        live = access_live_batch(self.project, pk)
        found = _counted(Conversation.objects.filter(live=live, pk=conversation_pk)).first()
        if found is None:
            raise Http404("No such conversation.")
        turns = found.turns.prefetch_related("answers__source", "answers__response").order_by("number")
        is_manager = Capability.MANAGE in self.capabilities
        return {"conversation": found, "turns": [_read_turn(turn, is_manager) for turn in turns]}


def _counted(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    judged = Q(turns__outcome=ConversationTurn.Outcome.JUDGED)
    return rows.select_related("annotator").annotate(
        n_turns=Count("turns"), n_judged=Count("turns", filter=judged)
    )


def _read_turn(turn: ConversationTurn, is_manager: bool) -> dict[str, Any]:
    answers = sorted(turn.answers.all(), key=lambda answer: answer.side != turn.shown_first)
    return {
        "number": turn.number,
        "message": turn.message,
        "outcome": turn.outcome,
        "chosen_at_random": turn.chosen_at_random,
        "task": turn.task_id,
        "answers": [
            {
                "label": label,
                "state": answer.state,
                "text": answer.text,
                "error": answer.error,
                "chosen": turn.chosen_id is not None and turn.chosen_id == answer.response_id,
                "policy": answer.source.name if is_manager else None,
                "temperature": answer.temperature if is_manager else None,
                "response_id": answer.response.external_id if is_manager and answer.response else None,
            }
            for label, answer in zip(LABELS, answers, strict=True)
        ],
    }


class FromConversations(ProjectApiView):
    @operation(Capability.MANAGE, body=BatchFromConversations, answers=OneBatchSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Batch:
        """A batch that compares whole live conversations, of those that are over and begin with the same message."""
        return make_batch_from_conversations(
            actor=self.actor,
            chosen=ComparedConversations(
                project=self.project,
                live=[self.live(key) for key in data["live_batches"]],
                **{name: data[name] for name in ("most", "least_turns", "skip_compared")},
            ),
            criterion=find_criterion(self.project, data.get("criterion")),
            name=data["name"],
            overlap=data.get("overlap"),
            open_at_once=data["open"],
        )

    def live(self, key: int) -> LiveBatch:
        try:
            return access_live_batch(self.project, key)
        except Http404:
            raise ValidationError({"live_batches": [f"The project has no live batch {key}."]}) from None


class ToTalk(ProjectApiView):
    @operation(Capability.ANNOTATE, answers=ToTalkSerializer)
    def get(self, request: Request) -> dict[str, Any]:
        """The batches in which the caller can lead a conversation."""
        rows, refused = actions.open_batches_for(self.actor, self.project)
        return {
            "batches": [
                {
                    "batch": row["live"].batch_id,
                    "criterion": row["live"].batch.criterion.name,
                    "instruction": row["live"].instruction,
                    "openers": row["live"].openers,
                    "conversation": row["current"].public_id if row["current"] else None,
                    "had": row["had"],
                }
                for row in rows
            ],
            "refused": refused,
        }


class OwnConversations(ProjectApiView):
    @operation(Capability.ANNOTATE, lists=OwnConversationRowSerializer, query=OwnConversationQuery)
    def get(self, request: Request) -> QuerySet[Conversation]:
        """The caller's conversations."""
        return Conversation.objects.filter(
            annotator=self.actor, live__batch__project=self.project
        ).select_related("live")

    @operation(Capability.ANNOTATE, body=NewConversation, answers=OwnConversationSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Begin one; the caller's own of the batch that is not ended comes first."""
        live = access_live_batch(self.project, data["batch"])
        return _state(self, actions.start_conversation(actor=self.actor, live=live))


class _OwnView(ProjectApiView):
    def find(self, public_id: UUID) -> Conversation:
        return access_conversation(self.actor, self.project, public_id)

    def state(self, public_id: UUID) -> dict[str, Any]:
        return _state(self, self.find(public_id))


class OwnConversationState(_OwnView):
    @operation(Capability.ANNOTATE, answers=OwnConversationSerializer)
    def post(self, request: Request, public_id: UUID) -> dict[str, Any]:
        """How it stands. Asking moves it on: ask again while something is written, four times a second at most."""
        return self.state(public_id)


class SendMessage(_OwnView):
    @operation(Capability.ANNOTATE, body=SentMessage, answers=OwnConversationSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any], public_id: UUID) -> dict[str, Any]:
        """The caller's next message. The same again changes nothing."""
        actions.send_message(actor=self.actor, conversation=self.find(public_id), **data)
        return self.state(public_id)


class AskAnswersAgain(_OwnView):
    @operation(Capability.ANNOTATE, answers=OwnConversationSerializer)
    def post(self, request: Request, public_id: UUID) -> dict[str, Any]:
        """Have the answers that could not be written asked for once more."""
        actions.ask_again(actor=self.actor, conversation=self.find(public_id))
        return self.state(public_id)


class GoOnWithOne(_OwnView):
    @operation(Capability.ANNOTATE, answers=OwnConversationSerializer)
    def post(self, request: Request, public_id: UUID) -> dict[str, Any]:
        """Go on with the one answer that is there, where the other could not be written; nothing is judged."""
        actions.go_on_with_one(actor=self.actor, conversation=self.find(public_id))
        return self.state(public_id)


class EndConversation(_OwnView):
    @operation(Capability.ANNOTATE, answers=OwnConversationSerializer)
    def post(self, request: Request, public_id: UUID) -> dict[str, Any]:
        """End it. Answers that wait for their judgment can still be judged."""
        actions.end_conversation(actor=self.actor, conversation=self.find(public_id))
        return self.state(public_id)


def _state(view: ProjectApiView, found: Conversation) -> dict[str, Any]:
    """Blind: by labels, in the order shown. It moves on first."""
    live = found.live
    seen = actions.advance(actor=view.actor, conversation=found)
    turns = list(found.turns.select_related("chosen").order_by("number"))
    said = [
        {"message": turn.message, "answer": turn.chosen.text} for turn in turns if turn.chosen is not None
    ]
    is_open = seen is not None and seen.turn.outcome == OPEN
    return {
        "conversation": found.public_id,
        "batch": live.batch_id,
        "instruction": live.instruction,
        "turns": said,
        "open_turn": _open_turn(view, seen) if seen is not None and is_open else None,
        "ended": found.ended_at is not None,
        "may_write": found.ended_at is None and not is_open and len(turns) < live.max_turns,
        "max_turns": live.max_turns,
        "max_message_characters": live.max_message_characters,
    }


def _open_turn(view: ProjectApiView, seen: actions.SeenTurn) -> dict[str, Any]:
    turn = seen.turn
    assignment = None
    if turn.task_id is not None:
        assignment = Assignment.objects.filter(task=turn.task_id, annotator=view.actor).first()
    sides = zip(LABELS, (turn.shown_first, 1 - turn.shown_first), strict=True)
    return {
        "number": turn.number,
        "message": turn.message,
        "assignment": assignment.public_id if assignment else None,
        "answers": [
            {"label": label, "state": found.state, "text": found.text, "message": found.message}
            for label, side in sides
            if (found := seen.progress.get(side)) is not None
        ],
    }
