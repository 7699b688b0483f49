"""The queue of a project: what waits, who holds which task until when, and what comes back without a judgment."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, Q, QuerySet, Sum
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_batch, shown_batches, shown_to
from annotation.models import Assignment, Batch, Task, TaskCount
from annotation.models.counts import STUCK_EXPIRIES, STUCK_SKIPS
from annotation.queue.managing import (
    MAX_TASK_PRIORITY,
    ask_one_more,
    change_task_priority,
    release_lease,
)
from annotation.rendering.markdown import excerpt
from annotation.review.listing import people_filter
from annotation.review.tasks import access_task
from workspace.forms import whole_number
from workspace.lists import Filter, field_filter, read_list
from workspace.models import MAX_OVERLAP, Project, User
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

SHOWN_BATCHES = 100
HELD, STUCK, WAITING = "held", "stuck", "waiting"
_STUCK = Q(trouble__skipped__gte=STUCK_SKIPS) | Q(trouble__expired__gte=STUCK_EXPIRIES)


class PriorityForm(forms.Form):
    priority = whole_number(-MAX_TASK_PRIORITY, MAX_TASK_PRIORITY, label=gettext_lazy("Priority"))
    expected_priority = whole_number(-(2**31), 2**31 - 1, label=gettext_lazy("Expected priority"))


class OneMoreForm(forms.Form):
    expected_required = whole_number(0, MAX_OVERLAP, label=gettext_lazy("Expected required"))


def held_tasks(project: Project) -> QuerySet[Any]:
    """Leases, those that have ended and were not given back yet included."""
    leases = Assignment.objects.filter(
        state=Assignment.State.LEASED, task__batch__project=project, task__batch__visible=True
    )
    return leases.select_related("annotator", "task__prompt", "task__batch")


def waiting_tasks(project: Project) -> QuerySet[Any]:
    """With a slot that is open, of open batches."""
    tasks = Task.objects.filter(
        batch__project=project, batch__visible=True, batch__state=Batch.State.OPEN, open_slots__gt=0
    )
    return tasks.select_related("batch", "prompt", "trouble")


def stuck_tasks(project: Project) -> QuerySet[Any]:
    """Of those the ones that came back without a judgment again and again."""
    return waiting_tasks(project).filter(_STUCK)


def _open_batches(
    project: Project, reader: User, capabilities: frozenset[Capability]
) -> list[dict[str, Any]]:
    batches = list(shown_batches(Batch.objects.open_to_annotators(project), capabilities)[:SHOWN_BATCHES])
    counts = TaskCount.objects.filter(batch__in=batches, annotator_id=0).values_list("batch")
    waiting = dict(counts.annotate(n=Sum("available")).order_by())
    known = shown_to(reader, held_tasks(project), capabilities)
    held = dict(known.values_list("task__batch").annotate(n=Count("pk")).order_by())
    stuck = dict(stuck_tasks(project).values_list("batch").annotate(n=Count("pk")).order_by())
    return [
        {
            "batch": batch,
            "waiting": waiting.get(batch.pk, 0),
            "held": held.get(batch.pk, 0),
            "stuck": stuck.get(batch.pk, 0),
        }
        for batch in batches
    ]


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def queue(request: ProjectRequest) -> HttpResponse:
    project = request.project
    show = request.GET.get("show", HELD)
    show = show if show in (HELD, STUCK, WAITING) else HELD
    # The form says which tasks are shown also where the address does not.
    asked = request.GET.copy()
    asked["show"] = show
    request.GET = asked  # type: ignore[assignment]  # a copy that can be changed, as Django's documentation makes one
    batches = _open_batches(project, request.user, request.capabilities)
    choices = [(str(row["batch"].pk), row["batch"].name) for row in batches]
    # What is shown is kept in the addresses of the pages beside this one, and by the form.
    kinds = [(HELD, gettext("Held")), (STUCK, gettext("Stuck")), (WAITING, gettext("With room"))]
    shown = Filter(name="show", label=gettext("Tasks"), choices=kinds, apply=lambda rows, _: rows)
    if show == HELD:
        held = shown_to(request.user, held_tasks(project), request.capabilities)
        people = held.order_by("annotator__username").values_list(
            "annotator__pseudonym", "annotator__username"
        )
        listing = read_list(
            request,
            held,
            filters=[
                shown,
                field_filter("batch", gettext("Batch"), choices, lookup="task__batch"),
                people_filter(list(people.distinct())),
            ],
        )
        rows = [{"lease": lease, "task": lease.task} for lease in listing.rows]
    else:
        tasks = stuck_tasks(project) if show == STUCK else waiting_tasks(project)
        listing = read_list(request, tasks, filters=[shown, field_filter("batch", gettext("Batch"), choices)])
        rows = [{"lease": None, "task": task} for task in listing.rows]
    for row in rows:
        row["prompt"] = excerpt(row["task"].prompt.messages[-1]["content"], 110)
        row["trouble"] = getattr(row["task"], "trouble", None) if row["lease"] is None else None
    context = {
        "batches": batches,
        "listing": listing,
        "rows": rows,
        "show": show,
        "stuck_skips": STUCK_SKIPS,
        "stuck_expiries": STUCK_EXPIRIES,
    }
    return render(request, "annotation/review/queue.html", context)


@require_POST
@project_view(Capability.MANAGE)
def release(request: ProjectRequest, pk: int) -> HttpResponse:
    lease = (
        Assignment.objects.select_related("task__batch__project", "annotator")
        .filter(task__batch__project=request.project, task__batch__visible=True, pk=pk)
        .first()
    )
    if lease is None:
        raise Http404("No such lease.")
    perform_action(
        request,
        release_lease,
        assignment=lease,
        done=gettext("%(username)s does not hold the task any more; what they still submit is kept.")
        % {"username": lease.annotator.username},
    )
    return redirect("annotation:queue", slug=request.project.slug)


@require_POST
@project_view(Capability.MANAGE)
def set_task_priority(request: ProjectRequest, pk: int, task_pk: int) -> HttpResponse:
    task = access_task(access_batch(request.project, pk), task_pk, request.capabilities)
    form = PriorityForm(request.POST)
    if form.is_valid():
        perform_action(request, change_task_priority, task=task, **form.cleaned_data, done=gettext("Saved."))
    else:
        messages.error(request, " ".join(" ".join(map(str, texts)) for texts in form.errors.values()))
    return redirect("annotation:batch_task", slug=request.project.slug, pk=pk, task_pk=task_pk)


@require_POST
@project_view(Capability.MANAGE)
def ask_again(request: ProjectRequest, pk: int, task_pk: int) -> HttpResponse:
    """One more person is asked."""
    task = access_task(access_batch(request.project, pk), task_pk, request.capabilities)
    form = OneMoreForm(request.POST)
    if form.is_valid():
        done = gettext("One more person is asked to judge this task.")
        perform_action(request, ask_one_more, task=task, **form.cleaned_data, done=done)
    else:
        messages.error(
            request, gettext("Open the task's page again: the number of its judgments is missing.")
        )
    return redirect("annotation:batch_task", slug=request.project.slug, pk=pk, task_pk=task_pk)
