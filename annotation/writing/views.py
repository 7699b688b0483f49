"""Writing work for who manages and checks: open and close it, how far it is, what waits, one text with its versions."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.models import WritingItem, WritingReview, WritingWork
from annotation.rendering.html_cache import show_markdown
from annotation.writing.access import access_version, access_writing_item, access_writing_work
from annotation.writing.actions import release_item
from annotation.writing.checking import MAX_REMARK_CHARACTERS, review_text
from annotation.writing.forms import WritingWorkForm
from annotation.writing.shown import shown_prompt, shown_versions, title_of
from annotation.writing.works import (
    item_counts,
    open_work,
    set_work_state,
    waiting_to_be_checked,
    who_wrote,
)
from workspace.errors import ActionError
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 50


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def works(request: ProjectRequest) -> HttpResponse:
    found = request.project.writing_works.order_by("-pk")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "project": request.project,
        "page": page,
        "rows": [{"work": one, "counts": item_counts(one)} for one in page],
        "n_waiting": waiting_to_be_checked(request.project).order_by().count(),
    }
    return render(request, "annotation/writing/works.html", context)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def new_work(request: ProjectRequest) -> HttpResponse:
    form = WritingWorkForm(request.POST or None, project=request.project)
    if form.is_bound and form.is_valid():
        try:
            made = open_work(actor=request.user, project=request.project, **form.plan())
        except ActionError as error:
            form.add_error("name" if error.code == "name_taken" else None, error.message)
        else:
            messages.success(request, gettext("The work is open: annotators find it under Writing."))
            return redirect("annotation:writing_work", slug=request.project.slug, pk=made.pk)
    return render(
        request,
        "annotation/writing/new.html",
        {"project": request.project, "form": form},
        status=422 if form.is_bound else 200,
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def work(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_writing_work(request.project, pk)
    rows = found.items.exclude(state=WritingItem.State.WAITING).select_related("writer", "prompt", "work")
    page = Paginator(rows.order_by("-pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    counts = item_counts(found)
    context = {
        "project": request.project,
        "work": found,
        "instruction": show_markdown(found.instruction) if found.instruction else "",
        "counts": counts,
        "total": sum(counts.values()),
        "people": who_wrote(found),
        "page": page,
        "rows": [{"item": item, "title": title_of(item)} for item in page],
        "next_state": "closed" if found.state == WritingWork.State.OPEN else "open",
    }
    return render(request, "annotation/writing/work.html", context)


@require_POST
@never_cache
@project_view(Capability.MANAGE)
def set_state(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_writing_work(request.project, pk)
    perform_action(request, set_work_state, work=found, state=request.POST.get("state", ""))
    return redirect("annotation:writing_work", slug=request.project.slug, pk=pk)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def to_check(request: ProjectRequest) -> HttpResponse:
    page = Paginator(waiting_to_be_checked(request.project), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [{"item": item, "title": title_of(item), "is_own": item.writer == request.user} for item in page]
    context = {"project": request.project, "page": page, "rows": rows}
    return render(request, "annotation/writing/to_check.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def text(request: ProjectRequest, pk: int) -> HttpResponse:
    return _text_page(request, access_writing_item(request.project, pk), {})


def _text_page(
    request: ProjectRequest, item: WritingItem, typed: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """`typed`: what was said of the text and is not stored."""
    versions = shown_versions(item)
    last = versions[0]["version"] if versions else None
    context = {
        "project": request.project,
        "item": item,
        "work": item.work,
        "prompt": shown_prompt(item),
        "versions": versions,
        "last": last,
        "may_check": item.state == WritingItem.State.CHECKING
        and last is not None
        and Capability.DECIDE in request.capabilities
        and request.user != item.writer
        and request.user not in [row["version"].written_by for row in versions],
        "is_own": item.writer_id == request.user.pk,
        "may_release": item.state in (WritingItem.State.WRITING, WritingItem.State.RETURNED)
        and not item.is_late,
        "turns": typed.get("turns") or (last.turns if last else []),
        "remark": typed.get("remark", ""),
        # What was corrected belongs to the version that was read, not to one that came meanwhile.
        "version_number": typed.get("version") or (last.number if last else 0),
        "is_correcting": typed.get("outcome") == WritingReview.Outcome.EDIT,
        "most_remark": MAX_REMARK_CHARACTERS,
        "skips": item.skips.select_related("writer"),
        "results": [
            result
            for row in versions
            for result in row["version"].results.select_related("demonstration", "prompt")
        ],
    }
    return render(request, "annotation/writing/text.html", context, status=status)


@require_POST
@never_cache
@project_view(Capability.DECIDE)
def review(request: ProjectRequest, pk: int) -> HttpResponse:
    item = access_writing_item(request.project, pk)
    number = request.POST.get("version", "")
    version = access_version(item, int(number) if number.isdecimal() and len(number) < 5 else 0)
    outcome, remark = request.POST.get("outcome", ""), request.POST.get("remark", "")
    turns = request.POST.getlist("turns")
    corrected = turns if outcome == WritingReview.Outcome.EDIT else None
    try:
        review_text(actor=request.user, version=version, outcome=outcome, remark=remark, turns=corrected)
    except ActionError as error:
        messages.error(request, error.message)
        typed = {"turns": turns, "remark": remark, "outcome": outcome, "version": version.number}
        item.refresh_from_db(fields=["state"])
        return _text_page(request, item, typed, status=409 if error.is_conflict else 422)
    messages.success(
        request,
        gettext("Sent back.")
        if outcome == WritingReview.Outcome.SEND_BACK
        else gettext("Accepted and stored."),
    )
    return redirect("annotation:writing_to_check", slug=request.project.slug)


@require_POST
@never_cache
@project_view(Capability.MANAGE)
def release(request: ProjectRequest, pk: int) -> HttpResponse:
    item = access_writing_item(request.project, pk)
    perform_action(request, release_item, item=item, done=gettext("Somebody else is asked for it now."))
    return redirect("annotation:writing_text", slug=request.project.slug, pk=pk)
