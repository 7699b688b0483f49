"""A file on its way in: sent in pieces, its first rows looked at, checked whole, imported."""

import json
from typing import Any
from uuid import UUID

from django.conf import settings as django_settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.importing.bad_rows import bad_rows_response
from annotation.importing.report import describe_counts
from annotation.importing.uploads import actions
from annotation.importing.uploads.actions import (
    MAX_PIECE_BYTES,
    UploadRefused,
    WrongOffset,
    is_left,
    waiting_uploads,
)
from annotation.importing.uploads.execution import is_small
from annotation.importing.uploads.forms import HubDatasetForm, OptionsForm, WhatForm
from annotation.importing.uploads.hub import fetch_from_hub
from annotation.importing.uploads.preview import guess_settings, preview_upload
from annotation.importing.uploads.settings import READERS, ImportSettings
from annotation.importing.uploads.starting import settle, start
from annotation.importing.uploads.wording import in_page_words
from annotation.models import Import, Upload
from learning.interface.options import UserError
from runs.presentation import run_display
from runs.waiting import waits_without_worker
from workspace.errors import ActionError
from workspace.forms import add_errors
from workspace.polling import content_fingerprint, poll_response
from workspace.request_bodies import takes_json, takes_pieces
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

MAX_JSON_BYTES = 20_000
GUESSED = "kind"  # the key that settings have once kind and format are chosen


def access_upload(request: ProjectRequest, public_id: UUID) -> Upload:
    """The actor's own upload in this project; nobody else's, whatever their role."""
    upload = (
        Upload.objects.select_related("project", "run", "imported", "owner", "part_of")
        .filter(project=request.project, owner=request.user, public_id=public_id)
        .first()
    )
    if upload is None:
        raise Http404("No such upload.")
    return upload


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def new_upload(request: ProjectRequest) -> HttpResponse:
    """Where a file is chosen; those that wait stand below."""
    return _new_page(request, request.GET.get("kind", ""))


def _new_page(
    request: ProjectRequest, kind: str, *, hub: HubDatasetForm | None = None, status: int = 200
) -> HttpResponse:
    kind = kind if kind in READERS else ""
    context = {
        "kind": kind,
        "kind_label": Import.Kind(kind).label if kind else "",
        "waiting": waiting_uploads(owner=request.user, project=request.project)[:50],
        # Where no operator names any, there is no form.
        "hub": (hub or HubDatasetForm(initial={"kind": kind})) if django_settings.HUB_DATASETS else None,
    }
    return render(request, "annotation/importing/new_upload.html", context, status=status)


@require_POST
@never_cache
@project_view(Capability.MANAGE)
def fetch_dataset(request: ProjectRequest) -> HttpResponse:
    """A dataset of the hub, fetched by a worker."""
    form = HubDatasetForm(request.POST)
    if form.is_valid():
        try:
            upload = fetch_from_hub(actor=request.user, project=request.project, **form.values())
        except ActionError as error:
            add_errors(form, error)
        else:
            return redirect("data:upload", slug=request.project.slug, public_id=upload.public_id)
    return _new_page(request, str(form.data.get("kind", "")), hub=form, status=422)


def _answer(request: HttpRequest, upload: Upload, status: int = 200) -> JsonResponse:
    slug = upload.project.slug
    return JsonResponse(
        {
            "id": str(upload.public_id),
            "state": upload.state,
            "offset": upload.received_bytes,
            "size": upload.size_bytes,
            "piece_bytes": MAX_PIECE_BYTES,
            "pieces": reverse("data:upload_pieces", args=[slug, upload.public_id]),
            "page": reverse("data:upload", args=[slug, upload.public_id]),
        },
        status=status,
    )


def _refused(error: ActionError) -> JsonResponse:
    answer: dict[str, Any] = {"code": error.code, "message": error.message, "fields": error.fields}
    if isinstance(error, WrongOffset):
        return JsonResponse(answer | {"offset": error.offset}, status=409)
    return JsonResponse(answer, status=507 if error.code in ("disk_full", "not_written") else 422)


