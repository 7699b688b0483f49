"""manage.py train_reward_model PROJECT NAME: a reward model from the project's judgments, outside a round."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from rewardmodel.management.judgments import add_judgment_arguments, asked_judgments, excluded_note
from rewardmodel.start_training import start_training
from rewardmodel.training.presets import PRESETS
from runs.actions import register_artifact
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from runs.models import Artifact
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Freeze the project's judgments into a dataset and queue the training of a reward model; a worker runs it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the reward model's name in the project")
        parser.add_argument("--start", required=True, help="a policy's or reward model's name, or a folder")
        parser.add_argument("--preset", default="tiny", choices=sorted(PRESETS))
        add_judgment_arguments(
            parser,
            note_on_ratings="; with --set objective.ranking_loss=regression (or ordinal) from the points alone",
        )
        add_execution_arguments(parser)
        parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        run = start_training(
            actor=actor,
            project=project,
            name=options["name"],
            base=resolve_base_model(actor, project, options["start"]),
            preset=options["preset"],
            assignments=execution_assignments(options, "runtime") + options["set"],
            processes=asked_processes(options),
            **asked_judgments(project, options),
        )
        if note := excluded_note(run.parameters):
            self.stdout.write(note)
        self.stdout.write(f"Queued run {run.pk}: {run.title}. `manage.py worker` runs it.")


def resolve_base_model(actor: User, project: Project, start: str) -> Artifact:
    """A policy or reward model of the project by name, or a model's folder."""
    kinds = (Artifact.Kind.POLICY, Artifact.Kind.REWARD_MODEL)
    artifacts = Artifact.objects.filter(project=project, kind__in=kinds)
    named = artifacts.filter(policy__name=start).first() or artifacts.filter(reward_model__name=start).first()
    if named is not None:
        return named
    folder = Path(start).resolve()
    if not (folder / "config.json").is_file():
        raise ActionError(
            f"“{start}” is neither a policy nor a reward model of the project, nor a model's folder.",
            code="no_start",
        )
    return register_artifact(actor=actor, project=project, kind=Artifact.Kind.POLICY, path=folder)
