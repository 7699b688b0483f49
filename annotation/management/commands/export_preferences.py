"""manage.py export_preferences PROJECT OUT --format F [--batch B] [--split S] [--ties drop|soft]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from annotation.datasets.names import find_dataset
from annotation.exporting.actions import export_preferences, export_selection
from annotation.exporting.formats.base import EXPORT_OPTIONS
from annotation.management.export_arguments import add_export_arguments
from annotation.management.selection_arguments import (
    add_selection_arguments,
    given_selection_options,
    read_selection,
)
from annotation.models import PreferenceDataset
from annotation.text import safe_excerpt
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Freeze the project's judgments into a dataset and write it as a folder that datasets.load_dataset reads."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", help="A folder that is not there yet.")
        parser.add_argument(
            "--dataset",
            metavar="NAME",
            help="Export this dataset, in its newest version (NAME@2: the second), instead of freezing one; what is in "
            "it was selected when it was frozen.",
        )
        add_selection_arguments(parser)
        add_export_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        out = Path(options["out"])
        export_options = {name: options[name] for name in ("format", "split", "files", *EXPORT_OPTIONS)}
        if options["dataset"] is not None:
            dataset = self._dataset(project, options)
            manifest = export_preferences(actor=actor, dataset=dataset, out=out, **export_options)
        else:
            selection = read_selection(project, options)
            manifest = export_selection(
                actor=actor, project=project, selection=selection, out=out, **export_options
            )
        counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in manifest["counts"].items())
        if names := manifest["filters"].get("excluded_batches"):
            left_out = ", ".join(f"“{name}”" for name in names)
            self.stdout.write(f"Left out, as excluded from datasets: {left_out}.")
        for loss in manifest["losses"].values():
            self.stdout.write(f"Not carried by {options['format']}: {loss['count']} {loss['meaning']}.")
        self.stdout.write(f"{safe_excerpt(str(out))}: {counts} of the dataset “{manifest['dataset']}”.")

    def _dataset(self, project: Project, options: dict[str, Any]) -> PreferenceDataset:
        if selected := given_selection_options(options):
            raise ActionError(
                f"--dataset {options['dataset']} is selected already: leave {', '.join(selected)} out, or leave "
                "--dataset out to select anew."
            )
        return find_dataset(project, options["dataset"])
