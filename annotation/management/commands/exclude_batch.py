"""manage.py exclude_batch PROJECT BATCH [--undo]"""

from argparse import ArgumentParser
from typing import Any

from annotation.batches.exclusion import exclude_batch, include_batch
from annotation.management.names import find_batch
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Leave a batch's judgments out of datasets, exports and training from now on. Datasets that are frozen stay as "
        "they are; --undo takes the batch in again."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch", metavar="BATCH", help="its name")
        parser.add_argument("--undo", action="store_true", help="take it in again")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        batch = find_batch(project, options["batch"])
        if options["undo"]:
            include_batch(actor=actor, batch=batch)
            self.stdout.write(f"The batch “{batch.name}” is in later datasets again.")
        else:
            exclude_batch(actor=actor, batch=batch)
            self.stdout.write(
                f"Later datasets, exports and reward models leave the batch “{batch.name}” out."
            )
