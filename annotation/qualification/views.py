"""A manager's pages of what checks who judges: tasks whose answer is known, tasks that come again, trainings.

Reviewers judge, too: managers alone see which tasks these are.
"""

from functools import partial
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.access import access_batch, access_known_task, access_training
from annotation.judging.gold import make_known_tasks, set_gold_judgment
from annotation.models import GoldJudgment, Judgment, Qualification, QualityAnnotator, Task, Training
from annotation.preferences.scale import RESPONSE_LABELS
from annotation.preferences.written_orders import write_order
from annotation.qualification import actions
from annotation.qualification.forms import ChecksForm, KnownAnswerForm, NewTrainingForm, TrainingForm
from annotation.quality.actions import newest_report
from annotation.rendering.conversation import display_texts
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt
from workspace import project_settings
from workspace.changed_page import save_shown_values
from workspace.errors import ActionError, StaleVersion
from workspace.forms import add_errors
from workspace.models import Membership, Project, User
from workspace.requests import ProjectRequest, key_in, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 50
MEASURED = ("known", "itself")


@require_safe
@never_cache
@project_view(Capability.MANAGE)
def checks(request: ProjectRequest) -> HttpResponse:
    """How many there are, who does how well, and the trainings."""
    return _checks_page(request, {})


def _checks_page(request: ProjectRequest, overrides: dict[str, Any], *, status: int = 200) -> HttpResponse:
    project = Project.objects.get(pk=request.project.pk)
    gold = _known_tasks(
        Task.objects.filter(batch__project=project, purpose=Task.Purpose.GOLD, batch__visible=True)
    )
    page = Paginator(gold, PAGE_SIZE).get_page(request.GET.get("page"))
    report = newest_report(project)
    context = {
        "project": project,
        "form": ChecksForm(project=project),
        "new_form": NewTrainingForm(project=project),
        "page": page,
        "rows": _known_rows(page),
        "report": report,
        "people": _people(report),
        "trainings": [
            {
                "training": one,
                "tasks": actions.practice_tasks(one),
                "qualified": one.qualifications.filter(state__in=Qualification.QUALIFIED).count(),
            }
            for one in Training.objects.filter(project=project).order_by("pk")
        ],
    }
    return render(request, "annotation/qualification/checks.html", context | overrides, status=status)


def _known_tasks(tasks: Any) -> Any:
    return tasks.select_related("prompt", "batch__criterion", "gold_judgment").order_by("-pk")


def _known_rows(page: Any) -> list[dict[str, Any]]:
    return [
        {
            "task": task,
            "prompt": excerpt(task.prompt.messages[-1]["content"], 160),
            "known": hasattr(task, "gold_judgment"),
        }
        for task in page
    ]


def _people(report: Any) -> list[dict[str, Any]]:
    """From the report of the quality of judgments: nothing is computed here."""
    if report is None:
        return []
    rows = QualityAnnotator.objects.filter(report=report, annotator__kind=User.Kind.PERSON)
    return [
        {"row": row, "shares": [_share(row.figures.get(name)) for name in MEASURED]}
        for row in rows.select_related("annotator", "criterion").order_by("annotator__username", "criterion")
        if any((row.figures.get(name) or [None])[0] is not None for name in MEASURED)
    ]


def _share(figure: Any) -> str:
    if not figure or figure[0] is None:
        return "–"
    share, low, high, of = figure
    return gettext("%(share)s %% of %(of)s (%(low)s to %(high)s %%)") % {
        "share": f"{100 * share:.0f}",
        "of": of,
        "low": f"{100 * low:.0f}",
        "high": f"{100 * high:.0f}",
    }


@require_POST
@project_view(Capability.MANAGE)
def set_checks(request: ProjectRequest) -> HttpResponse:
    return save_shown_values(
        request,
        lambda data: ChecksForm(data, project=Project.objects.get(pk=request.project.pk)),
        partial(project_settings.set_checks, project=request.project),
        what=gettext("Checks"),
        back=reverse("annotation:checks", args=[request.project.slug]),
        done=gettext("Saved. It holds from the next task of each person on."),
    )


