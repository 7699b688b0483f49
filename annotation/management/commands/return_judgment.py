"""manage.py return_judgment PROJECT JUDGMENT --remark TEXT"""

from argparse import ArgumentParser
from typing import Any

from annotation.adjudication.actions import return_judgment
from annotation.models import Judgment
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Send a judgment back to its author, who is shown the remark and not whose it is."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("judgment", type=int, help="its number, as `decide_task` shows it")
        parser.add_argument("--remark", required=True, metavar="TEXT", help="what to look at again")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        known = Judgment.objects.known().of_project(project).filter(task__batch__visible=True)
        judgment = known.filter(pk=options["judgment"]).first()
        if judgment is None:
            raise ActionError(f"The project {project.slug} has no judgment {options['judgment']}.")
        return_judgment(actor=actor, judgment=judgment, remark=options["remark"])
        self.stdout.write(f"Judgment {judgment.pk} went back to its author.")
