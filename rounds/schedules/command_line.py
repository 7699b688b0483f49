"""Options of start_round that make a schedule of it."""

from argparse import ArgumentParser
from typing import Any
from zoneinfo import ZoneInfo

from learning.interface.options import UserError
from rounds.schedules.triggers import When, parse_after, parse_at, parse_every
from workspace.models import Project


def add_when_arguments(parser: ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--at",
        metavar="TIME",
        help='start then and not now: "2026-12-01 09:00" in the project\'s time zone, or with an offset (+01:00)',
    )
    group.add_argument("--every", metavar="TIME", help='start one every week: "monday 09:00"')
    group.add_argument(
        "--after",
        metavar="WHAT",
        help='start when the round before is done ("round"), or when so many new judgments are in (a number)',
    )
    parser.add_argument("--repeat", action="store_true", help="with --after: every time, not only once")


def when_from_options(project: Project, options: dict[str, Any]) -> When | None:
    """None: now. Raises UserError."""
    if options["repeat"] and not options["after"]:
        raise UserError("--repeat goes with --after; --every repeats by itself.")
    if options["at"]:
        return parse_at(options["at"], ZoneInfo(project.time_zone))
    if options["every"]:
        return parse_every(options["every"])
    if options["after"]:
        return parse_after(options["after"], repeats=options["repeat"])
    return None
