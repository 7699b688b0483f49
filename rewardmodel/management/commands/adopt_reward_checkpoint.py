"""manage.py adopt_reward_checkpoint PROJECT RUN STEP NAME"""

from argparse import ArgumentParser
from typing import Any

from rewardmodel.checkpoints import adopt_reward_checkpoint
from runs.models import Run
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue the making of a reward model from a checkpoint of its training; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="of the run, as its page's address has it")
        parser.add_argument("step", type=int, help="of the checkpoint; the run's page lists them")
        parser.add_argument("name", help="of the new reward model")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = Run.objects.filter(project=project, pk=options["number"]).first()
        if found is None:
            raise ActionError(f"The project has no run {options['number']}.", code="no_run")
        run = adopt_reward_checkpoint(
            actor=actor, project=project, run=found, step=options["step"], name=options["name"]
        )
        self.stdout.write(f"Queued run {run.pk}: {run.title}. `manage.py worker` executes it.")
