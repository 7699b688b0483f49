"""The versions of a guideline and of the question: each with its date and its author, and what changed between two."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.assigning.acknowledging import readers_of, require_acknowledgement
from annotation.rendering.differences import compare_texts
from annotation.rendering.html_cache import show_markdown
from workspace.asked import GUIDED_FROM, MARK_KINDS, RATIONALE_CASES, Asked, Named
from workspace.lists import read_list
from workspace.models import Guideline, Project
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


def _versions(project: Project) -> QuerySet[Guideline]:
    return project.guidelines.select_related("created_by")


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def versions(request: ProjectRequest) -> HttpResponse:
    """Every version of the guideline, and of the question's settings."""
    settings = list(request.project.question_settings.select_related("created_by").order_by("-version")[:200])
    context = {
        "listing": read_list(request, _versions(request.project)),
        "settings_rows": [
            {"settings": now, "changes": _changes(before, now)}
            for now, before in zip(settings, [*settings[1:], None], strict=True)
        ],
    }
    return render(request, "annotation/guidelines/versions.html", context)


def _changes(before: Any, now: Any) -> list[str]:
    """What this version of the question's settings says otherwise than the one before; all of the first."""
    said = []
    for name, question in now.questions.items():
        if before is None or before.questions.get(name) != question:
            said.append(f"{name}: {question}")
    if before is None or before.allow_ties != now.allow_ties:
        said.append(gettext("Ties allowed") if now.allow_ties else gettext("Ties not allowed"))
    if before is None or before.ask_rationale != now.ask_rationale:
        said.append(
            gettext("A reason is asked for") if now.ask_rationale else gettext("No reason is asked for")
        )
    return said + _asked_changes(before.asks if before else None, now.asks)


def _asked_changes(before: Asked | None, now: Asked) -> list[str]:
    said = []
    earlier = {mark.name: mark for mark in before.marks} if before else {}
    for mark in now.marks:
        if earlier.pop(mark.name, None) != mark:
            required = gettext(", required") if mark.required else ""
            on = (
                gettext(", on %(criteria)s") % {"criteria": " and ".join(mark.criteria)}
                if mark.criteria
                else ""
            )
            said.append(
                gettext("Of each answer: %(label)s (%(lower)s%(required)s%(on)s)")
                % {
                    "label": mark.label,
                    "lower": gettext(MARK_KINDS[mark.kind]).lower(),
                    "required": required,
                    "on": on,
                }
            )
    said += [
        gettext("No longer of each answer: %(label)s") % {"label": mark.label} for mark in earlier.values()
    ]
    if now.confidence_points != (before.confidence_points if before else 0):
        points = now.confidence_points
        said.append(
            gettext("How sure: %(points)s points") % {"points": points}
            if points
            else gettext("How sure they are is not asked")
        )
    if now.rationale_for != (before.rationale_for if before else ()):
        cases = ", ".join(RATIONALE_CASES[case].lower() for case in now.rationale_for)
        said.append(
            gettext("A reason is required of: %(cases)s") % {"cases": cases}
            if cases
            else gettext("No order needs a reason by itself")
        )
    usual = before or Asked()
    if now.guided_first != usual.guided_first:
        way = gettext("begin by questions") if now.guided_first else gettext("begin by moving")
        said.append(
            gettext("Rankings of %(guided_from)s and more %(way)s") % {"guided_from": GUIDED_FROM, "way": way}
        )
    if now.flags != usual.flags:
        said.append(gettext("Can be reported: %(flags)s") % {"flags": _words(now.flags)})
    if (now.both_bad, now.both_bad_reasons) != (usual.both_bad, usual.both_bad_reasons):
        reasons = (
            gettext(", because: %(both_bad_reasons)s") % {"both_bad_reasons": _words(now.both_bad_reasons)}
            if now.both_bad_reasons
            else ""
        )
        said.append(
            gettext("None is good%(reasons)s") % {"reasons": reasons}
            if now.both_bad
            else gettext("“None is good” is not offered")
        )
    if now.cannot_judge != usual.cannot_judge:
        said.append(
            gettext("Cannot judge, because: %(cannot_judge)s") % {"cannot_judge": _words(now.cannot_judge)}
        )
    return said


def _words(named: Iterable[Named]) -> str:
    return "; ".join(one.label for one in named) or "nothing"


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def version(request: ProjectRequest, version: int) -> HttpResponse:
    """One version, and how it differs from another (`against`, by default the one before)."""
    project = request.project
    shown = _find(project, version)
    others = list(
        project.guidelines.exclude(pk=shown.pk).order_by("-version").values_list("version", flat=True)[:500]
    )
    asked = request.GET.get("against", "")
    earlier = [other for other in others if other < shown.version]
    against = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None
    if against is None and earlier:
        against = earlier[0]
    other = _find(project, against) if against is not None and against in others else None
    context = {
        "shown": shown,
        "others": others,
        "other": other,
        "html": show_markdown(shown.text) if shown.text.strip() else "",
        "lines": compare_texts(other.text, shown.text) if other else [],
        "readers": readers_of(project, shown.version) if Capability.MANAGE in request.capabilities else None,
        "is_in_force": shown.version == max([shown.version, *others]),
    }
    return render(request, "annotation/guidelines/version.html", context)


@require_POST
@project_view(Capability.MANAGE)
def ask_to_confirm(request: ProjectRequest, version: int) -> HttpResponse:
    """Everybody confirms this version, the one in force, before their next task."""
    shown = _find(request.project, version)
    perform_action(
        request,
        require_acknowledgement,
        project=request.project,
        version=shown.version,
        done=gettext("Everybody is asked to confirm it before their next task."),
    )
    return redirect("annotation:guideline_version", slug=request.project.slug, version=shown.version)


def _find(project: Project, version: int) -> Guideline:
    found = _versions(project).filter(version=version).first()
    if found is None:
        raise Http404("No such version.")
    return found
