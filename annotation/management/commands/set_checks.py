"""manage.py set_checks PROJECT [--gold PERCENT] [--repeats PERCENT] [--after N]"""

from argparse import ArgumentParser
from typing import Any

from workspace.commands import ProjectCommand
from workspace.models import Project, User
from workspace.project_settings import set_checks


class Command(ProjectCommand):
    help = "How many of each person's tasks have a known answer, and how many come a second time."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--gold", type=float, metavar="PERCENT", help="tasks whose answer is known, 0 to 50"
        )
        parser.add_argument(
            "--repeats", type=float, metavar="PERCENT", help="own tasks a second time, 0 to 20"
        )
        parser.add_argument("--after", type=int, metavar="N", help="so many others between the two times")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        shares = {
            name: None if options[option] is None else options[option] / 100
            for name, option in (("gold_share", "gold"), ("repeat_share", "repeats"))
        }
        now = set_checks(actor=actor, project=project, repeat_after=options["after"], **shares)
        self.stdout.write(
            f"{100 * now.gold_share:.0f} % known answers, {100 * now.repeat_share:.0f} % repeats after "
            f"{now.repeat_after} others."
        )
