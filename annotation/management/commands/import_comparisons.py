"""manage.py import_comparisons PROJECT FILE [--format records|trl|hh|ranked] [--map field=column ...]
[--skip-bad]
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.importing.actions import import_comparisons
from annotation.importing.readers.registry import COMPARISON_READERS
from annotation.management.command_line import (
    add_import_arguments,
    mistakes_end_in_a_sentence,
    read_map,
    say_what_was_imported,
)
from workspace.commands import find_actor, find_project


class Command(BaseCommand):
    help = (
        "Import comparisons as judgments: all rows or none, unless --skip-bad. Of records, round, guideline_version, "
        "settings_version and split stay behind: they are the exporting installation's own numbering, and splits "
        "follow from this project's salt. Records that were imported before are refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser)
        parser.add_argument("--format", default="records", choices=sorted(COMPARISON_READERS))
        parser.add_argument(
            "--criterion", help="What the comparisons are about; default: the project's only one."
        )
        parser.add_argument("--batch-name", help="Default: the file's name.")
        parser.add_argument(
            "--grade",
            action="append",
            default=[],
            metavar="NAME=MEANING",
            help="What a grade of the file means: a:0..a:3 (the first response is better, by so much), b:0..b:3, tie. "
            "Names like a-is-slightly-better are known.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = find_project(options["project"])
        grades = {}
        for pair in options["grade"]:
            name, equals, meaning = pair.rpartition("=")
            if not equals:
                raise CommandError(f"--grade {pair}: write NAME=MEANING, as in left=a:2.", returncode=2)
            grades[name] = meaning
        with mistakes_end_in_a_sentence(self.stdout):
            batch, report = import_comparisons(
                actor=find_actor(project, options["actor"]),
                project=project,
                path=Path(options["file"]),
                format=options["format"],
                mapping=read_map(options["map"]),
                grades=grades,
                criterion=options["criterion"],
                batch_name=options["batch_name"],
                skip_bad=options["skip_bad"],
            )
        say_what_was_imported(self.stdout, report, into=f"the batch “{batch.name}”")
