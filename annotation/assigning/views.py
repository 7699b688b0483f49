"""Who gets what, for managers: members with their groups, skills and limits, and for whom a batch is."""

from functools import partial
from typing import Any

from django.db.models import Max
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.access import access_batch
from annotation.assigning.actions import (
    project_daily_limit,
    set_batch_audience,
    set_daily_limit,
    set_member_work,
)
from annotation.assigning.forms import AudienceForm, DailyLimitForm, MemberWorkForm
from annotation.assigning.words import audience_words
from annotation.models import Batch, DailyLimit, DayCount, MemberTag
from annotation.queue.eligibility import today_in
from workspace.access import access_member
from workspace.changed_page import save_shown_values
from workspace.models import Membership, Project, User
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def assigning(request: ProjectRequest) -> HttpResponse:
    """Everybody with what they get, and the daily limit of the project."""
    project = request.project
    if request.method == "POST":
        return save_shown_values(
            request,
            partial(DailyLimitForm, project=project),
            partial(set_daily_limit, project=project),
            what=gettext("Who gets what"),
            back=reverse("annotation:assigning", args=[project.slug]),
            done=gettext("Saved. It holds from everybody's next task on."),
        )
    limited = Batch.objects.open_to_annotators(project).exclude(
        for_some__isnull=True, skills_asked__isnull=True, person_quota__isnull=True
    )
    context = {
        "form": DailyLimitForm(None, project=project),
        "rows": _rows(project),
        "batches": [{"batch": batch, "said": audience_words(batch)} for batch in limited[:100]],
    }
    return render(request, "annotation/assigning/assigning.html", context)


def _rows(project: Project) -> list[dict[str, Any]]:
    members = project.memberships.select_related("user").filter(user__kind=User.Kind.PERSON)
    tags: dict[int, dict[str, list[str]]] = {}
    for key, kind, name in (
        MemberTag.objects.filter(membership__project=project)
        .order_by("name")
        .values_list("membership_id", "kind", "name")
    ):
        tags.setdefault(key, {}).setdefault(kind, []).append(name)
    limits = dict(
        DailyLimit.objects.filter(project=project, membership__isnull=False).values_list(
            "membership_id", "tasks"
        )
    )
    today = dict(
        DayCount.objects.filter(project=project, day=today_in(project)).values_list("annotator_id", "judged")
    )
    last = dict(
        DayCount.objects.filter(project=project).values_list("annotator_id").annotate(last=Max("day"))
    )
    of_project = project_daily_limit(project)
    return [
        {
            "member": member,
            "groups": tags.get(member.pk, {}).get(MemberTag.Kind.GROUP, []),
            "skills": tags.get(member.pk, {}).get(MemberTag.Kind.SKILL, []),
            "last_day": last.get(member.user_id),
            "limit": limits.get(member.pk, of_project),
            "is_own_limit": member.pk in limits,
            "today": today.get(member.user_id, 0),
        }
        for member in members.order_by("user__username")
    ]


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def member(request: ProjectRequest, pk: int) -> HttpResponse:
    """Groups, skills and daily limit of one member."""
    membership = access_member(request.project, pk)
    name = membership.user.username

    def make_form(data: Any) -> MemberWorkForm:
        return MemberWorkForm(data, Membership.objects.get(pk=membership.pk))

    back = reverse("annotation:assigning", args=[request.project.slug])
    if request.method == "POST":
        return save_shown_values(
            request,
            make_form,
            partial(set_member_work, project=request.project, membership=membership),
            what=gettext("Who gets what"),
            back=back,
            done=gettext("Saved. It holds from the next task of %(name)s on.") % {"name": name},
        )
    context = {"form": make_form(None), "heading": name, "back": back, "what": gettext("Who gets what")}
    return render(request, "annotation/assigning/form.html", context)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def audience(request: ProjectRequest, pk: int) -> HttpResponse:
    """For whom a batch is, its priority, and how much of it one person may judge."""
    batch = access_batch(request.project, pk)

    def make_form(data: Any) -> AudienceForm:
        return AudienceForm(data, Batch.objects.select_related("project").get(pk=batch.pk))

    back = reverse("annotation:batch", args=[request.project.slug, batch.pk])
    if request.method == "POST":
        return save_shown_values(
            request,
            make_form,
            partial(set_batch_audience, batch=batch),
            what=batch.name,
            back=back,
            done=gettext(
                "Saved. It holds from everybody's next task on; what people have open stays theirs."
            ),
        )
    context = {"form": make_form(None), "heading": gettext("Who gets it"), "back": back, "what": batch.name}
    return render(request, "annotation/assigning/form.html", context)
