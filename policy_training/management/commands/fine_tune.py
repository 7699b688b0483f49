"""manage.py fine_tune PROJECT NAME: a policy from the project's demonstrations."""

from argparse import ArgumentParser
from typing import Any

from policy_training.actions import pretrain, train_sft
from policy_training.management.language_models import add_language_model_arguments, language_model_options
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue supervised fine-tuning on the project's demonstrations; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_language_model_arguments(parser)
        parser.add_argument(
            "--pretrain",
            action="store_true",
            help="as `pretrain --data demonstrations`: the loss counts every token, not the responses only",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        arguments = {"actor": actor, "project": project, **language_model_options(project, options)}
        run = pretrain(**arguments, data="demonstrations") if options["pretrain"] else train_sft(**arguments)
        self.stdout.write(f"Queued run {run.pk}: {run.title}. `manage.py worker` executes it.")
