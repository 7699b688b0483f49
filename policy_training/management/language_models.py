"""What `pretrain` and `fine_tune` share: their arguments, and the options of the run these ask for."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelArchitecture, ModelSource
from policy_training.models import Policy
from policy_training.training.supervised_presets import LANGUAGE_MODEL_PRESETS
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import Project


def add_language_model_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="the new policy's name in the project")
    parser.add_argument("--preset", default="tiny", choices=sorted(LANGUAGE_MODEL_PRESETS))
    parser.add_argument(
        "--start", help="name of the policy to start from (default: a model from scratch, see --set)"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values of the config, for example data.steps=400 model.source.from_scratch.hidden_size=256",
    )


def language_model_options(project: Project, options: Mapping[str, Any]) -> dict[str, Any]:
    """name, config and parent, as the actions take them. Raises ActionError."""
    parent = None
    if options["start"]:
        parent = Policy.objects.filter(project=project, name=options["start"]).first()
        if parent is None:
            raise ActionError(f"The project has no policy “{options['start']}”.", code="no_policy")
    config = LANGUAGE_MODEL_PRESETS[options["preset"]].config(ModelSource(from_scratch=ModelArchitecture()))
    return {
        "name": options["name"],
        "config": apply_overrides(options_to_dict(config), options["set"]),
        "parent": parent,
    }
