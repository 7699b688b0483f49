"""manage.py sample_tasks PROJECT POLICY --prompt-set NAME [--samples N] [--temperatures T ...] [--open]"""

from argparse import ArgumentParser
from typing import Any

from policy_training.actions import sample_tasks
from policy_training.models import Policy
from policy_training.training.config import SampleOptions
from workspace.commands import ProjectCommand
from workspace.config_overrides import apply_overrides
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue sampling whose answers become a batch of tasks, together with the answers that the prompts have from "
        "files: alternatives to the turns that `import_prompts --from-dialogues` took. A worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policy", help="name of the policy that answers")
        parser.add_argument("--prompt-set", required=True, metavar="NAME")
        parser.add_argument("--prompts", type=int, help="how many of its prompts (default: all)")
        parser.add_argument(
            "--samples", type=int, default=1, help="of each prompt at each temperature (default: 1)"
        )
        parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0])
        parser.add_argument("--criterion", help="name (default: the only one)")
        parser.add_argument("--batch-name", help="default: the prompt set and the policy")
        parser.add_argument(
            "--overlap", type=int, help="how many people judge each task (default: the project's)"
        )
        parser.add_argument(
            "--samples-only", action="store_true", help="without the answers that the prompts have from files"
        )
        parser.add_argument("--open", action="store_true", help="hand the tasks out at once; else a draft")
        parser.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help=f"other values, for example sampling.max_response_tokens=128 (default "
            f"{SampleOptions().max_response_tokens}) sampling.top_p=0.9",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        policy = Policy.objects.filter(project=project, name=options["policy"]).first()
        if policy is None:
            raise ActionError(f"The project has no policy “{options['policy']}”.", code="no_policy")
        prompt_set = project.prompt_sets.filter(name=options["prompt_set"]).first()
        if prompt_set is None:
            raise ActionError(f"The project has no prompt set “{options['prompt_set']}”.", code="no_prompts")
        config = {
            "samples_per_prompt": options["samples"],
            "sampling": {"temperatures": options["temperatures"]},
        }
        run = sample_tasks(
            actor=actor,
            project=project,
            policy=policy,
            prompt_set=prompt_set,
            criterion=find_criterion(project, options["criterion"]),
            config=apply_overrides(config, options["set"]),
            batch_name=options["batch_name"],
            prompts=options["prompts"],
            overlap=options["overlap"],
            with_given=not options["samples_only"],
            open_at_once=options["open"],
        )
        self.stdout.write(
            f"Queued run {run.pk}: {run.title}. When `manage.py worker` has executed it, its answers are the "
            f"{'open' if options['open'] else 'draft'} batch “{run.parameters['tasks']['batch_name']}”."
        )
