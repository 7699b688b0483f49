"""manage.py import_prompts PROJECT FILE [--map field=column ...] [--skip-bad]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from annotation.importing.actions import import_prompts
from annotation.management.command_line import (
    add_import_arguments,
    command_errors,
    parse_column_map,
    print_import_report,
)
from annotation.models import PromptSet
from workspace.commands import find_actor, find_project


class Command(BaseCommand):
    help = "Import prompts: all rows or none, unless --skip-bad."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser)
        parser.add_argument("--format", default="records", choices=["records"])
        parser.add_argument("--prompt-set", default="prompts", metavar="NAME")
        parser.add_argument("--purpose", default="policy", choices=PromptSet.Purpose.values)

    def handle(self, *args: Any, **options: Any) -> None:
        project = find_project(options["project"])
        with command_errors(self.stdout):
            report = import_prompts(
                actor=find_actor(project, options["actor"]),
                project=project,
                path=Path(options["file"]),
                mapping=parse_column_map(options["map"]),
                prompt_set=options["prompt_set"],
                purpose=options["purpose"],
                skip_bad=options["skip_bad"],
            )
        print_import_report(self.stdout, report, into=f"the prompt set “{options['prompt_set']}”")
