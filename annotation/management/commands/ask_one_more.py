"""manage.py ask_one_more PROJECT --most N [--criterion C] [--always | --never]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from annotation.adjudication.more_annotators import ask_one_more, set_one_more_rule
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Ask one more annotator for each task on which annotators disagree, as the newest measurement found."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--most", type=int, metavar="N", help="people a task at most")
        parser.add_argument("--criterion", help="Where there are several.")
        rule = parser.add_mutually_exclusive_group()
        rule.add_argument("--always", action="store_true", help="after each measurement, on every criterion")
        rule.add_argument("--never", action="store_true", help="not by itself any more")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        if options["never"]:
            set_one_more_rule(actor=actor, project=project, most=0)
            self.stdout.write("Nobody is asked by itself any more.")
            return
        if options["most"] is None:
            raise CommandError("Say up to how many people a task: --most N.")
        if options["always"]:
            most = set_one_more_rule(actor=actor, project=project, most=options["most"])
            self.stdout.write(f"After each measurement one more is asked, up to {most} people a task.")
            return
        criterion = find_criterion(project, options["criterion"])
        asked = ask_one_more(actor=actor, project=project, criterion=criterion, most=options["most"])
        self.stdout.write(f"One more annotator is asked for {asked} task{'s' * (asked != 1)}.")
