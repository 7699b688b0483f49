"""manage.py resume_run PROJECT RUN [--end]"""

from argparse import ArgumentParser
from typing import Any

from runs.actions import resume_run, retry_run
from runs.management.command_line import find_run, queued_line
from runs.models import Run
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Have a run that paused, or ended badly, go on from its last checkpoint; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="of the run, as its page's address has it")
        parser.add_argument(
            "--end",
            action="store_true",
            help="a paused run ends with its best checkpoint from before the pause",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        run = find_run(project, options["number"])
        if run.state == Run.State.PAUSED or options["end"]:
            run = resume_run(actor=actor, run=run, end=options["end"])
        else:
            run = retry_run(actor=actor, run=run)
        self.stdout.write(queued_line(run))
