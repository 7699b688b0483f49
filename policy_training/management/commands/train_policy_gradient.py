"""manage.py train_policy_gradient PROJECT NAME --start POLICY --reward-model R --prompt-set S [--preset rloo]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.management.names import find_policy
from policy_training.management.rewarded import add_rewarded_arguments, asked_rewarded
from policy_training.management.starting import what_was_started
from policy_training.rewarded.actions import policy_gradient_config
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue REINFORCE, RLOO or GRPO: a policy learns from a reward model without a critic; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_rewarded_arguments(parser, list(POLICY_GRADIENT_PRESETS))
        parser.add_argument(
            "--reference", help="name of the policy to be held near (default: the one it starts from)"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        reference = find_policy(project, options["reference"]) if options["reference"] else None
        started = start_or_chain(
            Recipe.POLICY_GRADIENT,
            actor=actor,
            reference=reference,
            **asked_rewarded(project, options, policy_gradient_config),
        )
        self.stdout.write(what_was_started(started))
