"""The options of a command that say which judgments a dataset is made of."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotation.batches.exclusion import find_batches
from annotation.datasets.conditions import Conditions
from annotation.datasets.days import begin_of, end_of
from annotation.datasets.selection import DEFAULT_ANNOTATOR_KINDS
from annotation.models import COUNTED_PURPOSES, Task
from workspace.criteria import find_criterion
from workspace.models import Project, User

NAMES = (
    *("batch", "round", "criterion", "purposes", "annotator_kinds"),
    *("decisions", "min_agreement", "min_characters", "max_characters", "since", "until"),
)


def add_selection_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--batch", action="append", metavar="NAME", help="Only this batch (repeatable).")
    parser.add_argument(
        "--round", action="append", type=int, metavar="N", help="Only batches of this round (repeatable)."
    )
    parser.add_argument("--criterion")
    parser.add_argument(
        "--purposes",
        nargs="+",
        choices=Task.Purpose.values,
        # The former name of practice tasks.
        type=lambda name: Task.Purpose.PRACTICE.value if name == "training" else name,
        help=f"Judgments of which tasks (default: {' '.join(COUNTED_PURPOSES)}).",
    )
    parser.add_argument(
        "--annotator-kinds",
        nargs="+",
        choices=User.Kind.values,
        help="Whose judgments (default: person); machines' are never mixed with people's unless named here.",
    )
    parser.add_argument(
        "--decisions",
        action="store_true",
        default=None,
        help="Of tasks that a reviewer has decided, that decision in place of the annotators' judgments.",
    )
    parser.add_argument(
        "--min-agreement",
        type=float,
        metavar="SHARE",
        help="Only tasks on which at least this share (0 to 1) of pairs of annotators agree; those that one person "
        "judged are left out.",
    )
    parser.add_argument(
        "--min-characters", type=int, metavar="N", help="Only tasks whose answers all have at least so many."
    )
    parser.add_argument("--max-characters", type=int, metavar="N", help="And at most so many.")
    parser.add_argument(
        "--since", metavar="DATE", help="Only judgments last made on this day or later (project's time zone)."
    )
    parser.add_argument("--until", metavar="DATE", help="Only judgments made up to the end of this day.")


def given_selection_options(options: Mapping[str, Any]) -> list[str]:
    """Those that were given, as they are typed."""
    return [f"--{name.replace('_', '-')}" for name in NAMES if options[name] is not None]


def read_selection(project: Project, options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of freeze_dataset. Raises ActionError."""
    criterion, since, until = options["criterion"], options["since"], options["until"]
    return {
        "criterion": find_criterion(project, criterion) if criterion is not None else None,
        "batches": find_batches(project, options["batch"]),
        "rounds": options["round"] or (),
        "purposes": options["purposes"] or COUNTED_PURPOSES,
        "annotator_kinds": options["annotator_kinds"] or DEFAULT_ANNOTATOR_KINDS,
        "decisions": bool(options["decisions"]),
        "conditions": Conditions(
            min_agreement=options["min_agreement"],
            min_characters=options["min_characters"],
            max_characters=options["max_characters"],
            since=None if since is None else begin_of(project, since),
            until=None if until is None else end_of(project, until),
        ),
    }
