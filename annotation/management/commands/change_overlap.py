"""manage.py change_overlap PROJECT BATCH PEOPLE"""

from argparse import ArgumentParser
from typing import Any

from annotation.batches.actions import change_overlap
from annotation.management.names import find_batch
from workspace.commands import ProjectCommand
from workspace.models import MAX_OVERLAP, Project, User


class Command(ProjectCommand):
    help = (
        "Have each task of a batch judged by so many people. What is judged or held stays: a task with more judgments "
        "keeps them and is done. Tasks with a number of their own, and those for one person, keep theirs."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch", metavar="BATCH", help="its name")
        parser.add_argument("people", type=int, metavar="PEOPLE", help=f"1 to {MAX_OVERLAP}")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        batch = find_batch(project, options["batch"])
        batch = change_overlap(actor=actor, batch=batch, overlap=options["people"])
        quota = "no quota yet" if batch.quota is None else f"a quota of {batch.quota} judgments"
        self.stdout.write(f"The batch “{batch.name}” asks {batch.overlap} per task, with {quota}.")
