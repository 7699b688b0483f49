"""manage.py pin_policy PROJECT POLICY, or PROJECT --none"""

from argparse import ArgumentParser
from typing import Any

from policy_training.management.names import find_policy
from policy_training.selecting.actions import pin_policy, unpin_policy
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Make a policy the project's selected one, from which rounds may start; or take that away."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policy", nargs="?")
        parser.add_argument("--none", action="store_true", help="the project has no selected policy any more")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        if options["none"] == bool(options["policy"]):
            raise ActionError("Name a policy, or give --none.", code="no_policy")
        if options["none"]:
            unpin_policy(actor=actor, project=project)
            self.stdout.write("The project has no selected policy any more.")
            return
        pinned = pin_policy(actor=actor, project=project, policy=find_policy(project, options["policy"]))
        self.stdout.write(f"{pinned.policy.name} is the project's selected policy now.")
