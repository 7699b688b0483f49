"""manage.py push_policy PROJECT NAME OWNER/NAME [--public] [--dry-run] [--token-file FILE]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.models import Policy
from policy_training.pushing import policy_push
from runs.hub.command_line import add_push_arguments, push_here
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Push a policy with its card to a repository of the Hugging Face Hub, as one commit."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the policy")
        add_push_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = Policy.objects.filter(project=project, name=options["name"]).first()
        if found is None:
            raise ActionError(f"The project {project.slug} has no policy named {options['name']}.")
        push_here(
            actor=actor,
            project=project,
            target=found,
            options=options,
            prepare=lambda folder: policy_push(found),
            output=self.stdout,
        )
