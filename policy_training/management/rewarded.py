"""What the commands of trainings by reward models share."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from annotation.management.names import find_prompt_set
from policy_training.management.starting import add_start_arguments, start_from_options
from policy_training.mixtures.arguments import TRAINED, add_mixture_arguments, mixture_from_options
from policy_training.rewarded.arguments import add_reward_arguments, rewards_from_options
from rewardmodel.management.names import find_reward_model
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from workspace.errors import ActionError
from workspace.models import Project


def add_rewarded_arguments(parser: ArgumentParser, presets: Sequence[str]) -> None:
    parser.add_argument("name", help="the new policy's name in the project")
    add_start_arguments(parser)
    parser.add_argument("--reward-model", required=True, metavar="NAME")
    parser.add_argument("--prompt-set", metavar="NAME", help="or several by their shares, with --trained-set")
    add_mixture_arguments(parser, TRAINED)
    parser.add_argument("--preset", default="tiny", choices=sorted(presets))
    add_reward_arguments(parser)
    add_execution_arguments(parser)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")


def asked_rewarded(
    project: Project,
    options: Mapping[str, Any],
    make_config: Callable[[str, Sequence[str]], dict[str, Any]],
) -> dict[str, Any]:
    """As the actions take them. Raises ActionError."""
    reward_model = find_reward_model(project, options["reward_model"])
    mixture = mixture_from_options(options, TRAINED)
    if bool(mixture) == bool(options["prompt_set"]):
        raise ActionError(
            "Give --prompt-set, or several sets with --trained-set, and not both.", code="no_prompts"
        )
    prompt_set = None if mixture else find_prompt_set(project, options["prompt_set"])
    config = make_config(options["preset"], execution_assignments(options, "runtime") + options["set"])
    config["rewards"] = {**config["rewards"], **rewards_from_options(options)}
    return {
        "project": project,
        "name": options["name"],
        "start": start_from_options(project, options),
        "reward_model": reward_model,
        "prompt_set": prompt_set,
        "mixture": mixture or None,
        "config": config,
        "processes": asked_processes(options),
    }
