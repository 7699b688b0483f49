"""manage.py resume_run PROJECT RUN [--end]"""

from argparse import ArgumentParser
from typing import Any

from runs.actions import resume_run, retry_run
from runs.models import Run
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
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
        run = Run.objects.filter(project=project, pk=options["number"]).first()
        if run is None:
            raise ActionError(f"The project has no run {options['number']}.", code="no_run")
        if run.state == Run.State.PAUSED or options["end"]:
            run = resume_run(actor=actor, run=run, end=options["end"])
        else:
            run = retry_run(actor=actor, run=run)
        self.stdout.write(f"Queued run {run.pk}: {run.title}. `manage.py worker` executes it.")
