"""manage.py merge_policies PROJECT NAME POLICY[=WEIGHT] [POLICY[=WEIGHT] ...]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.management.names import find_policy
from policy_training.merging import merge_policies
from policy_training.rewarded.arguments import weighted
from runs.management.command_line import queued_line
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue the weighted mean of policies' weights; of one policy it is a copy, a fork. A worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the new policy's name in the project")
        parser.add_argument(
            "policy", nargs="+", metavar="POLICY[=WEIGHT]", help="of one architecture and tokenizer; weight 1"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        # A name may have the sign in it.
        names = set(project.policies.values_list("name", flat=True))
        pairs = [(text, 1.0) if text in names else weighted(text) for text in options["policy"]]
        run = merge_policies(
            actor=actor,
            project=project,
            name=options["name"],
            policies=[find_policy(project, name) for name, _ in pairs],
            weights=[weight for _, weight in pairs],
        )
        self.stdout.write(queued_line(run))
