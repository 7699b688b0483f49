"""From the number in a URL or on a command line to a schedule of the project."""

from django.http import Http404

from rounds.models import Schedule, ScheduleFiring
from workspace.models import Project


def access_schedule(project: Project, pk: int) -> Schedule:
    schedule = project.schedules.select_related("project").filter(pk=pk).first()
    if schedule is None:
        raise Http404("No such schedule.")
    return schedule


def access_firing(project: Project, pk: int) -> ScheduleFiring:
    firing = (
        ScheduleFiring.objects.select_related("schedule__project")
        .filter(pk=pk, schedule__project=project)
        .first()
    )
    if firing is None:
        raise Http404("No such time.")
    return firing
