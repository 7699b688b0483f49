"""manage.py set_splits PROJECT [--train SHARE] [--validation SHARE] [--test-per-tag NUMBERS] [--near-duplicates HOW]"""

from argparse import ArgumentParser
from typing import Any

from workspace.commands import ProjectCommand
from workspace.models import Project, User
from workspace.project_settings import set_splits
from workspace.splits import format_test_per_tag, parse_test_per_tag


class Command(ProjectCommand):
    help = (
        "Set which share of the prompts that come from now on is train and which validation; the rest is test. Those "
        "that are there keep their side, and a split that a file names wins. What is not given stays as it is."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--train", type=float, metavar="SHARE", help="0 to 1")
        parser.add_argument("--validation", type=float, metavar="SHARE", help="0 to 1")
        parser.add_argument(
            "--test-per-tag",
            metavar="NUMBERS",
            help="hold so many prompts of each tag out instead of a share: 700, or helpful=700,harmless=300; none: by "
            "share again",
        )
        parser.add_argument(
            "--near-duplicates",
            choices=("together", "apart"),
            help="together: prompts that are almost the same share a side; apart: each has its own",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        numbers = options["test_per_tag"]
        project = set_splits(
            actor=actor,
            project=project,
            train_share=options["train"],
            validation_share=options["validation"],
            test_per_tag=None
            if numbers is None
            else parse_test_per_tag("" if numbers == "none" else numbers),
            near_duplicates_together=None
            if options["near_duplicates"] is None
            else options["near_duplicates"] == "together",
        )
        held_out = format_test_per_tag(project.test_per_tag)
        train, validation = project.train_share, project.validation_share
        if held_out:
            rest = train + validation or 1
            sides = (
                f"test {held_out}; of the rest {train / rest:.2%} train, {validation / rest:.2%} validation"
            )
        else:
            sides = f"{train:.2%} train, {validation:.2%} validation, the rest test"
        together = "; near-duplicates share a side" if project.near_duplicates_together else ""
        self.stdout.write(f"Prompts that come from now on: {sides}{together}.")
