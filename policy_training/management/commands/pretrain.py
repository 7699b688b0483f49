"""manage.py pretrain PROJECT NAME [--preset P] [--start POLICY] [--data texts|demonstrations] [--set KEY=VALUE ...]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.management.language_models import add_language_model_arguments, language_model_options
from policy_training.management.starting import what_was_started
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue language-model training on the project's texts, of which every token counts; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_language_model_arguments(parser)
        parser.add_argument(
            "--data",
            default="texts",
            choices=("texts", "demonstrations"),
            help="demonstrations: on every token of the demonstrations, prompts included",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        asked = language_model_options(project, options)
        started = start_or_chain(Recipe.PRETRAIN, actor=actor, project=project, data=options["data"], **asked)
        self.stdout.write(what_was_started(started))
