"""What the commands that compare policies ask: by which reward models, judge and people, on which prompts."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotation.management.names import find_prompt_set
from policy_training.comparing.actions import comparison_config
from policy_training.evaluation_presets import EVALUATION_PRESETS
from rewardmodel.management.names import find_reward_model
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project


def add_measuring_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--reward-model", required=True, metavar="NAME")
    parser.add_argument(
        "--further-reward-model",
        action="append",
        default=[],
        metavar="NAME",
        help="says who wins on the same answers too, for example one of another criterion (repeatable)",
    )
    parser.add_argument("--prompt-set", required=True, metavar="NAME")
    parser.add_argument(
        "--prompts", type=int, help="how many of its prompts that no training has seen (default: all)"
    )
    parser.add_argument("--preset", default="plain", choices=sorted(EVALUATION_PRESETS))
    parser.add_argument("--server", default="", metavar="NAME", help="of a judge (default: no judge)")
    parser.add_argument("--model", default="", help="the judge's, as the server calls it")
    parser.add_argument("--question", default="", help="what the judge is asked")
    parser.add_argument("--criteria", nargs="+", default=[], help="on which people compare them, too")
    parser.add_argument("--overlap", type=int, default=1, help="people a pair (default 1)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")


def measuring_options(project: Project, options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of both actions. Raises ActionError."""
    prompt_set = find_prompt_set(project, options["prompt_set"])
    if bool(options["server"]) != bool(options["model"]):
        raise ActionError("A judge is a server and a model: give both, or neither.", code="no_judge")
    return {
        "reward_model": find_reward_model(project, options["reward_model"]),
        "further_reward_models": [
            find_reward_model(project, name) for name in options["further_reward_model"]
        ],
        "prompt_set": prompt_set,
        "prompts": options["prompts"],
        "criteria": [find_criterion(project, name) for name in options["criteria"]],
        "overlap": options["overlap"],
        "config": comparison_config(
            preset=options["preset"],
            server=options["server"],
            model=options["model"],
            question=options["question"],
            outside_server=options.get("outside_server", ""),
            assignments=options["set"],
        ),
    }
