"""The writer's pages: what there is to write, one text, and what its script calls while it is typed."""

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_POST

from annotation.annotator.json_api import json_endpoint, parse_json_body
from annotation.annotator.presenter import browser_storage_key
from annotation.errors import AcknowledgementNeeded, BadRequest
from annotation.models import WritingItem, WritingWork
from annotation.rendering.html_cache import show_markdown
from annotation.rendering.markdown import render_markdown
from annotation.writing.access import access_own_item, access_writing_work
from annotation.writing.actions import (
    MAX_REASON_CHARACTERS,
    claim_item,
    count_free,
    own_items,
    save_draft,
    skip_item,
    submit_text,
)
from annotation.writing.alike import find_alike
from annotation.writing.shown import shown_prompt, shown_versions, title_of
from annotation.writing.texts import clean_draft
from workspace.errors import ActionError
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

OWN_SHOWN = 50
WRITABLE = (WritingItem.State.WRITING, WritingItem.State.RETURNED)
# What InstructGPT's labelers were asked for (Ouyang et al. 2022, appendix A.1), in our words.
PROMPT_KINDS = {
    "plain": (
        gettext_noop("Plain"),
        gettext_noop("Any task in words, as different from one another as you can."),
    ),
    "few-shot": (
        gettext_noop("Few-shot"),
        gettext_noop(
            "An instruction, and several questions with the right answers after it; the last question has no "
            "answer: that one is what the model is asked."
        ),
    ),
    "user-based": (
        gettext_noop("User-based"),
        gettext_noop("A task that fits one of the uses named above, as somebody with that use would put it."),
    ),
}


@require_GET
@gzip_page
@never_cache
@project_view(Capability.ANNOTATE)
def writing(request: ProjectRequest) -> HttpResponse:
    project = request.project
    items = list(own_items(request.user, project)[:OWN_SHOWN])
    own = [
        {
            "item": item,
            "title": title_of(item),
            "review": item.versions.exclude(review=None).order_by("-number").first(),
        }
        for item in items
    ]
    held = {item.work_id for item in items if item.state == WritingItem.State.WRITING}
    works = [
        {"work": work, "free": count_free(request.user, work), "holds": work.pk in held}
        for work in project.writing_works.filter(state=WritingWork.State.OPEN).order_by("pk")
    ]
    return render(
        request, "annotation/annotator/writing.html", {"project": project, "works": works, "own": own}
    )


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def begin(request: ProjectRequest, pk: int) -> HttpResponse:
    work = access_writing_work(request.project, pk)
    try:
        item = claim_item(actor=request.user, work=work)
    except AcknowledgementNeeded:
        return redirect(reverse("annotation:guideline", args=[request.project.slug]) + "?then=writing")
    except ActionError as error:
        messages.error(request, error.message)
        item = None
    else:
        if item is None:
            messages.info(
                request, gettext("“%(work)s” has nothing left for you. Thank you.") % {"work": work.name}
            )
    if item is None:
        return redirect("annotation:writing", slug=request.project.slug)
    return redirect("annotation:write", slug=request.project.slug, public_id=item.public_id)


@require_GET
@gzip_page
@never_cache
@project_view(Capability.ANNOTATE)
def write(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    return _page(request, access_own_item(request.user, request.project, public_id))


def _page(
    request: ProjectRequest, item: WritingItem, typed: list[str] | None = None, *, status: int = 200
) -> HttpResponse:
    """`typed`: what was sent and not taken."""
    versions = shown_versions(item)
    work = item.work
    turns = typed or item.draft or (versions[0]["version"].turns if versions else None)
    if turns is None:
        turns = [item.edited_response.text] if item.edited_response is not None else [""]
        if work.kind == WritingWork.Kind.DIALOGUE:
            turns = ["", ""]
    reviews = [row["review"] for row in versions if row["review"] is not None]
    context = {
        "project": request.project,
        "item": item,
        "work": work,
        "instruction": show_markdown(work.instruction) if work.instruction else "",
        "prompt_kind": _prompt_kind(work),
        "prompt": shown_prompt(item),
        "versions": versions,
        "review": reviews[0] if reviews else None,
        "is_writable": item.state in WRITABLE and item.writer_id == request.user.pk,
        "is_dialogue": work.kind == WritingWork.Kind.DIALOGUE,
        "turns": turns,
        "seen_version": versions[0]["version"].number if versions else 0,
        "key": uuid4().hex,
        "most_reason": MAX_REASON_CHARACTERS,
        "storage_key": browser_storage_key(request.user, request.project),
    }
    return render(request, "annotation/annotator/write.html", context, status=status)


def _prompt_kind(work: WritingWork) -> dict[str, str] | None:
    """Its name, and what is asked for."""
    if work.prompt_kind not in PROMPT_KINDS:
        return None
    name, what = PROMPT_KINDS[work.prompt_kind]
    return {"name": gettext(name), "what": gettext(what)}


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def send(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    item = access_own_item(request.user, request.project, public_id)
    turns = request.POST.getlist("turns")
    seen, drafted = request.POST.get("seen_version", ""), request.POST.get("draft_number", "")
    try:
        version = submit_text(
            actor=request.user,
            item=item,
            turns=turns,
            key=request.POST.get("key", ""),
            seen_version=int(seen) if seen.isdecimal() and len(seen) < 5 else 0,
            draft_number=int(drafted) if drafted.isdecimal() and len(drafted) < 9 else None,
        )
    except ActionError as error:
        status = 409 if error.is_conflict else 422
        if request.accepts("application/json") and not request.accepts("text/html"):
            return JsonResponse({"code": error.code, "message": error.message}, status=status)
        messages.error(request, error.message)
        return _page(request, item, turns, status=status)
    messages.success(
        request,
        gettext("Sent. Somebody else had been given this text meanwhile: yours is kept beside theirs.")
        if version.item.is_late
        else gettext("Sent. Another person checks it; you read here what they say."),
    )
    # The script goes there itself: the page it would follow to would use the message up.
    if request.accepts("application/json") and not request.accepts("text/html"):
        return JsonResponse({"next": reverse("annotation:writing", kwargs={"slug": request.project.slug})})
    return redirect("annotation:writing", slug=request.project.slug)


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def skip(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    item = access_own_item(request.user, request.project, public_id)
    try:
        skip_item(actor=request.user, item=item, reason=request.POST.get("reason", ""))
    except ActionError as error:
        messages.error(request, error.message)
        return _page(request, item, status=409 if error.is_conflict else 422)
    messages.success(request, gettext("Given back."))
    return redirect("annotation:writing", slug=request.project.slug)


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def draft(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """Keeps what is typed, and answers with how it reads and with what there is like it."""
    item = access_own_item(request.user, request.project, public_id)
    body = parse_json_body(request)
    number = body.get("draft_number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise BadRequest("draft_number is not a number.")
    turns = clean_draft(body.get("turns"))
    number = save_draft(actor=request.user, item=item, turns=turns, draft_number=number)
    answer: dict[str, Any] = {"draft_number": number, "html": [str(render_markdown(turn)) for turn in turns]}
    if turns and (alike := find_alike(item.work, turns[0], item=item)) is not None:
        answer["alike"] = {"text": alike.text[:500], "is_same": alike.is_same}
    return JsonResponse(answer)
