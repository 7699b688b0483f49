"""manage.py evaluate_reward_model PROJECT NAME --dataset NAME[@VERSION] [--split S]"""

from argparse import ArgumentParser
from typing import Any

from annotation.datasets.names import find_dataset
from learning.interface.vocabulary import SPLITS
from rewardmodel.actions import evaluate_reward_model
from rewardmodel.management.names import find_reward_model
from rewardmodel.start_training import evaluation_config
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from runs.management.command_line import queued_line
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue the comparison of a reward model with a dataset's judgments; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the reward model")
        parser.add_argument("--dataset", required=True, metavar="NAME[@VERSION]")
        parser.add_argument(
            "--split",
            default="validation",
            choices=SPLITS,
            help="(default: validation; test is measured last)",
        )
        parser.add_argument("--consensus", action="store_true", help="one merged comparison a task")
        parser.add_argument(
            "--ratings",
            default="",
            metavar="MARK",
            help="in place of comparisons, the points of this mark that single answers were given: correlations of "
            "score and rating, and the accuracy on pairs of what one annotator rated",
        )
        add_execution_arguments(parser, trains=False)
        parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        reward_model = find_reward_model(project, options["name"])
        asked = [f"split={options['split']}", *execution_assignments(options, "runtime"), *options["set"]]
        run = evaluate_reward_model(
            actor=actor,
            project=project,
            reward_model=reward_model,
            dataset=find_dataset(project, options["dataset"]),
            config=evaluation_config(asked),
            consensus=options["consensus"],
            ratings=options["ratings"],
            processes=asked_processes(options),
        )
        self.stdout.write(queued_line(run))
