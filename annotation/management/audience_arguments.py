"""Options of commands that make a batch: who gets it, as `set_audience` says it."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotation.assigning.actions import ALL


def add_audience_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("who gets the batch (default: everybody)")
    group.add_argument("--people", metavar="A,B", help="user names")
    group.add_argument("--groups", metavar="A,B", help="members of these groups")
    group.add_argument("--skills", metavar="A,B", help="of these who have one of these skills or languages")
    group.add_argument("--all-skills", action="store_true", help="all of --skills are needed")
    group.add_argument("--person-quota", type=int, metavar="N", help="tasks that one person judges of it")


def chosen_audience(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """What set_batch_audience takes; None: everybody."""
    chosen: dict[str, Any] = {
        name: names for name in ("people", "groups", "skills") if (names := split_names(options[name]))
    }
    if options["all_skills"] and "skills" in chosen:
        chosen["skills_asked"] = ALL
    if options["person_quota"] is not None:
        chosen["person_quota"] = options["person_quota"]
    return chosen or None


def split_names(text: str | None) -> list[str] | None:
    """None: not given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
