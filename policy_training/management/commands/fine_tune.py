"""manage.py fine_tune PROJECT NAME: a policy from the project's demonstrations."""

from argparse import ArgumentParser
from typing import Any

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelArchitecture, ModelSource
from policy_training.actions import pretrain, train_sft
from policy_training.models import Policy
from policy_training.training.supervised_presets import LANGUAGE_MODEL_PRESETS
from workspace.commands import ProjectCommand
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue supervised fine-tuning (or pretraining) on the project's demonstrations; a worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the new policy's name in the project")
        parser.add_argument("--preset", default="tiny", choices=sorted(LANGUAGE_MODEL_PRESETS))
        parser.add_argument(
            "--start", help="name of the policy to start from (default: a model from scratch, see --set)"
        )
        parser.add_argument(
            "--pretrain", action="store_true", help="the loss counts every token, not the responses only"
        )
        parser.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help="values of the config, for example data.steps=400 model.source.from_scratch.hidden_size=256",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        parent = None
        if options["start"]:
            parent = Policy.objects.filter(project=project, name=options["start"]).first()
            if parent is None:
                raise ActionError(f"The project has no policy “{options['start']}”.", code="no_policy")
        config = LANGUAGE_MODEL_PRESETS[options["preset"]].config(
            ModelSource(from_scratch=ModelArchitecture())
        )
        action = pretrain if options["pretrain"] else train_sft
        run = action(
            actor=actor,
            project=project,
            name=options["name"],
            config=apply_overrides(options_to_dict(config), options["set"]),
            parent=parent,
        )
        self.stdout.write(f"Queued run {run.pk}: {run.title}. `manage.py worker` executes it.")