@require_POST
@project_view(Capability.MANAGE)
def make_known(request: ProjectRequest, batch_pk: int) -> HttpResponse:
    """Of chosen judgments of a batch (POST `judgments`), or with `all` of all that count: gold, or practice of
    `training`.
    """
    project = request.project
    batch = access_batch(project, batch_pk)
    found = (
        Judgment.objects.counted().in_batch(batch).select_related("task__batch__criterion").order_by("-pk")
    )
    if not request.POST.get("all"):
        found = found.filter(pk__in=[_number(key) for key in request.POST.getlist("judgments")[:500]])
    chosen = list(found[:500])
    training = request.POST.get("training")
    made: int | None
    if not chosen:
        messages.error(request, gettext("Tick the judgments that are right first."))
        made = None
    elif training:
        into = access_training(project, _number(training))
        made = perform_action(request, actions.add_practice, training=into, judgments=chosen)
    else:
        made = perform_action(request, make_known_tasks, project=project, judgments=chosen)
    if made is not None:
        if training:
            said = ngettext("%(n)s new task of the training.", "%(n)s new tasks of the training.", made)
        else:
            said = ngettext(
                "%(n)s new task with a known answer.", "%(n)s new tasks with a known answer.", made
            )
        messages.success(
            request,
            said % {"n": made} + (gettext(" The others were there already.") if made < len(chosen) else ""),
        )
    return redirect("annotation:batch", slug=project.slug, pk=batch.pk)


def _number(text: str | None) -> int:
    """A key of a form; one that is none finds nothing."""
    return key_in(text or "") or 0


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def known(request: ProjectRequest, task_pk: int) -> HttpResponse:
    """What is right of a gold or practice task, how close is close enough, and why."""
    task = access_known_task(request.project, task_pk)
    shown = list(task.task_responses.select_related("response").order_by("position"))
    labels = list(RESPONSE_LABELS[: len(shown)])
    key_of = {label: row.response_id for label, row in zip(labels, shown, strict=True)}
    gold = GoldJudgment.objects.filter(task=task).first()
    form = KnownAnswerForm(request.POST or None, labels=labels, initial=_initial(gold, key_of))
    status = 200
    if request.method == "POST":
        if form.is_valid():
            tiers, strengths = form.order()
            values = form.cleaned_data
            try:
                set_gold_judgment(
                    actor=request.user,
                    task=task,
                    tiers=[[key_of[label] for label in tier] for tier in tiers],
                    strengths=strengths,
                    explanation=values["explanation"].replace("\r\n", "\n"),
                    tolerance=values["tolerance"],
                    least_pairs=(values["least_pairs"] or 100) / 100,
                    also_right=[
                        {
                            "tiers": [[key_of[label] for label in tier] for tier in order["tiers"]],
                            "strengths": order["strengths"],
                        }
                        for order in values["also_right"]
                    ],
                    expected_version=values["version"],
                )
            except StaleVersion as error:
                data = request.POST.copy()
                data["version"] = str(error.current)
                form = KnownAnswerForm(data, labels=labels)
                form.add_error(
                    None,
                    gettext("%(message)s What is in force now stands above; save again to replace it.")
                    % {"message": error.message},
                )
                status = 409
            except ActionError as error:
                add_errors(form, error)
                status = 422
            else:
                messages.success(request, gettext("Saved. What people said is compared with it from now on."))
                return redirect("annotation:known_answer", slug=request.project.slug, task_pk=task.pk)
        else:
            status = 422
    turns, responses = display_texts(
        task.prompt.messages, {label: row.response.answer for label, row in zip(labels, shown, strict=True)}
    )
    label_of = {key: label for label, key in key_of.items()}
    context = {
        "task": task,
        "training": Training.objects.filter(batch=task.batch_id).first(),
        "gold": gold,
        "now": describe_judgment([[label_of[key] for key in tier] for tier in gold.tiers], gold.strengths)
        if gold
        else "",
        "turns": turns,
        "responses": list(zip(labels, responses, strict=True)),
        "form": form,
    }
    return render(request, "annotation/qualification/known.html", context, status=status)


