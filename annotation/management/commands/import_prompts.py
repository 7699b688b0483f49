"""manage.py import_prompts PROJECT FILE ... [--map field=column ...] [--skip-bad]"""

from argparse import ArgumentParser
from typing import Any

from annotation.importing.contents.actions import import_prompts
from annotation.importing.readers.dialogues import DialogueTurnReader
from annotation.importing.readers.registry import PROMPT_READERS
from annotation.importing.tasks.actions import import_dialogue_turns
from annotation.management.command_line import (
    add_import_arguments,
    add_split_arguments,
    importing,
    parse_column_map,
    parse_split_names,
    print_import_report,
)
from annotation.management.hub_sources import source_paths
from annotation.models import PromptSet
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Import prompts: all rows or none, unless --skip-bad."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser, PROMPT_READERS)
        add_split_arguments(parser)
        parser.add_argument("--prompt-set", default="prompts", metavar="NAME")
        parser.add_argument("--purpose", default="policy", choices=PromptSet.Purpose.values)
        parser.add_argument(
            "--from-dialogues",
            action="store_true",
            help="Of each dialogue (messages or a transcript) a random model-written turn is taken: what comes before "
            "it is the prompt, the turn itself an answer, which `sample_tasks` ranks with alternatives. Fields: "
            f"{', '.join(DialogueTurnReader.fields)}.",
        )
        parser.add_argument("--seed", type=int, default=0, help="Of the turns that --from-dialogues draws.")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        with importing(self.stdout, actor=actor, project=project), source_paths(options) as paths:
            common = {
                "actor": actor,
                "project": project,
                "path": paths,
                "mapping": parse_column_map(options["map"]),
                "prompt_set": options["prompt_set"],
                "purpose": options["purpose"],
                "skip_bad": options["skip_bad"],
                "split_names": parse_split_names(options["split_name"]),
                "project_splits": options["project_splits"],
            }
            if options["from_dialogues"]:
                report = import_dialogue_turns(**common, seed=options["seed"])
            else:
                report = import_prompts(**common, format=options["format"], again=options["again"])
        print_import_report(self.stdout, report, destination=f"the prompt set “{options['prompt_set']}”")
