"""What `pretrain` and `fine_tune` share: their arguments, and the options of the run these ask for."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from policy_training.management.starting import add_start_arguments, start_from_options
from policy_training.supervised.options import language_model_config
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from workspace.models import Project


def add_language_model_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="the new policy's name in the project")
    parser.add_argument("--preset", default="tiny", choices=sorted(LANGUAGE_MODEL_PRESETS))
    add_start_arguments(parser, required=False, note=" (default: a model from scratch, see --set)")
    add_execution_arguments(parser)
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values of the config, for example data.steps=400 model.source.from_scratch.hidden_size=256",
    )


def language_model_options(project: Project, options: Mapping[str, Any]) -> dict[str, Any]:
    """name, config, parent and processes, as the actions take them. Raises ActionError."""
    return {
        "name": options["name"],
        "config": language_model_config(
            options["preset"], execution_assignments(options, "runtime") + options["set"]
        ),
        "parent": start_from_options(project, options),
        "processes": asked_processes(options),
    }
