"""manage.py import_tasks PROJECT FILE ... [--map responses=COLUMN ...] [--criterion C] [--overlap N] [--open]"""

from argparse import ArgumentParser
from typing import Any

from annotation.importing.readers.registry import TASK_READERS
from annotation.importing.tasks.actions import import_tasks
from annotation.management.audience_arguments import add_audience_arguments, chosen_audience
from annotation.management.command_line import (
    add_import_arguments,
    add_split_arguments,
    importing,
    parse_column_map,
    parse_split_names,
    print_import_report,
)
from annotation.management.hub_sources import source_paths
from annotation.models import Batch
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Import prompts with 1 to 9 ready answers (of models sampled elsewhere, of people) as a batch of tasks to be "
        "judged, blind: all rows or none, unless --skip-bad. Answers in a column each: --map responses=A --map "
        "responses=B; the columns are then the answers' sources, unless --map sources=... names others. One "
        "answer a row (a list of one, or --map responses=COLUMN of texts) is for --kind rating."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser, TASK_READERS)
        add_split_arguments(parser)
        parser.add_argument("--criterion", help="What is asked; default: the project's only one.")
        parser.add_argument("--batch-name", help="Default: the file's name.")
        parser.add_argument(
            "--kind",
            choices=Batch.Kind.values,
            help="Default: pairwise where no row has more than two answers. Rating: rows with one answer each.",
        )
        parser.add_argument(
            "--overlap", type=int, help="How many people judge each task (default: the project's)."
        )
        parser.add_argument(
            "--priority", type=int, default=0, help="Batches with a higher one are handed out first."
        )
        add_audience_arguments(parser)
        parser.add_argument(
            "--open", action="store_true", help="Hand the tasks out at once; else the batch waits as a draft."
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        with importing(self.stdout, actor=actor, project=project), source_paths(options) as paths:
            batch, report = import_tasks(
                actor=actor,
                project=project,
                path=paths,
                format=options["format"],
                mapping=parse_column_map(options["map"]),
                criterion=options["criterion"],
                batch_name=options["batch_name"],
                kind=options["kind"],
                overlap=options["overlap"],
                priority=options["priority"],
                audience=chosen_audience(options),
                open_at_once=options["open"],
                split_names=parse_split_names(options["split_name"]),
                project_splits=options["project_splits"],
                again=options["again"],
                skip_bad=options["skip_bad"],
            )
        print_import_report(
            self.stdout, report, destination=f"the {batch.get_state_display().lower()} batch “{batch.name}”"
        )
