"""manage.py ask_one_more PROJECT --most N [--criterion C]"""

from argparse import ArgumentParser
from typing import Any

from annotation.adjudication.more_annotators import ask_one_more
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Ask one more annotator for each task on which annotators disagree, as the newest measurement found."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--most", type=int, required=True, metavar="N", help="people a task at most")
        parser.add_argument("--criterion", help="Where there are several.")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        criterion = find_criterion(project, options["criterion"])
        asked = ask_one_more(actor=actor, project=project, criterion=criterion, most=options["most"])
        self.stdout.write(f"One more annotator is asked for {asked} task{'s' * (asked != 1)}.")
