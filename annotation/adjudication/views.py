"""Where annotators disagree: a list, and a task's page for who decides. It does not say whose a judgment is.

The list is read from the newest report of quality.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.access import access_judgment_of_project, access_task_of_project
from annotation.adjudication.actions import (
    MAX_REMARK_CHARACTERS,
    current_decision,
    current_decisions,
    decide_task,
    keep_judgment,
    return_judgment,
)
from annotation.adjudication.forms import DecisionForm
from annotation.adjudication.listing import answers_to_decide, count_kinds, orders_said, undecided_tasks
from annotation.adjudication.more_annotators import ask_one_more, current_rule, set_one_more_rule
from annotation.models import DisagreementKind, Judgment, ReturnedJudgment, Task
from annotation.preferences.marks import show_marks
from annotation.preferences.scale import labels_to_responses, marks_by_label, tiers_to_labels
from annotation.quality.actions import newest_report
from annotation.quality.task_consensus import crowd_opinion
from annotation.rendering.conversation import display_texts
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt
from workspace.asked import Asked, read_asked
from workspace.errors import ActionError
from workspace.lists import field_filter, read_list
from workspace.models import MAX_OVERLAP, User
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 50


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def disagreements(request: ProjectRequest) -> HttpResponse:
    """What waits for a decision, and why annotators disagreed on what was decided."""
    context = _context(request)
    report, criterion = context["report"], context["criterion"]
    if report and criterion:
        rows = undecided_tasks(report, criterion).select_related("task__prompt", "task__batch")
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        said = orders_said([row.task_id for row in page])
        context |= {
            "page": page,
            "rows": [
                {
                    "row": row,
                    "prompt": _prompt(row.task),
                    "percent": round(100 * row.certainty),
                    "said": said.get(row.task_id, (0, 0)),
                }
                for row in page
            ],
        }
    return render(request, "annotation/adjudication/disagreements.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def decisions(request: ProjectRequest) -> HttpResponse:
    decided = current_decisions(request.project).select_related("task__prompt", "task__batch", "author")
    kinds = field_filter("kind", gettext("Why"), DisagreementKind.choices)
    listing = read_list(request, decided, filters=[kinds])
    rows = [
        {"decision": row, "prompt": _prompt(row.task), "kind": DisagreementKind(row.kind).label}
        for row in listing.rows
    ]
    return render(request, "annotation/adjudication/decisions.html", {"listing": listing, "rows": rows})


def _context(request: ProjectRequest) -> dict[str, Any]:
    """The report, and the criterion that is chosen."""
    report = newest_report(request.project)
    criteria = list(request.project.criteria.order_by("pk"))
    measured = [one for one in criteria if report and str(one.pk) in report.summaries]
    asked = request.GET.get("criterion", "")
    return {
        "report": report,
        "criteria": measured,
        "criterion": next((one for one in measured if one.name == asked), measured[0] if measured else None),
        "kinds": count_kinds(request.project),
        "most_people": MAX_OVERLAP,
        "rule": current_rule(request.project),
        "usual_most": min(MAX_OVERLAP, request.project.overlap + 2),
    }


def _prompt(task: Task) -> str:
    return excerpt(task.prompt.messages[-1]["content"], 160)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.DECIDE)
def adjudicate(request: ProjectRequest, pk: int) -> HttpResponse:
    task = access_task_of_project(request.project, pk, request.capabilities)
    if not task.uses_slots:
        raise Http404("Such a task is not decided.")
    rows = answers_to_decide(task)
    if len(rows) < 2:
        raise Http404("A single answer has no order.")
    order = [response.pk for response in rows]
    before = current_decision(task)
    form = DecisionForm(request.POST or None, order_shown=order, expected=before.pk if before else None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                decide_task(
                    actor=request.user,
                    task=task,
                    order_shown=order,
                    kind=form.cleaned_data["kind"],
                    rationale=form.cleaned_data["rationale"].replace("\r\n", "\n"),
                    expected=form.cleaned_data["expected"],
                    **form.decision(),
                )
            except ActionError as error:
                form.add_error(None, error.message)
                status = 409 if error.is_conflict else 422
                # What is on the page now is what they have seen when they send it again.
                form.data = {**request.POST.dict(), "expected": str(before.pk if before else "")}
            else:
                messages.success(
                    request, gettext("Decided. Datasets take the decision where they are asked to.")
                )
                return redirect("annotation:adjudicate", slug=request.project.slug, pk=task.pk)
    answers = dict(zip(labels_to_responses(order), (response.answer for response in rows), strict=True))
    turns, responses = display_texts(task.prompt.messages, answers)
    label_of = {key: label for label, key in labels_to_responses(order).items()}
    context = {
        "batch": task.batch,
        "task": task,
        "turns": turns,
        "responses": responses,
        "opinion": crowd_opinion(task, label_of),
        "judgments": _anonymous_judgments(request, task, order),
        "decision": _decision_row(before, order),
        "form": form,
        "most": MAX_REMARK_CHARACTERS,
    }
    return render(request, "annotation/adjudication/task.html", context, status=status)


def _decision_row(before: Any, order: list[int]) -> dict[str, Any] | None:
    if before is None:
        return None
    judgment = Judgment.objects.heads().filter(task=before.decision_task_id).first()
    return {
        "decision": before,
        "kind": DisagreementKind(before.kind).label,
        "said": _in_words(judgment, order) if judgment and not judgment.withdrawn else "withdrawn",
        "rationale": judgment.rationale if judgment else "",
    }


def _in_words(judgment: Judgment, order: list[int]) -> str:
    """In the letters of this page."""
    return describe_judgment(
        [sorted(tier) for tier in tiers_to_labels(order, judgment.tiers)], judgment.strengths
    )


def _anonymous_judgments(request: ProjectRequest, task: Task, order: list[int]) -> list[dict[str, Any]]:
    found = (
        Judgment.objects.current().filter(task=task).select_related("annotator", "returned").order_by("pk")
    )
    versions = {
        version: read_asked(stored)
        for version, stored in request.project.question_settings.values_list("version", "asked")
    }
    rows = []
    for number, judgment in enumerate(found, start=1):
        asked = versions.get(judgment.settings_version, Asked())
        labels = asked.flag_labels()
        is_person = judgment.annotator.kind == User.Kind.PERSON
        rows.append(
            {
                "judgment": judgment,
                "number": number,
                "kind": "" if is_person else User.Kind(judgment.annotator.kind).label,
                "said": _in_words(judgment, order),
                "marks": [
                    (label, show_marks(asked, marks, len(order)))
                    for label, marks in marks_by_label(order, judgment.marks).items()
                ],
                "flags": [labels.get(flag, flag) for flag in judgment.flags],
                "returned": getattr(judgment, "returned", None),
                "can_return": is_person
                and judgment.from_import_id is None
                and judgment.annotator_id != request.user.pk
                and task.batch.state != "closed",
            }
        )
    return rows


@require_POST
@project_view(Capability.MANAGE)
def one_more(request: ProjectRequest) -> HttpResponse:
    """Ask one more annotator where they disagree, up to `most` people a task."""
    criteria, name = request.project.criteria.order_by("pk"), request.POST.get("criterion")
    # As on the page: the first, where none was named.
    criterion = get_object_or_404(criteria, name=name) if name else criteria[0]
    try:
        most = int(request.POST.get("most", ""))
    except ValueError:
        most = 0
    try:
        asked = ask_one_more(actor=request.user, project=request.project, criterion=criterion, most=most)
    except ActionError as error:
        messages.error(request, error.message)
    else:
        if asked:
            messages.success(
                request,
                ngettext(
                    "One more annotator is asked for %(n)s task.",
                    "One more annotator is asked for %(n)s tasks.",
                    asked,
                )
                % {"n": asked},
            )
        else:
            messages.info(
                request,
                gettext(
                    "No task needs one more: those listed have open slots, are at that number, agree "
                    "on the order, are in "
                    "closed batches, or have judgments that are not measured yet."
                ),
            )
    address = reverse("annotation:disagreements", args=[request.project.slug])
    return redirect(f"{address}?{urlencode({'criterion': criterion.name})}")


@require_POST
@project_view(Capability.MANAGE)
def one_more_rule(request: ProjectRequest) -> HttpResponse:
    """Ask one more after each measurement, or no more."""
    try:
        most, expected = (int(request.POST.get(name) or 0) for name in ("most", "expected"))
    except ValueError:
        most, expected = -1, None
    perform_action(
        request,
        set_one_more_rule,
        project=request.project,
        most=most,
        expected=expected,
        done=gettext(
            "After each measurement one more annotator is asked where they disagree, up to "
            "%(most)s people a task."
        )
        % {"most": most}
        if most
        else gettext("Nobody is asked by itself any more."),
    )
    return redirect("annotation:disagreements", slug=request.project.slug)


@require_POST
@project_view(Capability.DECIDE)
def return_to_author(request: ProjectRequest, pk: int) -> HttpResponse:
    judgment = access_judgment_of_project(request.project, pk, request.capabilities)
    perform_action(
        request,
        return_judgment,
        judgment=judgment,
        remark=request.POST.get("remark", "").replace("\r\n", "\n"),
        done=gettext("Sent back. Its author sees your remark on their first page, not your name."),
    )
    return redirect("annotation:adjudicate", slug=request.project.slug, pk=judgment.task_id)


@require_POST
@project_view(Capability.ANNOTATE)
def keep(request: ProjectRequest, pk: int) -> HttpResponse:
    """The author stands by what was sent back to them."""
    own = ReturnedJudgment.objects.filter(
        judgment__annotator=request.user, judgment__task__batch__project=request.project
    )
    returned = get_object_or_404(own.select_related("judgment"), pk=pk)
    perform_action(
        request,
        keep_judgment,
        returned=returned,
        reason=request.POST.get("reason", "").replace("\r\n", "\n"),
        done=gettext("Your judgment stands."),
    )
    return redirect("annotation:overview", slug=request.project.slug)
