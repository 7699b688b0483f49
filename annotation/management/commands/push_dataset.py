"""manage.py push_dataset PROJECT DATASET OWNER/NAME [--format F] [--public] [--dry-run] [--token-file FILE]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from annotation.datasets.names import find_dataset
from annotation.exporting.formats.base import EXPORT_OPTIONS
from annotation.exporting.pushing import dataset_push
from annotation.management.export_arguments import add_export_arguments
from runs.hub.command_line import add_push_arguments, push_here
from runs.hub.pushes import Push
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Push a frozen dataset with its card to a repository of the Hugging Face Hub, as one commit."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dataset", help="its name, in its newest version (NAME@2: the second)")
        add_push_arguments(parser)
        add_export_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        dataset = find_dataset(project, options["dataset"])
        export_options = {name: options[name] for name in ("format", "split", "files", *EXPORT_OPTIONS)}

        def prepare(folder: Path) -> Push:
            return dataset_push(actor, dataset, folder, export_options)

        push_here(
            actor=actor, project=project, target=dataset, options=options, prepare=prepare, output=self.stdout
        )