def _initial(gold: GoldJudgment | None, key_of: dict[str, int]) -> dict[str, Any]:
    if gold is None:
        return {"version": 0, "least_pairs": 100}
    label_of = {key: label for label, key in key_of.items()}
    rank_of = {key: rank for rank, tier in enumerate(gold.tiers, start=1) for key in tier}
    return {
        "version": gold.version,
        "tolerance": "" if gold.tolerance is None else str(gold.tolerance),
        "least_pairs": round(100 * gold.least_pairs),
        "explanation": gold.explanation,
        "also_right": "\n".join(
            write_order([[label_of[key] for key in tier] for tier in order["tiers"]], order["strengths"])
            for order in gold.also_right
        ),
        **{f"order_{label}": rank_of[key] for label, key in key_of.items()},
        **{
            f"step_{step}": "" if strength is None else str(strength)
            for step, strength in enumerate(gold.strengths, start=1)
        },
    }


@require_POST
@never_cache
@project_view(Capability.MANAGE)
def new_training(request: ProjectRequest) -> HttpResponse:
    form = NewTrainingForm(request.POST, project=request.project)
    if form.is_valid():
        try:
            made = actions.create_training(actor=request.user, project=request.project, **form.cleaned_data)
        except ActionError as error:
            add_errors(form, error)
        else:
            messages.success(
                request, gettext("Made. It is off until it has enough tasks and you turn it on.")
            )
            return redirect("annotation:training", slug=request.project.slug, pk=made.pk)
    return _checks_page(request, {"new_form": form}, status=422)


@require_safe
@never_cache
@project_view(Capability.MANAGE)
def training(request: ProjectRequest, pk: int) -> HttpResponse:
    one = access_training(request.project, pk)
    standing = {row.annotator_id: row for row in one.qualifications.select_related("decided_by")}
    members = Membership.objects.filter(project=request.project, user__is_active=True).select_related("user")
    people = Paginator(members.order_by("user__username"), PAGE_SIZE).get_page(request.GET.get("people"))
    tasks = Paginator(_known_tasks(one.batch.tasks.all()), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "training": one,
        "form": TrainingForm(training=one),
        "tasks": tasks,
        "known": actions.practice_tasks(one),
        "rows": _known_rows(tasks),
        "people": people,
        "standing": [{"user": member.user, "now": standing.get(member.user_id)} for member in people],
        "batches": one.required_by.order_by("-pk")[:PAGE_SIZE],
    }
    return render(request, "annotation/qualification/training.html", context)


@require_POST
@project_view(Capability.MANAGE)
def change_training(request: ProjectRequest, pk: int) -> HttpResponse:
    one = access_training(request.project, pk)
    return save_shown_values(
        request,
        lambda data: TrainingForm(data, training=access_training(request.project, pk)),
        partial(actions.change_training, training=one),
        what=gettext("Training"),
        back=reverse("annotation:training", args=[request.project.slug, pk]),
        done=gettext("Saved."),
    )


@require_POST
@project_view(Capability.MANAGE)
def change_standing(request: ProjectRequest, pk: int) -> HttpResponse:
    """Let somebody through (POST `change` = let_through), or ask for it again (ask_again)."""
    one = access_training(request.project, pk)
    person = User.objects.filter(
        pseudonym=request.POST.get("person", "")[:64], memberships__project=request.project
    ).first()
    action = {"let_through": actions.let_through, "ask_again": actions.ask_again}.get(
        request.POST.get("change", "")
    )
    if person is None or action is None:
        messages.error(request, gettext("Nothing was changed: this person is no member of the project."))
    else:
        perform_action(
            request,
            action,
            training=one,
            annotator=person,
            note=request.POST.get("note", "")[:1_000],
            expected_state=request.POST.get("expected_state"),
            done=gettext("%(username)s gets the work now.") % {"username": person.username}
            if action is actions.let_through
            else gettext("%(username)s is asked for the training again.") % {"username": person.username},
        )
    return redirect("annotation:training", slug=request.project.slug, pk=one.pk)


@require_POST
@project_view(Capability.MANAGE)
def require_training(request: ProjectRequest, batch_pk: int) -> HttpResponse:
    batch = access_batch(request.project, batch_pk)
    key = _number(request.POST.get("training"))
    one = access_training(request.project, key) if key else None
    perform_action(
        request,
        actions.require_training,
        batch=batch,
        training=one,
        done=gettext("Saved. It holds from the next task of each person on."),
    )
    return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)
