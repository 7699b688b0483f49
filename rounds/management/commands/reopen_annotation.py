"""manage.py reopen_annotation PROJECT [--quota N]"""

from argparse import ArgumentParser
from typing import Any

from rounds.actions import reopen_annotation
from rounds.errors import RoundRefused
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Go back to the annotation of a round that failed on its judgments: its closed batch is opened again."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--quota",
            type=int,
            help="this many judgments end the annotation (default: a manager's button ends it)",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        round_ = project.rounds.open().order_by("-number").first()
        if round_ is None:
            raise RoundRefused("No round of this project is open.", code="no_open_round")
        round_ = reopen_annotation(actor=actor, round_=round_, quota=options["quota"])
        ends = f"at {options['quota']} judgments" if options["quota"] else "by a manager's button"
        self.stdout.write(f"{round_} is at its annotation again; it ends {ends}.")
