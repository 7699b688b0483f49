"""What the commands that train on judgments share: which judgments, a frozen dataset's or those there are now."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotation.batches.exclusion import find_batches
from annotation.datasets.files import excluded_batches_note
from annotation.datasets.names import find_dataset
from annotation.models import PreferenceDataset
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project


def add_judgment_arguments(parser: ArgumentParser, *, note_on_ratings: str = "") -> None:
    parser.add_argument(
        "--criterion",
        action="append",
        metavar="NAME",
        help="(repeatable: one model for all of them; default: the only one there is)",
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
    parser.add_argument(
        "--annotator-kinds",
        "--kinds",
        nargs="+",
        default=[PERSON],
        choices=ANNOTATOR_KINDS,
        help="whose judgments to train on (default: person); --kinds is the old spelling",
    )
    parser.add_argument("--consensus", action="store_true", help="one merged row a task, not one a judgment")
    parser.add_argument(
        "--consensus-labels",
        action="store_true",
        help="with --consensus, of judgments that are frozen now: the label is that of the newest quality report",
    )
    parser.add_argument(
        "--annotator-weights",
        action="store_true",
        help="annotators count after their ability in the quality report that the dataset was frozen with, or in the "
        "newest",
    )
    parser.add_argument(
        "--ratings",
        default="",
        metavar="MARK",
        help="learn from ratings of single answers too: of the answers to one prompt, what an annotator gave more "
        "points of this mark is better, equal points are a tie" + note_on_ratings,
    )
    parser.add_argument(
        "--points-per-grade",
        type=float,
        metavar="POINTS",
        help="the strength of such a pair is the distance of its points divided by this, at most 3 (default: none)",
    )


def asked_judgments(project: Project, options: Mapping[str, Any]) -> dict[str, Any]:
    """As the actions take them. Raises ActionError."""
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
    return chosen | {
        "consensus": options["consensus"],
        "consensus_labels": options["consensus_labels"],
        "annotator_weights": options["annotator_weights"],
        "ratings": options["ratings"],
        "points_per_grade": options["points_per_grade"],
    }


def excluded_note(parameters: Mapping[str, Any]) -> str:
    """What the dataset of a run with these parameters leaves out, in a sentence; empty where nothing."""
    return excluded_batches_note(PreferenceDataset.objects.get(pk=parameters["dataset"]))
