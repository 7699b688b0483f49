"""manage.py sample_tasks PROJECT POLICY [POLICY ...] --prompt-set NAME [--samples N] [--temperatures T ...] [--open]"""

from argparse import ArgumentParser
from typing import Any

from annotation.management.names import find_prompt_set
from policy_training.actions import sample_tasks
from policy_training.evaluation_presets import EVALUATION_PRESETS
from policy_training.management.names import find_policy
from policy_training.supervised.options import sample_config
from policy_training.training.config import SampleOptions
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue sampling whose answers become a batch of tasks, together with the answers that the prompts have from "
        "files: alternatives to the turns that `import_prompts --from-dialogues` took. A worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "policy", nargs="+", help="name of the policy that answers; several: each answers every prompt"
        )
        parser.add_argument("--prompt-set", required=True, metavar="NAME")
        parser.add_argument("--prompts", type=int, help="how many of its prompts (default: all)")
        parser.add_argument(
            "--samples", type=int, default=1, help="of each prompt at each temperature (default: 1)"
        )
        parser.add_argument("--preset", default="plain", choices=sorted(EVALUATION_PRESETS))
        parser.add_argument("--temperatures", type=float, nargs="+", help="default: the preset's")
        parser.add_argument("--criterion", help="name (default: the only one)")
        parser.add_argument("--batch-name", help="default: the prompt set and the policy")
        parser.add_argument(
            "--overlap", type=int, help="how many people judge each task (default: the project's)"
        )
        parser.add_argument(
            "--samples-only", action="store_true", help="without the answers that the prompts have from files"
        )
        parser.add_argument(
            "--responses",
            type=int,
            choices=[1],
            help="1: every different answer is a task of its own, to be rated (default: all of a prompt in one task)",
        )
        parser.add_argument("--open", action="store_true", help="hand the tasks out at once; else a draft")
        add_execution_arguments(parser, trains=False)
        parser.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help=f"other values, for example sampling.max_response_tokens=128 (default "
            f"{SampleOptions().max_response_tokens}) sampling.top_p=0.9",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        policies = [find_policy(project, name) for name in dict.fromkeys(options["policy"])]
        prompt_set = find_prompt_set(project, options["prompt_set"])
        temperatures = ", ".join(map(str, options["temperatures"] or ()))
        assignments = [
            f"samples_per_prompt={options['samples']}",
            *([f"sampling.temperatures=[{temperatures}]"] if temperatures else []),
            *execution_assignments(options, "runtime"),
            *options["set"],
        ]
        runs = sample_tasks(
            actor=actor,
            project=project,
            policies=policies,
            prompt_set=prompt_set,
            criterion=find_criterion(project, options["criterion"]),
            config=sample_config(assignments, preset=options["preset"]),
            batch_name=options["batch_name"],
            prompts=options["prompts"],
            overlap=options["overlap"],
            with_given=not options["samples_only"],
            single_answers=options["responses"] == 1,
            open_at_once=options["open"],
            processes=asked_processes(options),
        )
        for run in runs:
            self.stdout.write(f"Queued run {run.pk}: {run.title}.")
        one = len(runs) == 1
        self.stdout.write(
            f"When `manage.py worker` has executed {'it' if one else 'them'}, {'its' if one else 'their'} answers are "
            f"the {'open' if options['open'] else 'draft'} batch “{runs[0].parameters['tasks']['batch_name']}”."
        )
