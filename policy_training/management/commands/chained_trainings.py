"""manage.py chained_trainings PROJECT [--cancel N | --retry N]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.chaining.actions import cancel_chained, retry_chained
from policy_training.models import ChainedTraining
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "List the trainings that wait for the policy that they start from, or change one; `--after-run` and "
        "`--after-training` of fine_tune, pretrain, train_ppo and the others ask for them."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--cancel", type=int, metavar="N", help="do not train it; what waits for it stays")
        group.add_argument(
            "--retry", type=int, metavar="N", help="have one that was refused or cancelled wait again"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        for name, action in (("cancel", cancel_chained), ("retry", retry_chained)):
            if options[name] is not None:
                action(actor=actor, training=_find(project, options[name]))
        rows = list(project.chained_trainings.listed())
        if not rows:
            self.stdout.write("No training waits for another.")
        for row in rows:
            self.stdout.write(f"{row.pk}: {row.title} ({row.get_state_display().lower()}). {row.situation}")


def _find(project: Project, pk: int) -> ChainedTraining:
    found = project.chained_trainings.filter(pk=pk).first()
    if found is None:
        raise ActionError(f"The project has no chained training {pk}.", code="no_training")
    return found
