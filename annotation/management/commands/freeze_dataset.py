"""manage.py freeze_dataset PROJECT NAME [--batch B] [--round N] [--min-agreement SHARE] ... [--new-version]"""

from argparse import ArgumentParser
from typing import Any

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import excluded_batches_note
from annotation.management.selection_arguments import add_selection_arguments, read_selection
from learning.interface.vocabulary import SPLITS
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Freeze the project's judgments into a dataset that never changes, to export, compare and train on."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What the dataset is called.")
        add_selection_arguments(parser)
        parser.add_argument("--split", action="append", choices=SPLITS, help="Only this split (repeatable).")
        parser.add_argument(
            "--consensus",
            action="store_true",
            help="The consensus of the newest measurement of quality beside them: what training learns from with "
            "--consensus.",
        )
        parser.add_argument(
            "--annotator-weights",
            type=int,
            metavar="REPORT",
            help="How much each annotator counts, after their ability in the newest quality report, by its number: "
            "what training reads with --annotator-weights.",
        )
        parser.add_argument(
            "--new-version",
            action="store_true",
            help="A taken name gets its next version, instead of a refusal.",
        )
        parser.add_argument("--licence", default="", help="As it is named in cards, for example cc-by-4.0.")
        parser.add_argument("--description", default="", help="A few sentences for the card.")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        dataset = freeze_dataset(
            actor=actor,
            project=project,
            name=options["name"],
            splits=options["split"] or (),
            consensus=options["consensus"],
            annotator_weights=options["annotator_weights"],
            new_version=options["new_version"],
            licence=options["licence"],
            description=options["description"],
            **read_selection(project, options),
        )
        if note := excluded_batches_note(dataset):
            self.stdout.write(note)
        counts = ", ".join(f"{dataset.counts[what]} {what}" for what in ("judgments", "counted", "tasks"))
        self.stdout.write(f"The dataset “{dataset.label}” of {project.slug}: {counts}.")
