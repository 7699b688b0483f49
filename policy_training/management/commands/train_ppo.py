"""manage.py train_ppo PROJECT NAME --start POLICY --reward-model R --prompt-set S [--preset ppo_max]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.management.names import find_policy
from policy_training.management.rewarded import add_rewarded_arguments, asked_rewarded
from policy_training.management.starting import what_was_started
from policy_training.rewarded.actions import ppo_config
from policy_training.training.ppo.presets import PPO_PRESETS
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue PPO outside a round: a policy learns from a reward model, with a critic; a worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_rewarded_arguments(parser, list(PPO_PRESETS))
        parser.add_argument(
            "--reference", help="name of the policy to be held near (default: the one it starts from)"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        reference = find_policy(project, options["reference"]) if options["reference"] else None
        started = start_or_chain(
            Recipe.PPO, actor=actor, reference=reference, **asked_rewarded(project, options, ppo_config)
        )
        self.stdout.write(what_was_started(started))
