"""manage.py train_reward_model PROJECT NAME: a reward model from the project's judgments, outside a round."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from annotation.batches.exclusion import find_batches
from annotation.datasets.files import excluded_batches_note
from annotation.datasets.names import find_dataset
from annotation.models import PreferenceDataset
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from rewardmodel.start_training import start_training
from rewardmodel.training.presets import PRESETS
from runs.actions import register_artifact
from runs.execution import add_execution_arguments, asked_processes, execution_assignments
from runs.models import Artifact
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Freeze the project's judgments into a dataset and queue the training of a reward model; a worker runs it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the reward model's name in the project")
        parser.add_argument("--start", required=True, help="a policy's or reward model's name, or a folder")
        parser.add_argument(
            "--criterion",
            action="append",
            metavar="NAME",
            help="(repeatable: one reward model for all of them; default: the only one there is)",
        )
        parser.add_argument(
            "--batch",
            action="append",
            metavar="NAME",
            help="train on this batch's judgments only (repeatable; default: all that are not excluded)",
        )
        parser.add_argument(
            "--dataset",
            metavar="NAME[@VERSION]",
            help="a frozen dataset instead (default: freeze the judgments now)",
        )
        parser.add_argument("--preset", default="tiny", choices=sorted(PRESETS))
        parser.add_argument(
            "--annotator-kinds",
            "--kinds",
            nargs="+",
            default=[PERSON],
            choices=ANNOTATOR_KINDS,
            help="whose judgments to train on (default: person); --kinds is the old spelling",
        )
        parser.add_argument(
            "--consensus", action="store_true", help="one merged row a task, not one a judgment"
        )
        parser.add_argument(
            "--ratings",
            default="",
            metavar="MARK",
            help="learn from ratings of single answers too: of the answers to one prompt, what an annotator gave more "
            "points of this mark is better, equal points are a tie; with --set objective.ranking_loss=regression (or "
            "ordinal) from the points alone",
        )
        parser.add_argument(
            "--points-per-grade",
            type=float,
            metavar="POINTS",
            help="the strength of such a pair is the distance of its points divided by this, at most 3 (default: none)",
        )
        add_execution_arguments(parser)
        parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        chosen: dict[str, Any]
        if options["dataset"] is not None:
            if options["criterion"] or options["batch"] or options["annotator_kinds"] != [PERSON]:
                raise ActionError(
                    "--dataset names judgments that are chosen already: leave --criterion, --batch and "
                    "--annotator-kinds out.",
                    code="bad_option",
                )
            chosen = {"dataset": find_dataset(project, options["dataset"])}
        else:
            names = dict.fromkeys(options["criterion"] or [None])
            chosen = {
                "criteria": [find_criterion(project, name) for name in names],
                "batches": find_batches(project, options["batch"]),
                "annotator_kinds": options["annotator_kinds"],
            }
        run = start_training(
            actor=actor,
            project=project,
            name=options["name"],
            base=resolve_base_model(actor, project, options["start"]),
            preset=options["preset"],
            assignments=execution_assignments(options, "runtime") + options["set"],
            consensus=options["consensus"],
            ratings=options["ratings"],
            points_per_grade=options["points_per_grade"],
            processes=asked_processes(options),
            **chosen,
        )
        dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"])
        if note := excluded_batches_note(dataset):
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
