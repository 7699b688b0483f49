"""manage.py simulate_annotators PROJECT"""

from argparse import ArgumentParser
from typing import Any

from annotation.models import Batch
from demo.gold_judge import NOISE
from demo.simulation import simulate_judgments
from workspace.accounts import create_machine_annotator
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Let simulated annotators (noisy gold judges of the built-in world) answer a project's open tasks."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--annotators", type=int, default=3, help="how many (default 3)")
        parser.add_argument(
            "--limit", type=int, default=1000, help="at most this many judgments (default 1000)"
        )
        parser.add_argument("--noise", type=float, default=NOISE, help=f"of the judge (default {NOISE})")
        parser.add_argument("--seed", type=int, default=0)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        for name, least in (("annotators", 1), ("limit", 1), ("noise", 0)):
            if not options[name] >= least:
                raise ActionError(f"--{name} is {options[name]}: it must be at least {least}.")
        annotators = [
            create_machine_annotator(
                actor=actor, project=project, name=f"simulated-{number}", kind=User.Kind.SIMULATED
            )
            for number in range(1, options["annotators"] + 1)
        ]
        left = options["limit"]
        for batch in Batch.objects.open_to_annotators(project):
            try:
                left -= simulate_judgments(
                    actor=actor,
                    batch=batch,
                    annotators=annotators,
                    seed=options["seed"],
                    limit=left,
                    noise=options["noise"],
                )
            except ValueError as error:
                raise ActionError(
                    f"The batch “{batch.name}” is not of the built-in world: {error}."
                ) from error
        count = options["limit"] - left
        self.stdout.write(
            f"{count} judgments." if count else "No judgments: no task is open to these annotators."
        )
