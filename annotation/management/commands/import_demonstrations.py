"""manage.py import_demonstrations PROJECT FILE ... [--map field=column ...] [--skip-bad]"""

from argparse import ArgumentParser
from typing import Any

from annotation.importing.actions import import_demonstrations
from annotation.importing.readers.registry import DEMONSTRATION_READERS
from annotation.management.command_line import (
    add_import_arguments,
    importing,
    parse_column_map,
    print_import_report,
)
from annotation.management.hub_sources import source_paths
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Import demonstrations: all rows or none, unless --skip-bad."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser, DEMONSTRATION_READERS)
        parser.add_argument("--prompt-set", default="demonstrations", metavar="NAME")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        with importing(self.stdout, actor=actor, project=project), source_paths(options) as paths:
            report = import_demonstrations(
                actor=actor,
                project=project,
                path=paths,
                format=options["format"],
                mapping=parse_column_map(options["map"]),
                prompt_set=options["prompt_set"],
                skip_bad=options["skip_bad"],
                again=options["again"],
            )
        print_import_report(self.stdout, report, destination=f"the prompt set “{options['prompt_set']}”")
