"""Events as sentences with a link, for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext

from annotation.models import Judgment
from events.feed import public_data
from events.kinds import KINDS
from events.models import Event
from workspace.models import Project

_BAD = ("failed", "refused", "user_error", "turned_off")
_GOOD = ("done", "frozen")


@dataclass(frozen=True, kw_only=True)
class EventRow:
    event: Event
    what: str
    about: str  # what it happened to
    note: str  # an error, a reason
    url: str  # "": there is nothing to open
    tone: str  # good, bad or ""


def event_rows(project: Project, events: Sequence[Event]) -> list[EventRow]:
    keys = [event.data["judgment"] for event in events if "judgment" in event.data]
    judgments: dict[int, Mapping[str, Any]] = {
        row["pk"]: row
        for row in Judgment.objects.filter(pk__in=keys).values(
            "pk", "task__batch_id", "task__batch__name", "annotator__pseudonym"
        )
    }
    return [_row(project, event, judgments) for event in events]


def _row(project: Project, event: Event, judgments: Mapping[int, Mapping[str, Any]]) -> EventRow:
    data, slug = public_data(event), project.slug
    about = url = ""
    match event.kind.partition(".")[0]:
        case "judgment" if row := judgments.get(data["judgment"]):
            about = f"{row['annotator__pseudonym']}, {row['task__batch__name']}"
            url = reverse("annotation:judgment", args=[slug, row["task__batch_id"], data["judgment"]])
        case "run":
            about, url = data["title"], reverse("runs:run", args=[slug, data["run"]])
        case "training":
            about, url = data["title"], reverse("runs:list", args=[slug])
        case "round":
            about, url = (
                gettext("Round %(data)s") % {"data": data["round"]},
                reverse("rounds:round", args=[slug, data["round"]]),
            )
        case "import":
            about, url = (
                gettext("Import %(data)s") % {"data": data["import"]},
                reverse("data:import", args=[slug, data["import"]]),
            )
        case "dataset":
            about = (
                data["name"]
                if data["version"] == 1
                else gettext("%(data)s, version %(data2)s") % {"data": data["name"], "data2": data["version"]}
            )
            url = reverse("data:dataset", args=[slug, data["dataset"]])
        case "webhook":
            about = data.get("url", "")
    if event.kind == "dataset.discarded":
        url = ""
    state = event.kind.partition(".")[2]
    tone = "bad" if state in _BAD else "good" if state in _GOOD else ""
    note = data.get("error") or data.get("reason") or ""
    return EventRow(
        event=event,
        what=gettext(KINDS[event.kind]) if event.kind in KINDS else event.kind,
        about=about,
        note=note,
        url=url,
        tone=tone,
    )
