"""What the commands share that make a model of a run's checkpoint."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from runs.management.command_line import find_run, queued_line
from runs.models import Run
from workspace.commands import ProjectCommand
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
        found = find_run(project, options["number"])
        run = self.adopt(actor=actor, project=project, run=found, step=options["step"], name=options["name"])
        self.stdout.write(queued_line(run))
