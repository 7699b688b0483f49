"""What commands that train a policy say of where it starts: from a policy, or from one that is being made."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from policy_training.coming_policies import Predecessor, find_predecessor
from policy_training.management.names import find_policy
from policy_training.models import Policy
from runs.management.command_line import queued_line
from runs.models import Run
from workspace.models import Project


def add_start_arguments(parser: ArgumentParser, *, required: bool = True, note: str = "") -> None:
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--start", metavar="POLICY", help="name of the policy to start from" + note)
    group.add_argument(
        "--after-run",
        type=int,
        metavar="N",
        help="start from the policy that this run is making, as soon as it is there",
    )
    group.add_argument(
        "--after-training",
        type=int,
        metavar="N",
        help="the same of a training that waits itself: its number, see chained_trainings",
    )


def start_from_options(project: Project, options: Mapping[str, Any]) -> Policy | Predecessor | None:
    """None where nothing is named. Raises ActionError."""
    if options["after_run"] is not None:
        return find_predecessor(project, run=options["after_run"])
    if options["after_training"] is not None:
        return find_predecessor(project, training=options["after_training"])
    return find_policy(project, options["start"]) if options["start"] else None


def what_was_started(started: Any) -> str:
    """A line about what start_or_chain returned."""
    if isinstance(started, Run):
        return queued_line(started)
    return f"Asked for training {started.pk}: {started.title}. {started.situation.rstrip('.')}; then it is queued."
