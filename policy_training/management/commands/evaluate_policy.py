"""manage.py evaluate_policy PROJECT POLICY --reward-model NAME --prompt-set NAME [--reference POLICY]"""

from argparse import ArgumentParser
from typing import Any

from annotation.management.names import find_prompt_set
from policy_training.actions import evaluate_policy
from policy_training.evaluation_presets import EVALUATION_PRESETS, evaluation_config
from policy_training.management.names import find_policy
from policy_training.rewarded.arguments import add_reward_arguments, rewards_from_options
from rewardmodel.management.names import find_reward_model
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from runs.management.command_line import queued_line
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue the evaluation of a policy: it answers prompts, a reward model scores them; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policy")
        parser.add_argument("--reward-model", required=True, metavar="NAME")
        parser.add_argument("--prompt-set", required=True, metavar="NAME")
        parser.add_argument(
            "--prompts", type=int, help="how many of its prompts that no training has seen (default: all)"
        )
        parser.add_argument("--reference", metavar="POLICY", help="measure the KL to it (default: no KL)")
        parser.add_argument("--preset", default="plain", choices=sorted(EVALUATION_PRESETS))
        add_reward_arguments(parser)
        add_execution_arguments(parser, trains=False)
        parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        reward_model = find_reward_model(project, options["reward_model"])
        prompt_set = find_prompt_set(project, options["prompt_set"])
        assignments = execution_assignments(options, "runtime") + options["set"]
        config = evaluation_config(options["preset"], assignments)
        config["rewards"] = {**config["rewards"], **rewards_from_options(options)}
        run = evaluate_policy(
            actor=actor,
            project=project,
            policy=find_policy(project, options["policy"]),
            reward_model=reward_model,
            prompt_set=prompt_set,
            reference=find_policy(project, options["reference"]) if options["reference"] else None,
            prompts=options["prompts"],
            config=config,
            processes=asked_processes(options),
        )
        self.stdout.write(queued_line(run))
