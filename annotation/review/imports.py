"""A manager's list of what was brought in from files, and the button that takes an import back."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_import
from annotation.importing.actions import take_back_import
from annotation.importing.report import describe_counts
from annotation.importing.take_back import reason_to_keep
from annotation.importing.unfinished import is_at_work
from annotation.models import Import
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 30


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def imports(request: ProjectRequest) -> HttpResponse:
    found = request.project.imports.select_related("actor", "taken_back_by").order_by("-pk")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [
        {
            "imported": imported,
            "counts": describe_counts(imported.counts_in_order()),
            "batches": list(imported.batches.filter(visible=True).order_by("pk")),
            "reason": reason_to_keep(imported) if imported.state == Import.State.DONE else "",
            "broken": imported.state == Import.State.RUNNING and not is_at_work(imported),
        }
        for imported in page
    ]
    context = {"project": request.project, "rows": rows, "page": page}
    return render(request, "annotation/review/imports.html", context)


@require_POST
@project_view(Capability.MANAGE)
def take_back(request: ProjectRequest, pk: int) -> HttpResponse:
    hidden = perform_action(request, take_back_import, imported=access_import(request.project, pk))
    if hidden is not None:
        messages.success(
            request,
            f"Taken back: {describe_counts(hidden) or 'nothing'}. The corrected file can be imported again.",
        )
    return redirect("annotation:imports", slug=request.project.slug)
