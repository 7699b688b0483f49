"""manage.py export_preferences PROJECT OUT --format F [--batch B] [--split S] [--ties drop|soft]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from annotation.batches.actions import find_batches
from annotation.datasets.actions import DEFAULT_ANNOTATOR_KINDS
from annotation.datasets.shards import FILE_KINDS
from annotation.exporting.actions import export_preferences, export_selection
from annotation.exporting.formats.base import MARGINS, TIES
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.management.command_line import describe_formats
from annotation.models import COUNTED_PURPOSES, PreferenceDataset, Task
from annotation.text import safe_excerpt
from learning.interface.vocabulary import SPLITS
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User

SELECTION_OPTIONS = ("batch", "criterion", "purposes", "annotator-kinds")


class Command(ProjectCommand):
    help = "Freeze the project's judgments into a dataset and write it as a folder that datasets.load_dataset reads."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", help="A folder that is not there yet.")
        parser.add_argument(
            "--format",
            default="records",
            choices=sorted(EXPORT_FORMATS),
            help=describe_formats(EXPORT_FORMATS),
        )
        parser.add_argument(
            "--dataset",
            metavar="NAME",
            help="Export this dataset instead of freezing one; what is in it was selected when it was frozen.",
        )
        parser.add_argument("--batch", action="append", metavar="NAME", help="Only this batch (repeatable).")
        parser.add_argument("--criterion")
        parser.add_argument("--split", choices=SPLITS)
        parser.add_argument(
            "--ties", default="drop", choices=TIES, help="soft writes them with soft_label 0.5."
        )
        parser.add_argument("--plain", action="store_true", help="trl: text instead of messages.")
        parser.add_argument(
            "--margin", default="small", choices=sorted(MARGINS), help="trl: table of margins."
        )
        parser.add_argument(
            "--consensus", action="store_true", help="One row a task instead of one a judgment."
        )
        parser.add_argument("--files", default="parquet", choices=FILE_KINDS)
        parser.add_argument(
            "--purposes",
            nargs="+",
            choices=Task.Purpose.values,
            # The former name of practice tasks.
            type=lambda name: Task.Purpose.PRACTICE.value if name == "training" else name,
            help=f"Judgments of which tasks (default: {' '.join(COUNTED_PURPOSES)}).",
        )
        parser.add_argument(
            "--annotator-kinds",
            nargs="+",
            choices=User.Kind.values,
            help="Whose judgments (default: person); machines' are never mixed with people's unless named here.",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        out = Path(options["out"])
        export_options = {
            name: options[name]
            for name in ("format", "split", "ties", "plain", "margin", "consensus", "files")
        }
        if options["dataset"] is not None:
            dataset = self._dataset(project, options)
            manifest = export_preferences(actor=actor, dataset=dataset, out=out, **export_options)
        else:
            selection = self._selection(project, options)
            manifest = export_selection(
                actor=actor, project=project, selection=selection, out=out, **export_options
            )
        counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in manifest["counts"].items())
        if names := manifest["filters"].get("excluded_batches"):
            left_out = ", ".join(f"“{name}”" for name in names)
            self.stdout.write(f"Left out, as excluded from datasets: {left_out}.")
        self.stdout.write(f"{safe_excerpt(str(out))}: {counts} of the dataset “{manifest['dataset']}”.")

    def _dataset(self, project: Project, options: dict[str, Any]) -> PreferenceDataset:
        selected = [name for name in SELECTION_OPTIONS if options[name.replace("-", "_")] is not None]
        if selected:
            raise ActionError(
                f"--dataset {options['dataset']} is selected already: leave --{', --'.join(selected)} out, or leave "
                "--dataset out to select anew."
            )
        dataset = project.preference_datasets.filter(name=options["dataset"]).first()
        if dataset is None:
            raise ActionError(f"The project {project.slug} has no dataset {options['dataset']}.")
        return dataset

    def _selection(self, project: Project, options: dict[str, Any]) -> dict[str, Any]:
        name = options["criterion"]
        return {
            "criterion": find_criterion(project, name) if name is not None else None,
            "batches": find_batches(project, options["batch"]),
            "purposes": options["purposes"] or COUNTED_PURPOSES,
            "annotator_kinds": options["annotator_kinds"] or DEFAULT_ANNOTATOR_KINDS,
        }
