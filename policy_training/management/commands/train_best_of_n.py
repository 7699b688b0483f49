"""manage.py train_best_of_n PROJECT NAME --start POLICY --reward-model R --prompt-set S [--sampler POLICY ...]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.management.names import find_policy
from policy_training.management.rewarded import add_rewarded_arguments, asked_rewarded
from policy_training.management.starting import what_was_started
from policy_training.rewarded.actions import best_of_n_config
from policy_training.supervised.stored_answers import StoredAnswers
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue best-of-n: a policy learns the answers that a reward model scores best; a worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_rewarded_arguments(parser, list(BEST_OF_N_PRESETS))
        parser.add_argument(
            "--sampler",
            action="append",
            default=[],
            metavar="POLICY",
            help="name of a policy that answers (repeatable; default: the one it starts from)",
        )
        parser.add_argument(
            "--start-answers",
            action="store_true",
            help="the policy it starts from answers beside those, also one that is being made",
        )
        parser.add_argument(
            "--stored-policy",
            action="append",
            default=[],
            metavar="POLICY",
            help="name of a policy whose answers that are there already compete with the new ones (repeatable)",
        )
        parser.add_argument(
            "--stored-others",
            action="store_true",
            help="answers of people and of files that are there already compete too, demonstrations among them",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        samplers = [find_policy(project, name) for name in options["sampler"]]
        stored = sorted(find_policy(project, name).pk for name in options["stored_policy"])
        started = start_or_chain(
            Recipe.BEST_OF_N,
            actor=actor,
            samplers=samplers,
            start_answers=options["start_answers"],
            stored=StoredAnswers(policies=tuple(stored), others=options["stored_others"]),
            **asked_rewarded(project, options, best_of_n_config),
        )
        self.stdout.write(what_was_started(started))
