"""Pages of managers and reviewers: open a batch of live conversations, read what was said, have them compared whole."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.batches.progress import batch_progress
from annotation.conversation.access import access_live_batch
from annotation.conversation.batches import open_live_batch
from annotation.conversation.comparing import (
    find_conversations,
    make_batch_from_conversations,
    nothing_found,
)
from annotation.conversation.forms import CompareConversationsForm, LiveBatchForm
from annotation.conversation.generation import generator
from annotation.models import Conversation, ConversationTurn
from annotation.rendering.conversation import display_texts
from workspace.errors import ActionError
from workspace.forms import add_errors
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

PAGE_SIZE = 50


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def new_live_batch(request: ProjectRequest) -> HttpResponse:
    project = request.project
    form = LiveBatchForm(request.POST or None, project=project, sources=list(generator().sources(project.pk)))
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        try:
            batch = open_live_batch(
                actor=request.user,
                project=project,
                criterion=values["criterion"],
                name=values["name"],
                quota=values["quota"],
                plan=form.plan(),
            )
        except ActionError as error:
            add_errors(form, error)
        else:
            messages.success(request, gettext("The batch is open: annotators find it under Conversations."))
            return redirect("annotation:live_batch", slug=project.slug, pk=batch.pk)
    return render(
        request,
        "annotation/conversation/new.html",
        {"project": project, "form": form},
        status=422 if form.is_bound else 200,
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def live_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    live = access_live_batch(request.project, pk)
    rows = live.conversations.select_related("annotator").annotate(
        n_turns=Count("turns"),
        n_judged=Count("turns", filter=Q(turns__outcome=ConversationTurn.Outcome.JUDGED)),
    )
    page = Paginator(rows.order_by("-pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "project": request.project,
        "live": live,
        "batch": live.batch,
        "progress": batch_progress(live.batch),
        "page": page,
    }
    return render(request, "annotation/conversation/batch.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def live_conversation(request: ProjectRequest, pk: int, conversation_pk: int) -> HttpResponse:
    live = access_live_batch(request.project, pk)
    found = Conversation.objects.select_related("annotator").filter(live=live, pk=conversation_pk).first()
    if found is None:
        raise Http404("No such conversation.")
    turns = found.turns.select_related("chosen").prefetch_related("answers__source")
    context = {
        "project": request.project,
        "live": live,
        "batch": live.batch,
        "conversation": found,
        "turns": [_shown(turn) for turn in turns],
    }
    return render(request, "annotation/conversation/conversation.html", context)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def compare_conversations(request: ProjectRequest, pk: int) -> HttpResponse:
    """`?part=preview` says what the choice would make."""
    live = access_live_batch(request.project, pk)
    if request.method == "GET" and request.GET.get("part") == "preview":
        return _preview(request, CompareConversationsForm(request.GET, live=live))
    form = CompareConversationsForm(request.POST or None, live=live)
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        try:
            batch = make_batch_from_conversations(
                actor=request.user,
                chosen=form.chosen(),
                **{name: values[name] for name in ("criterion", "name", "overlap", "open_at_once")},
            )
        except ActionError as error:
            add_errors(form, error)
        else:
            return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)
    return render(
        request,
        "annotation/conversation/compare.html",
        {"project": request.project, "live": live, "batch": live.batch, "form": form},
        status=422 if form.is_bound else 200,
    )


def _preview(request: ProjectRequest, form: CompareConversationsForm) -> HttpResponse:
    context: dict[str, Any] = {"form": form}
    form.fields["name"].required = False
    if form.is_valid():
        found = find_conversations(form.chosen(), form.cleaned_data["criterion"])
        context |= {
            "found": found,
            "tasks": len(found.tasks),
            "nothing": "" if found.tasks else nothing_found(found),
        }
    return render(request, "annotation/conversation/compare_preview.html", context)


def _shown(turn: ConversationTurn) -> dict[str, Any]:
    """A turn with its two answers as the person saw them, A first, and which one it went on with."""
    answers = sorted(turn.answers.all(), key=lambda answer: answer.side != turn.shown_first)
    written = [answer for answer in answers if answer.state == answer.State.DONE]
    [said], texts = display_texts(
        [{"role": "user", "content": turn.message}], {str(answer.side): answer.text for answer in written}
    )
    html = {text.label: text for text in texts}
    return {
        "turn": turn,
        "said": said,
        "answers": [
            {
                "label": label,
                "answer": answer,
                "response": html.get(str(answer.side)),
                "is_chosen": turn.chosen_id is not None and turn.chosen_id == answer.response_id,
            }
            for label, answer in zip("AB", answers, strict=True)
        ],
    }
