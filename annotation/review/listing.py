"""A batch's judgments as a list with filters, and the neighbours of one of them in the list it was opened from."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils.translation import gettext

from annotation.access import CHECKS, sees_checks, shown_tasks
from annotation.models import Batch, Judgment, Task
from annotation.preferences.scale import tiers_to_labels
from annotation.rendering.flags import flags_filter
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt
from workspace.lists import Filter, ListPage, field_filter, read_list
from workspace.models import Project, User
from workspace.requests import ProjectRequest
from workspace.roles import Capability


def current_judgments(batch: Batch, capabilities: frozenset[Capability]) -> QuerySet[Any]:
    rows = Judgment.objects.current().in_batch(batch)
    return shown_tasks(rows, capabilities, "task__").select_related(
        "annotator", "task__prompt", "from_import"
    )


def people_filter(people: list[tuple[str, str]]) -> Filter:
    """`people`: (pseudonym, name) of those in the list."""
    return field_filter("annotator", gettext("Person"), people, lookup="annotator__pseudonym")


def judgment_filters(
    project: Project, people: list[tuple[str, str]], capabilities: frozenset[Capability]
) -> list[Filter]:
    kinds = [kind for kind in Task.Purpose.choices if sees_checks(capabilities) or kind[0] not in CHECKS]
    purposes = field_filter("purpose", gettext("Kind of task"), kinds, lookup="task__purpose")
    return [people_filter(people), flags_filter(project), purposes]


def read_judgments(request: ProjectRequest, batch: Batch, people: list[tuple[str, str]]) -> ListPage:
    filters = judgment_filters(batch.project, people, request.capabilities)
    return read_list(request, current_judgments(batch, request.capabilities), filters=filters)


def chosen_filters(listing: ListPage) -> str:
    """ "?flag=...", for the links of a list's rows; empty where nothing is chosen."""
    chosen = {part["name"]: part["chosen"] for part in listing.filters if part["chosen"]}
    return f"?{urlencode(chosen)}" if chosen else ""


def find_neighbours(
    request: ProjectRequest, batch: Batch, judgment: Judgment
) -> tuple[int | None, int | None, str]:
    """The keys of the judgments above and below this one in the list that the address names, and its filters."""
    rows = current_judgments(batch, request.capabilities).select_related(None)
    asked = request.GET.get("annotator", "")
    # One that the batch does not know finds nothing, as in the list.
    chosen = {}
    for one in judgment_filters(batch.project, [(asked, asked)] if asked else [], request.capabilities):
        value = request.GET.get(one.name, "")
        if value and value in dict(one.choices):
            rows = one.apply(rows, value)
            chosen[one.name] = value
    above = rows.filter(pk__gt=judgment.pk).order_by("pk").values_list("pk", flat=True).first()
    below = rows.filter(pk__lt=judgment.pk).order_by("-pk").values_list("pk", flat=True).first()
    return above, below, f"?{urlencode(chosen)}" if chosen else ""


def judgment_row(judgment: Judgment) -> dict[str, Any]:
    return {
        "judgment": judgment,
        "prompt": excerpt(judgment.task.prompt.messages[-1]["content"], 90),
        "description": describe_judgment(
            tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths
        ),
        "files": file_names(judgment),
        "name": annotator_name(judgment),
        "kind": User.Kind(judgment.annotator.kind).label
        if judgment.annotator.kind != User.Kind.PERSON
        else "",
        "purpose": Task.Purpose(judgment.task.purpose).label
        if judgment.task.purpose != Task.Purpose.NORMAL
        else "",
    }


def annotator_name(judgment: Judgment) -> str:
    """An account made by an import has a user name that says nothing; the pseudonym is the file's."""
    return judgment.annotator.pseudonym if judgment.from_import else judgment.annotator.username


def file_names(judgment: Judgment) -> str:
    """The files of the import that brought it; empty for a judgment made here."""
    return ", ".join(file["name"] for file in judgment.from_import.files) if judgment.from_import else ""