@takes_json(max_bytes=MAX_JSON_BYTES)
@require_POST
@never_cache
@project_view(Capability.MANAGE)
def begin_upload(request: ProjectRequest) -> HttpResponse:
    """{name, size, sha256?, fingerprint?, kind?, part_of?} -> where its pieces go, and from which byte on."""
    try:
        asked = json.loads(request.body)
        name, size = asked["name"], asked["size"]
        texts = {key: asked.get(key) or "" for key in ("sha256", "fingerprint", "kind", "part_of")}
        if not isinstance(size, int) or isinstance(size, bool) or size >= 2**62:
            raise ValueError
        if not all(isinstance(text, str) for text in (name, *texts.values())):
            raise ValueError
        first = UUID(texts["part_of"]) if texts["part_of"] else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return _refused(UploadRefused(gettext("Expected name (text) and size (bytes)."), code="bad_request"))
    try:
        upload = actions.begin_upload(
            actor=request.user, project=request.project, name=name, size=size, sha256=texts["sha256"],
            fingerprint=texts["fingerprint"], kind=texts["kind"] if texts["kind"] in READERS else "",
            part_of=None if first is None else access_upload(request, first),
        )  # fmt: skip
    except ActionError as error:
        return _refused(error)
    return _answer(request, upload, status=201)


