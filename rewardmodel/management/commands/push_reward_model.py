"""manage.py push_reward_model PROJECT NAME OWNER/NAME [--public] [--dry-run] [--token-file FILE]"""

from argparse import ArgumentParser
from typing import Any

from rewardmodel.models import RewardModel
from rewardmodel.pushing import reward_model_push
from runs.hub.command_line import add_push_arguments, push_here
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Push a reward model with its card to a repository of the Hugging Face Hub, as one commit."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the reward model")
        add_push_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = RewardModel.objects.filter(project=project, name=options["name"]).first()
        if found is None:
            raise ActionError(f"The project {project.slug} has no reward model named {options['name']}.")
        push_here(
            actor=actor,
            project=project,
            target=found,
            options=options,
            prepare=lambda folder: reward_model_push(found),
            output=self.stdout,
        )
