"""manage.py create_token PROJECT NAME [--scope read|write|score] [--role ROLE] [--days N]"""

from argparse import ArgumentParser
from typing import Any

from workspace.commands import ProjectCommand
from workspace.models import ApiToken, Membership, Project, User
from workspace.tokens.actions import create_token
from workspace.tokens.forms import DEFAULT_DAYS


class Command(ProjectCommand):
    help = (
        "Make a token of the REST API and print it, this once. It is the actor's: it may what they may on the project "
        "whenever it is used, at most as the role."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="which program it is for")
        parser.add_argument("--scope", choices=ApiToken.Scope.values, default="read")
        parser.add_argument("--role", choices=Membership.Role.values, default="manager")
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=f"default {DEFAULT_DAYS}")
        parser.add_argument("--all-projects", action="store_true", help="for all projects of the actor")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        _, text = create_token(
            actor=actor,
            project=None if options["all_projects"] else project,
            name=options["name"],
            scope=options["scope"],
            role=options["role"],
            days=options["days"],
        )
        self.stdout.write(text)
