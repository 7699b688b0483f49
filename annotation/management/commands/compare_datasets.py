"""manage.py compare_datasets PROJECT OLD NEW"""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotation.datasets.differences import dataset_difference
from annotation.datasets.names import find_dataset
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "What came, went and changed between two datasets of a project, in all and by batch."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("old", help="A dataset (NAME@2 for its second version).")
        parser.add_argument("new", help="The one to compare it with.")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        old, new = (find_dataset(project, options[name]) for name in ("old", "new"))
        found = dataset_difference(old, new)
        self.stdout.write(f"From “{old.label}” to “{new.label}”: {_say(found.counts)}.")
        for batch, counts in found.by_batch.items():
            self.stdout.write(f"{batch}: {_say(counts)}")


def _say(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {'the same' if kind == 'same' else kind}" for kind, number in counts.items())
