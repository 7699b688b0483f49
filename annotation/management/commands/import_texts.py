"""manage.py import_texts PROJECT FILE ... [--licence NAME] [--split S] [--map field=column ...] [--skip-bad]"""

from argparse import ArgumentParser
from typing import Any

from annotation.importing.contents.actions import import_texts
from annotation.importing.readers.registry import TEXT_READERS
from annotation.importing.texts import TXT_ROWS
from annotation.management.command_line import (
    add_import_arguments,
    importing,
    parse_column_map,
    print_import_report,
)
from annotation.management.hub_sources import source_paths
from learning.interface.vocabulary import SPLITS
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Import plain texts, for pretraining and for the language-model loss that PPO and fine-tuning mix in: all "
        "rows or none, unless --skip-bad. A .txt file is read too. The same text again is left out and counted."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser, TEXT_READERS, again=False)
        parser.add_argument(
            "--licence",
            "--license",
            default="",
            help="Of the texts whose rows have none (at most 200 characters).",
        )
        parser.add_argument(
            "--split",
            choices=SPLITS,
            help="Of the texts whose rows have none (default: by the project's rule, from the text).",
        )
        parser.add_argument(
            "--txt-rows",
            default="document",
            choices=TXT_ROWS,
            help="What a text is in a .txt file: the whole file, a paragraph (between blank lines) or a line.",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        with importing(self.stdout, actor=actor, project=project), source_paths(options) as paths:
            report = import_texts(
                actor=actor,
                project=project,
                path=paths,
                format=options["format"],
                mapping=parse_column_map(options["map"]),
                licence=options["licence"],
                split=options["split"],
                txt_rows=options["txt_rows"],
                skip_bad=options["skip_bad"],
            )
        print_import_report(self.stdout, report, destination=f"the texts of {project.slug}")
