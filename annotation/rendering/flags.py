"""What annotators report with a judgment, as lists of judgments are filtered by it."""

from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext

from workspace.asked import Asked, read_asked
from workspace.lists import Filter
from workspace.models import Project

ANY_FLAG, NO_FLAG = "any", "none"


def filter_by_flag(judgments: QuerySet[Any], flag: str) -> QuerySet[Any]:
    """With this flag, with any, or with none. As text: SQLite cannot ask whether a JSON list contains something."""
    if flag == ANY_FLAG:
        return judgments.exclude(flags=[])
    if flag == NO_FLAG:
        return judgments.filter(flags=[])
    written = judgments.annotate(flags_text=Cast("flags", TextField()))
    return written.filter(flags_text__contains=f'"{flag}"')


def flag_labels(project: Project) -> dict[str, str]:
    """How each flag reads that the project's annotators can give or could once; the newest words count."""
    labels: dict[str, str] = Asked().flag_labels()
    for asked in project.question_settings.order_by("version").values_list("asked", flat=True):
        labels |= read_asked(asked).flag_labels()
    return labels


def flags_filter(project: Project) -> Filter:
    return Filter(
        name="flag",
        label=gettext("Reported"),
        choices=[
            (ANY_FLAG, gettext("Anything")),
            *((name, gettext(label)) for name, label in flag_labels(project).items()),
            (NO_FLAG, gettext("Nothing")),
        ],
        apply=filter_by_flag,
    )
