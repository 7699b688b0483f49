"""manage.py import_comparisons PROJECT FILE ... [--format F] [--map field=column ...] [--skip-bad]"""

from argparse import ArgumentParser
from typing import Any

from annotation.importing.actions import import_comparisons
from annotation.importing.readers.registry import COMPARISON_READERS
from annotation.management.command_line import (
    add_import_arguments,
    add_split_arguments,
    importing,
    parse_column_map,
    parse_split_names,
    print_import_report,
)
from annotation.management.hub_sources import source_paths
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Import comparisons as judgments: all rows or none, unless --skip-bad. Of records, round, guideline_version "
        "and settings_version stay behind: they are the exporting installation's own numbering."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser, COMPARISON_READERS)
        add_split_arguments(parser)
        parser.add_argument(
            "--criterion", help="What the comparisons are about; default: the project's only one."
        )
        parser.add_argument("--batch-name", help="Default: the file's name.")
        parser.add_argument(
            "--strength",
            "--grade",
            action="append",
            default=[],
            metavar="NAME=STRENGTH",
            help="What a preference of the file means: a:0..a:3 (the first response is better, by so much), b:0..b:3, "
            "a or b (better, and nobody said by how much), tie. Names like a-is-slightly-better are known.",
        )

        parser.add_argument(
            "--margins",
            metavar="RULE",
            help="The strength of a row that has a margin and no strength: small (1, 2/3, 1/3, 0 are significantly "
            "better, better, slightly better, negligibly better), large (3, 2, 1, 0), or A,B,C, the least margins of "
            "slightly better, better and significantly better. Without a rule margins are not used.",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        named_strengths = {}
        for pair in options["strength"]:
            name, equals, strength = pair.rpartition("=")
            if not equals:
                raise ActionError(f"--strength {pair}: write NAME=STRENGTH, as in left=a:2.")
            named_strengths[name] = strength
        with importing(self.stdout, actor=actor, project=project), source_paths(options) as paths:
            batch, report = import_comparisons(
                actor=actor,
                project=project,
                path=paths,
                format=options["format"],
                mapping=parse_column_map(options["map"]),
                named_strengths=named_strengths,
                margins=options["margins"],
                criterion=options["criterion"],
                batch_name=options["batch_name"],
                skip_bad=options["skip_bad"],
                again=options["again"],
                split_names=parse_split_names(options["split_name"]),
                project_splits=options["project_splits"],
            )
        print_import_report(self.stdout, report, destination=f"the batch “{batch.name}”")
