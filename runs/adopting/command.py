"""What the commands share that make a model of a run's checkpoint."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from runs.models import Run
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class AdoptingCommand(ProjectCommand):
    """Subclasses say what comes of it (`made`) and by which action (`adopt`)."""

    made: ClassVar[str]
    adopt: ClassVar[Callable[..., Run]]

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="of the run, as its page's address has it")
        parser.add_argument("step", type=int, help="of the checkpoint; the run's page lists them")
        parser.add_argument("name", help=f"of the new {self.made}")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = Run.objects.filter(project=project, pk=options["number"]).first()
        if found is None:
            raise ActionError(f"The project has no run {options['number']}.", code="no_run")
        run = self.adopt(actor=actor, project=project, run=found, step=options["step"], name=options["name"])
        self.stdout.write(f"Queued run {run.pk}: {run.title}. `manage.py worker` executes it.")
