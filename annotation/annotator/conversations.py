"""The annotator's live conversations: which there are, the page of one, and what its script calls.

The script asks for the state a few times a second while answers are written. A stream would hold one of the site's few
threads for as long as a model writes; a look takes milliseconds, and whoever looks moves the conversation on.
"""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_POST

from annotation.annotator.json_api import json_endpoint, parse_json_body
from annotation.annotator.pages import work_page_context
from annotation.assigning.acknowledging import must_confirm
from annotation.batches.naming import batch_words
from annotation.conversation import actions
from annotation.conversation.access import access_conversation, access_live_batch
from annotation.conversation.actions import (
    SeenTurn,
    advance,
    open_batches_for,
)
from annotation.models import Assignment, Conversation, ConversationTurn
from annotation.rendering.conversation import display_texts
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

LABELS = ("A", "B")


@require_GET
@gzip_page
@never_cache
@project_view(Capability.ANNOTATE)
def conversations(request: ProjectRequest) -> HttpResponse:
    rows, refused = open_batches_for(request.user, request.project)
    context = {"project": request.project, "rows": rows, "refused": refused}
    context["must_confirm"] = bool(refused) and must_confirm(request.user, request.project)
    return render(request, "annotation/annotator/conversations.html", context)


@require_POST
@project_view(Capability.ANNOTATE)
def start(request: ProjectRequest, pk: int) -> HttpResponse:
    live = access_live_batch(request.project, pk)
    conversation = perform_action(request, actions.start_conversation, live=live)
    if conversation is None:
        return redirect("annotation:conversations", slug=request.project.slug)
    return redirect("annotation:conversation", slug=request.project.slug, public_id=conversation.public_id)


@require_GET
@gzip_page
@never_cache
@ensure_csrf_cookie
@project_view(Capability.ANNOTATE)
def conversation(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    found = access_conversation(request.user, request.project, public_id)
    context = work_page_context(request.user, request.project, None)
    batch = found.live.batch
    context |= {"conversation": found, "live": found.live, "question": batch.criterion.question}
    context["words"] = batch_words(batch)
    return render(request, "annotation/annotator/live.html", context)


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def state(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """How it stands. `known`: how many finished turns the page shows already, whose text need not come again."""
    found = access_conversation(request.user, request.project, public_id)
    return _state_response(request, found, parse_json_body(request).get("known"))


def _state_response(request: ProjectRequest, found: Conversation, known: Any = None) -> JsonResponse:
    seen = advance(actor=request.user, conversation=found)
    finished = 0
    current = None
    if seen is not None:
        is_open = seen.turn.outcome == ConversationTurn.Outcome.OPEN
        finished = seen.turn.number - is_open
        current = _open_turn(request, seen) if is_open else None
    left = found.live.max_turns - finished - (current is not None)
    data: dict[str, Any] = {
        "finished": finished,
        "turn": current,
        "ended": found.ended_at is not None,
        "max_turns": found.live.max_turns,
        "may_write": found.ended_at is None and current is None and left > 0,
    }
    if known != finished:
        data["html"] = _transcript(found, finished)
    return JsonResponse(data)


def _open_turn(request: ProjectRequest, seen: SeenTurn) -> dict[str, Any]:
    """Blind: by label, in the order in which the answers are shown."""
    turn = seen.turn
    sides = [turn.shown_first, 1 - turn.shown_first]
    assignment = None
    if turn.task_id is not None:
        assignment = Assignment.objects.filter(task=turn.task_id, annotator=request.user).first()
    return {
        "number": turn.number,
        "message": turn.message,
        "task": str(assignment.public_id) if assignment else None,
        "answers": [
            {"label": label, "state": found.state, "text": found.text, "message": _translated(found.message)}
            for label, found in (
                (label, seen.progress[side])
                for label, side in zip(LABELS, sides, strict=True)
                if side in seen.progress
            )
        ],
    }


def _translated(sentence: str) -> str:
    """What a writer of answers says, or said when it was stored, in the reader's language."""
    return gettext(sentence) if sentence else ""


def _transcript(found: Conversation, finished: int) -> str:
    """The finished turns, as both said them; the system prompt stands above each task."""
    messages: list[dict[str, str]] = []
    for turn in found.turns.filter(number__lte=finished).select_related("chosen"):
        assert turn.chosen is not None
        messages.append({"role": "user", "content": turn.message})
        messages.append({"role": "assistant", "content": turn.chosen.text})
    if not messages:
        return ""
    turns, _ = display_texts(messages, {})
    return render_to_string("annotation/conversation.html", {"turns": turns})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def message(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """The person's next message. The same again changes nothing."""
    found = access_conversation(request.user, request.project, public_id)
    data = parse_json_body(request)
    number = data.get("number")
    actions.send_message(
        actor=request.user,
        conversation=found,
        text=data.get("text", ""),
        number=number if isinstance(number, int) else 0,
    )
    return _state_response(request, found, data.get("known"))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def again(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """Asks once more for what could not be written."""
    found = access_conversation(request.user, request.project, public_id)
    actions.ask_again(actor=request.user, conversation=found)
    return _state_response(request, found, parse_json_body(request).get("known"))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def one(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """Goes on with the answer that is there, where the other could not be written."""
    found = access_conversation(request.user, request.project, public_id)
    actions.go_on_with_one(actor=request.user, conversation=found)
    return _state_response(request, found, parse_json_body(request).get("known"))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def end(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    found = access_conversation(request.user, request.project, public_id)
    actions.end_conversation(actor=request.user, conversation=found)
    found = access_conversation(request.user, request.project, public_id)
    return _state_response(request, found, parse_json_body(request).get("known"))