@takes_pieces(max_bytes=MAX_PIECE_BYTES)
@require_http_methods(["GET", "PUT"])
@never_cache
@project_view(Capability.MANAGE)
def upload_pieces(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """PUT ?offset=N with the bytes that begin there; GET says from where to go on."""
    upload = access_upload(request, public_id)
    if request.method == "PUT":
        offset = request.GET.get("offset", "")
        if not (offset.isascii() and offset.isdigit() and len(offset) < 19):
            return _refused(UploadRefused(gettext("?offset= is a number of bytes."), code="bad_request"))
        try:
            upload = actions.receive_piece(
                actor=request.user, upload=upload, offset=int(offset), content=request.body
            )
        except ActionError as error:
            return _refused(error)
    return _answer(request, upload)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def upload_page(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    upload = settle(access_upload(request, public_id))
    if upload.part_of is not None and upload.state != Upload.State.RECEIVING:
        return redirect("data:upload", slug=request.project.slug, public_id=upload.part_of.public_id)
    if upload.state == Upload.State.IMPORTED and upload.imported is not None:
        return redirect("data:import", slug=request.project.slug, pk=upload.imported.pk)
    if upload.state != Upload.State.COMPLETE and not is_left(upload):
        return render(request, "annotation/importing/upload_waits.html", _waiting(upload))
    if GUESSED not in upload.settings:
        guessed = guess_settings(upload, only=upload.settings.get("only", ""))
        upload = actions.change_settings(actor=request.user, upload=upload, values=guessed.as_json())
    if request.method == "POST":
        return _changed(request, upload)
    return _page(request, upload)


def _changed(request: ProjectRequest, upload: Upload) -> HttpResponse:
    before = ImportSettings.from_json(upload.settings)
    preview = preview_upload(upload, request.project)
    what = WhatForm(request.POST)
    then = request.POST.get("then", "")
    form = OptionsForm(request.POST, project=request.project, settings=before, columns=preview.columns)
    if not what.is_valid():
        return _page(request, upload, what=what, status=422)
    after = what.settings(before)
    if after is before:
        if not form.is_valid():
            return _page(request, upload, what=what, form=form, status=422)
        after = form.settings()
    else:
        then = ""  # its options are to be seen first
    try:
        if after != before:
            upload = actions.change_settings(actor=request.user, upload=upload, values=after.as_json())
        if then in ("check", "import"):
            upload = start(actor=request.user, upload=upload, check_only=then == "check")
    except (ActionError, UserError) as error:
        messages.error(request, in_page_words(str(error)))
    if upload.imported is not None:
        messages.success(request, _said(upload))
        return redirect("data:import", slug=request.project.slug, pk=upload.imported.pk)
    anchor = "#outcome" if then else ""
    return redirect(reverse("data:upload", args=[request.project.slug, upload.public_id]) + anchor)


def _said(upload: Upload) -> str:
    outcome = upload.outcome
    left_out = (
        gettext("; %(outcome)s of %(outcome2)s rows left out")
        % {"outcome": outcome["bad"], "outcome2": outcome["rows"]}
        if outcome.get("bad")
        else ""
    )
    return f"{upload.title}: {describe_counts(outcome.get('counts', {}))}{left_out}."


def _page(
    request: ProjectRequest,
    upload: Upload,
    *,
    what: WhatForm | None = None,
    form: OptionsForm | None = None,
    status: int = 200,
) -> HttpResponse:
    settings = ImportSettings.from_json(upload.settings)
    preview = preview_upload(upload, request.project)
    form = form or OptionsForm(project=request.project, settings=settings, columns=preview.columns)
    for row in preview.rows:
        row.error = in_page_words(row.error)
    outcome = upload.outcome
    same = request.project.imports.none()
    if upload.sha256:
        same = request.project.imports.finished().filter(files__0__sha256=upload.sha256).order_by("-pk")
    context = {
        "upload": upload,
        "files": upload.files(),
        "what": what or WhatForm(initial={"what": f"{settings.kind}/{settings.format}"}),
        "form": form,
        "columns": list(zip(preview.columns, form.column_fields(), strict=True)),
        "preview": preview,
        "refused": in_page_words(preview.refused),
        "settings": settings,
        "outcome": outcome,
        "sentence": in_page_words(outcome.get("sentence", "")),
        "notes": [in_page_words(note) for note in outcome.get("notes", [])],
        "good": outcome.get("rows", 0) - outcome.get("bad", 0),
        "has_bad_rows": upload.bad_rows_path.is_file(),
        "same": same[:3],
        "run": upload.run,
        "is_small": is_small(upload),
    }
    return render(request, "annotation/importing/upload.html", context, status=status)


def _waiting(upload: Upload) -> dict[str, Any]:
    """Of an upload that is being sent, checked or imported."""
    run = upload.run
    display = run_display(run) if run is not None else None
    without_worker = run is not None and waits_without_worker(run)
    version = content_fingerprint(
        upload.state, upload.received_bytes, display and [display.state, display.progress], without_worker
    )
    return {
        "upload": upload,
        "run": run,
        "display": display,
        "without_worker": without_worker,
        "version": version,
    }


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def upload_live(request: ProjectRequest, public_id: UUID) -> HttpResponseBase:
    """The part that polls; when there is something else to see, the browser is sent to the page."""
    upload = settle(access_upload(request, public_id))
    is_fetched = bool(upload.hub) and upload.state == Upload.State.RECEIVING
    ended = upload.run is None or upload.run.is_finished if is_fetched else is_left(upload)
    if ended or not (is_fetched or upload.state == Upload.State.AT_WORK):
        page = reverse("data:upload", args=[request.project.slug, upload.public_id])
        return HttpResponse(status=200, headers={"HX-Redirect": page})
    context = _waiting(upload)
    return poll_response(
        request, "annotation/importing/upload_live.html", context, version=context["version"]
    )


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def upload_bad_rows(request: ProjectRequest, public_id: UUID, form: str) -> HttpResponseBase:
    upload = access_upload(request, public_id)
    return bad_rows_response(upload.bad_rows_path, form, name=upload.name)


@require_POST
@project_view(Capability.MANAGE)
def remove_upload(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    upload = access_upload(request, public_id)
    try:
        actions.remove_upload(actor=request.user, upload=upload)
    except ActionError as error:
        messages.error(request, str(error))
        return redirect("data:upload", slug=request.project.slug, public_id=public_id)
    messages.success(
        request, gettext("%(name)s is removed: nothing of it was imported.") % {"name": upload.name}
    )
    if upload.part_of is not None:
        return redirect("data:upload", slug=request.project.slug, public_id=upload.part_of.public_id)
    return redirect("data:imports", slug=request.project.slug)
