"""What somebody has judged: their own judgments with search and filters, each open to be changed, and their days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_assignment
from annotation.annotator.progress import annotator_progress, duration_words, time_worked
from annotation.batches.naming import batch_words
from annotation.judging.actions import withdraw_judgment
from annotation.models import Assignment, Batch, Judgment, Task, WorkCount
from annotation.models.said_in_turns import SaidInTurns
from annotation.preferences.scale import tiers_to_labels
from annotation.rendering.flags import flag_labels, flags_filter
from annotation.rendering.judgments import describe_judgment, describe_marks
from annotation.rendering.markdown import excerpt
from workspace.asked import Asked
from workspace.lists import Filter, read_list
from workspace.models import Project, User
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

SHOWN_DAYS = 14
MAX_BATCHES = 200  # among which one can choose, the newest
COPIES = (Task.Purpose.GOLD, Task.Purpose.REPEAT, Task.Purpose.PRACTICE)
SINCE = (
    ("1", gettext_noop("Today")),
    ("7", gettext_noop("The last 7 days")),
    ("30", gettext_noop("The last 30 days")),
)


@dataclass(frozen=True)
class Day:
    date: date
    judgments: int
    time: str  # active
    height: str  # of the day's column, in percent of the highest
    top: str


def own_days(actor: User, project: Project) -> list[Day]:
    """The last days with what was judged on each, by the project's clock; from stored counts of quarters of hours."""
    zone = ZoneInfo(project.time_zone)
    today = timezone.now().astimezone(zone).date()
    days = [today - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
    counts = WorkCount.objects.filter(
        annotator_id=actor.pk, batch__project=project, quarter__gte=_midnight(days[0], zone)
    )
    found: dict[date, tuple[int, float]] = {}
    for quarter, judgments, seconds in counts.values_list("quarter").annotate(
        n=Sum("judgments"), s=Sum("seconds")
    ):
        before = found.get(day := quarter.astimezone(zone).date(), (0, 0.0))
        found[day] = (before[0] + judgments, before[1] + seconds)
    most = max((judgments for judgments, _ in found.values()), default=0) or 1
    rows = []
    for day in days:
        judgments, seconds = found.get(day, (0, 0.0))
        height = 100 * judgments / most
        rows.append(Day(day, judgments, duration_words(seconds), f"{height:.2f}", f"{100 - height:.2f}"))
    return rows


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def own_judgments(actor: User, project: Project) -> QuerySet[Any]:
    """What the actor holds now, of batches that can be seen. Of a training its own page tells."""
    return (
        Judgment.objects.current()
        .in_visible_batches()
        .of_project(project)
        .filter(annotator=actor)
        .exclude(task__purpose=Task.Purpose.PRACTICE)
        .select_related("assignment", "task__prompt", "task__batch__criterion")
    )


def search_own(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """In the conversation that was judged, in its answers and in the reasons given."""
    answers = Q(task__task_responses__response__text__icontains=text)
    said = rows.filter(
        Q(SaidInTurns("task__prompt__messages", text)) | Q(rationale__icontains=text) | answers
    )
    # An answer of a task is one row each: the judgment is found once.
    return rows.filter(pk__in=said.values("pk"))


def _batch_filter(actor: User, project: Project) -> Filter:
    """A gold task is found under the batch of the usual one that the person was given before it. Under its own batch,
    or that of its original, of which they may have judged nothing else, or under none it would be known for what it is.
    """
    counted = WorkCount.objects.filter(annotator_id=actor.pk).values("batch")
    usual = Assignment.objects.filter(annotator=actor, state=Assignment.State.SUBMITTED).exclude(
        task__purpose__in=COPIES
    )
    batches = Batch.objects.filter(
        Exists(usual.filter(task__batch=OuterRef("pk"))), pk__in=counted, project=project, visible=True
    ).select_related("criterion")
    near = usual.filter(task__batch__project=project, task__batch__visible=True)
    before = Subquery(near.filter(pk__lt=OuterRef("assignment_id")).order_by("-pk").values("task__batch")[:1])
    first = Subquery(near.order_by("pk").values("task__batch")[:1])
    return Filter(
        name="batch",
        label=gettext("Batch"),
        choices=[(str(batch.pk), batch_words(batch)) for batch in batches.order_by("-pk")[:MAX_BATCHES]],
        apply=lambda rows, key: rows.alias(
            near_batch=Coalesce(before, first, output_field=BigIntegerField())
        ).filter(
            (~Q(task__purpose=Task.Purpose.GOLD) & Q(task__batch=key))
            | Q(task__purpose=Task.Purpose.GOLD, near_batch=key)
        ),
    )


def changeable_rows(judgments: Sequence[Judgment]) -> list[bool]:
    """Which of these, newest first, can be changed. The batch of gold tasks is open when others were closed long ago:
    a gold one is changed no longer than the one that was judged before it, or where it is the oldest, after it.
    """
    found: list[bool] = []
    usual = [judgment for judgment in judgments if judgment.task.purpose != Task.Purpose.GOLD]
    for judgment in judgments:
        of = [judgment]
        if usual and judgment.task.purpose == Task.Purpose.GOLD:
            of.append(next((other for other in usual if other.pk < judgment.pk), usual[-1]))
        found.append(all(one.task.batch.state == Batch.State.OPEN for one in of))
    return found


def _since_filter(project: Project) -> Filter:
    zone = ZoneInfo(project.time_zone)
    today = timezone.now().astimezone(zone).date()
    return Filter(
        name="since",
        label=gettext("When"),
        choices=[(days, gettext(words)) for days, words in SINCE],
        apply=lambda rows, days: rows.filter(
            created_at__gte=_midnight(today - timedelta(days=int(days) - 1), zone)
        ),
    )


@require_GET
@gzip_page
@never_cache
@project_view(Capability.ANNOTATE)
def own_history(request: ProjectRequest) -> HttpResponse:
    """Everything the person has judged, and how much on which day."""
    project, actor = request.project, request.user
    listing = read_list(
        request,
        own_judgments(actor, project),
        search=search_own,
        filters=[_batch_filter(actor, project), flags_filter(project), _since_filter(project)],
    )
    labels = flag_labels(project)
    versions = {judgment.settings_version for judgment in listing.rows}
    asked = {
        settings.version: settings.asks for settings in project.question_settings.filter(version__in=versions)
    }
    rows = [
        {
            "judgment": judgment,
            "prompt": excerpt(judgment.task.prompt.messages[-1]["content"], 120),
            "description": describe_judgment(
                tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths
            ),
            "marks": describe_marks(
                asked.get(judgment.settings_version) or Asked(),
                judgment.order_shown,
                judgment.marks,
                judgment.task.batch.criterion.name,
            ),
            "flags": [labels.get(flag, flag) for flag in judgment.flags],
            "changeable": changeable,
        }
        for judgment, changeable in zip(listing.rows, changeable_rows(listing.rows), strict=True)
    ]
    days = own_days(actor, project)
    context = {
        "listing": listing,
        "rows": rows,
        "days": list(enumerate(days)),
        "most_a_day": max(day.judgments for day in days),
        "judged_lately": sum(day.judgments for day in days),
        "progress": annotator_progress(actor, project),
        "worked": time_worked(actor, project),
        "held": _held(actor, project),
    }
    return render(request, "annotation/annotator/history.html", context)


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def take_back(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """A judgment of one's own that should not have been made; twice is once."""
    project = request.project
    perform_action(
        request,
        withdraw_judgment,
        assignment=access_assignment(request.user, project, public_id),
        idempotency_key=request.POST.get("key", ""),
        done=gettext("Taken back: it does not count any more."),
    )
    return redirect("annotation:own_history", slug=project.slug)


def _held(actor: User, project: Project) -> list[dict[str, Any]]:
    """Tasks that are open on the person's screens, the one that ends first at the top."""
    leases = Assignment.objects.filter(
        annotator=actor,
        state=Assignment.State.LEASED,
        task__batch__project=project,
        task__batch__visible=True,
        leased_until__gt=timezone.now(),
    )
    return [
        {"lease": lease, "prompt": excerpt(lease.task.prompt.messages[-1]["content"], 90)}
        for lease in leases.select_related("task__prompt").order_by("leased_until")[:10]
    ]
