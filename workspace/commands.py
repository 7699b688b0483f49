"""The shape of a management command that works on a project: parse, find the actor, act; mistakes exit with 2."""

import copy
import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand

from learning.options import UserError
from workspace.access import Role
from workspace.errors import ActionError
from workspace.models import Project, User


class ProjectCommand(BaseCommand):
    """Subclasses give `add_command_arguments` and `run`. A user's mistake is one sentence on stderr and exit 2."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="the project's slug, as in its address")
        parser.add_argument(
            "--as", dest="actor", metavar="USER", help="who does this (default: a manager of the project)"
        )
        self.add_command_arguments(parser)

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        """Further arguments of the command."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            project = find_project(options.pop("project"))
            actor = find_actor(project, options.pop("actor"))
            self.run(actor=actor, project=project, **options)
        except (ActionError, UserError) as error:
            self.stderr.write(str(error))
            sys.exit(2)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        raise AssertionError(f"{type(self).__name__} has no run()")


def find_project(slug: str) -> Project:
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:10]) or "none yet"
        raise ActionError(f"There is no project “{slug}” (there are: {known}).", code="no_project")
    return project


def find_actor(project: Project, username: str | None) -> User:
    """The named user, or the project's longest-standing manager."""
    if username is not None:
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise ActionError(f"There is no active user “{username}”.", code="no_user")
        return user
    membership = (
        project.memberships.filter(role=Role.MANAGER, user__is_active=True)
        .select_related("user")
        .order_by("created_at")
        .first()
    )
    if membership is None:
        raise ActionError(
            f"{project} has no active manager: say who does this with --as USER.", code="no_manager"
        )
    return membership.user


def with_settings(config: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """The config with `dotted.key=value` assignments put in, values read as JSON where they are JSON.

    Raises ActionError for an assignment that is none; whether keys and values fit is for the config's own check.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ActionError(f"“{assignment}” is not of the form key=value, for example data.epochs=2.")
        *path, last = key.split(".")
        place = changed
        for part in path:
            inner = place.get(part)
            if not isinstance(inner, dict):
                inner = {}
                place[part] = inner
            place = inner
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return changed
