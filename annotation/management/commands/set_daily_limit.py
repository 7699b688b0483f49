"""manage.py set_daily_limit PROJECT TASKS"""

from argparse import ArgumentParser
from typing import Any

from annotation.assigning.actions import set_daily_limit
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Set how many tasks each person judges a day, of those without a limit of their own (set_member_work)."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tasks", type=int, metavar="TASKS", help="0: no limit")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        limit = set_daily_limit(actor=actor, project=project, daily_limit=options["tasks"])
        words = f"at most {limit} tasks a person a day" if limit else "no limit a day"
        self.stdout.write(f"{project.name}: {words}.")
