"""manage.py schedules PROJECT [--pause N | --resume N | --delete N | --retry N | --drop N]"""

from argparse import ArgumentParser
from typing import Any

from django.http import Http404

from rounds.models import ScheduleFiring
from rounds.schedules import actions
from rounds.schedules.access import access_schedule
from rounds.schedules.presentation import schedule_rows
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "List the schedules of a project's rounds, or change one; `start_round --at|--every|--after` adds them."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--pause", type=int, metavar="N", help="nothing falls due until it is resumed")
        group.add_argument("--resume", type=int, metavar="N", help="go on from now")
        group.add_argument(
            "--delete", type=int, metavar="N", help="with its times; rounds that it started stay"
        )
        group.add_argument("--retry", type=int, metavar="N", help="try its last failed time again")
        group.add_argument("--drop", type=int, metavar="N", help="give up the time that waits")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        for name, action in (
            ("pause", actions.pause_schedule),
            ("resume", actions.resume_schedule),
            ("delete", actions.delete_schedule),
        ):
            if options[name] is not None:
                action(actor=actor, schedule=_find(project, options[name]))
        if options["retry"] is not None:
            firing = _last_firing(project, options["retry"], ScheduleFiring.State.FAILED)
            actions.retry_firing(actor=actor, firing=firing)
        if options["drop"] is not None:
            firing = _last_firing(project, options["drop"], ScheduleFiring.State.WAITING)
            actions.drop_firing(actor=actor, firing=firing)
        self._list(project)

    def _list(self, project: Project) -> None:
        rows = schedule_rows(project)
        if not rows:
            self.stdout.write("No schedules. `manage.py start_round --at|--every|--after` adds one.")
        for row in rows:
            self.stdout.write(f"{row.schedule.pk}: {row.when}; {row.what}; next: {row.next}")
            for line in row.firings:
                self.stdout.write(f"   due {line.due}: {line.outcome}")


def _find(project: Project, pk: int) -> Any:
    try:
        return access_schedule(project, pk)
    except Http404 as error:
        known = ", ".join(str(n) for n in project.schedules.order_by("pk").values_list("pk", flat=True))
        raise ActionError(f"There is no schedule {pk}; there is: {known or 'none yet'}.") from error


def _last_firing(project: Project, pk: int, state: str) -> ScheduleFiring:
    firing = _find(project, pk).firings.filter(state=state).order_by("-due_at").first()
    if firing is None:
        raise ActionError(f"No time of schedule {pk} is {state}.")
    return firing
