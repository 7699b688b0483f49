"""manage.py evaluate_along PROJECT RUN --reward-model NAME --prompt-set NAME"""

from argparse import ArgumentParser
from typing import Any

from policy_training.comparing.actions import evaluate_along_run
from policy_training.management.comparing import add_measuring_arguments, measuring_options
from runs.management.command_line import find_run, queued_line
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue the comparison of a training's kept checkpoints with the policy that it started from: win rate by "
        "reward models, a judge and people, reward and KL over its steps; a worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="of the run, as its page's address has it")
        parser.add_argument(
            "--steps", nargs="+", type=int, default=[], metavar="STEP",
            help="whose checkpoints people compare on the --criteria (default: all that are evaluated)",
        )  # fmt: skip
        add_measuring_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = find_run(project, options["number"])
        run = evaluate_along_run(
            actor=actor,
            project=project,
            run=found,
            steps=options["steps"],
            **measuring_options(project, options),
        )
        self.stdout.write(queued_line(run))
