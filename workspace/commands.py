"""The shape of a management command that works on a project: parse, find the actor, act; mistakes exit with 2."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from learning.interface.options import UserError
from workspace.errors import ActionError
from workspace.models import Project, User
from workspace.roles import Capability, roles_with
from workspace.unavailable import describe_missing_migrations, missing_migrations


def add_project_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("project", help="the project's slug, as in its address")
    parser.add_argument(
        "--actor",
        metavar="USERNAME",
        help="who acts, for the audit trail (default: the project's first manager)",
    )


class ProjectCommand(BaseCommand):
    """Subclasses give `add_command_arguments` and `run`. A mistake is one sentence on stderr and exit code 2."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_project_arguments(parser)
        self.add_command_arguments(parser)

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        """Further arguments of the command."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_migrated_database()
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        project = find_project(options.pop("project"))
        actor = find_actor(project, options.pop("actor"))
        try:
            self.run(actor=actor, project=project, **options)
        except (ActionError, UserError) as error:
            raise CommandError(str(error), returncode=2) from error

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        raise AssertionError(f"{type(self).__name__} has no run()")


def require_migrated_database() -> None:
    """Raises CommandError when tables or columns of this version are missing, OperationalError without a database."""
    if missing := missing_migrations():
        raise CommandError(describe_missing_migrations(missing), returncode=2)


def find_project(slug: str) -> Project:
    """Raises CommandError, naming the projects there are."""
    project = Project.objects.filter(slug=slug).first() or _only_project_named(slug)
    if project is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no project {slug}; there is: {known}.", returncode=2)
    return project


def _only_project_named(name: str) -> Project | None:
    """A name in another script is easier to remember than the number in its address."""
    named = list(Project.objects.filter(name=name)[:2])
    return named[0] if len(named) == 1 else None


def find_actor(project: Project, username: str | None) -> User:
    """The named person, or the project's longest-standing manager. Raises CommandError."""
    if username is not None:
        actor = User.objects.filter(username=username, is_active=True, kind=User.Kind.PERSON).first()
        if actor is None:
            raise CommandError(f"There is no active person with the user name {username}.", returncode=2)
        manages = project.memberships.filter(role__in=roles_with(Capability.MANAGE), user=actor)
        if not (manages.exists() or actor.is_superuser):
            # Who has a shell may do anything; the audit trail must not name somebody who may not.
            raise CommandError(
                f"{username} is not a manager of {project.slug}: name one who is.", returncode=2
            )
        return actor
    managers = project.memberships.filter(role__in=roles_with(Capability.MANAGE), user__is_active=True)
    manager = managers.select_related("user").order_by("pk").first()
    if manager is None:
        raise CommandError(
            f"The project {project.slug} has no manager: say who acts with --actor.", returncode=2
        )
    return manager.user
