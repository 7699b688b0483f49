"""manage.py set_time_zone PROJECT ZONE"""

from argparse import ArgumentParser
from typing import Any

from workspace.commands import ProjectCommand
from workspace.models import Project, User
from workspace.project_settings import set_time_zone


class Command(ProjectCommand):
    help = "Set the time zone in which the project's pages show times and its schedules read them."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "time_zone", metavar="ZONE", help="an IANA name, for example Europe/Berlin or UTC"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        project = set_time_zone(actor=actor, project=project, time_zone=options["time_zone"])
        self.stdout.write(f"Times of {project} are those of {project.time_zone} now.")
