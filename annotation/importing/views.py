"""What was brought in from files: a list, a report of each, and taking it back."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.access import access_import
from annotation.importing.actions import take_back_import
from annotation.importing.bad_rows import bad_rows_response, read_bad_rows
from annotation.importing.report import BadRow, describe_counts
from annotation.importing.take_back import count_rows_to_withdraw, reason_to_keep
from annotation.importing.unfinished import is_at_work
from annotation.importing.uploads.actions import waiting_uploads
from annotation.importing.uploads.wording import in_page_words
from annotation.models import Import
from workspace.lists import field_filter, read_list
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 30
SHOWN_BAD_ROWS = 50
STAYS = " stay"  # how counts of what a take-back leaves end


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def imports(request: ProjectRequest) -> HttpResponse:
    found = request.project.imports.select_related("actor", "taken_back_by")
    listing = read_list(
        request,
        found,
        search=lambda rows, text: rows.filter(files__0__name__icontains=text),
        filters=[
            field_filter("kind", gettext("What"), Import.Kind.choices),
            field_filter("state", gettext("State"), Import.State.choices),
        ],
        page_size=PAGE_SIZE,
    )
    rows = [
        {
            "imported": imported,
            "counts": describe_counts(imported.counts_in_order()),
            "batches": list(imported.batches.filter(visible=True).order_by("pk")),
            "broken": imported.state == Import.State.RUNNING and not is_at_work(imported),
        }
        for imported in listing.rows
    ]
    uploads = waiting_uploads(owner=request.user, project=request.project)
    context = {"listing": listing, "rows": rows, "uploads": uploads[:20]}
    return render(request, "annotation/importing/imports.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def import_page(request: ProjectRequest, pk: int) -> HttpResponse:
    imported = access_import(request.project, pk)
    rows, bad = imported.rows, imported.bad_rows
    bad_rows = read_bad_rows(imported.bad_rows_path, SHOWN_BAD_ROWS)
    # The first of them stand among its notes, too, and how many more there are.
    said = {str(BadRow(**row)) for row in bad_rows}
    said |= {note for note in imported.notes if bad_rows and note.endswith(" more bad rows")}
    context = {
        "imported": imported,
        "counts": imported.counts_in_order(),
        "batches": imported.batches.filter(visible=True).order_by("pk"),
        "reason": reason_to_keep(imported) if imported.state == Import.State.DONE else "",
        "broken": imported.state == Import.State.RUNNING and not is_at_work(imported),
        "good": None if rows is None or bad is None else rows - bad,
        "bad_rows": bad_rows,
        "notes": [in_page_words(note) for note in imported.notes if note not in said],
        "same": _same_files(imported),
    }
    return render(request, "annotation/importing/import.html", context)


def _same_files(imported: Import) -> QuerySet[Import]:
    """Other imports of the same content."""
    digest = imported.files[0]["sha256"] if imported.files else ""
    others = Import.objects.filter(project=imported.project).exclude(pk=imported.pk)
    return others.filter(files__0__sha256=digest).order_by("-pk")[:5] if digest else others.none()


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def import_bad_rows(request: ProjectRequest, pk: int, form: str) -> HttpResponseBase:
    imported = access_import(request.project, pk)
    name = imported.files[0]["name"] if imported.files else gettext("import %(pk)s") % {"pk": pk}
    return bad_rows_response(imported.bad_rows_path, form, name=name)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def undo_import(request: ProjectRequest, pk: int) -> HttpResponse:
    """What would go and what would stay, and the button."""
    imported = access_import(request.project, pk)
    if request.method == "POST":
        hidden = perform_action(request, take_back_import, imported=imported)
        if hidden is not None:
            said = describe_counts(hidden) or "nothing"
            messages.success(request, f"Taken back: {said}. The corrected file can be imported again.")
        return redirect("data:import", slug=request.project.slug, pk=pk)
    reason = reason_to_keep(imported)
    counts = {} if reason else count_rows_to_withdraw(imported)
    context = {
        "imported": imported,
        "reason": reason,
        "batches": imported.batches.filter(visible=True).order_by("pk"),
        "going": [describe_counts({what: n}) for what, n in counts.items() if not what.endswith(STAYS)],
        "staying": [
            describe_counts({what: n}).removesuffix(STAYS)
            for what, n in counts.items()
            if what.endswith(STAYS)
        ],
    }
    return render(request, "annotation/importing/undo.html", context)
