"""manage.py train_dpo PROJECT NAME --start POLICY: a policy from the project's judgments, without a reward model."""

from argparse import ArgumentParser
from typing import Any

from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.dpo.actions import dpo_config
from policy_training.management.names import find_policy
from policy_training.management.starting import (
    add_start_arguments,
    start_from_options,
    what_was_started,
)
from policy_training.training.dpo.presets import DPO_PRESETS
from rewardmodel.management.judgments import add_judgment_arguments, asked_judgments, excluded_note
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from runs.models import Run
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Freeze the project's judgments into a dataset and queue DPO on them; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the new policy's name in the project")
        add_start_arguments(parser)
        parser.add_argument(
            "--reference", help="name of the policy to be held near (default: the one it starts from)"
        )
        parser.add_argument("--preset", default="tiny", choices=sorted(DPO_PRESETS))
        add_judgment_arguments(parser)
        add_execution_arguments(parser)
        parser.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help="values of the config, for example objective.beta=0.05 data.epochs=1",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        started = start_or_chain(
            Recipe.DPO,
            actor=actor,
            project=project,
            name=options["name"],
            start=start_from_options(project, options),
            reference=find_policy(project, options["reference"]) if options["reference"] else None,
            config=dpo_config(options["preset"], execution_assignments(options, "runtime") + options["set"]),
            processes=asked_processes(options),
            **asked_judgments(project, options),
        )
        dataset = (
            started.parameters["dataset"] if isinstance(started, Run) else started.arguments["dataset"]["id"]
        )
        if note := excluded_note({"dataset": dataset}):
            self.stdout.write(note)
        self.stdout.write(what_was_started(started))
