"""manage.py reset_password USERNAME: a new random password for somebody who forgot theirs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workspace.accounts import reset_password
from workspace.commands import require_migrated_database
from workspace.models import User


class Command(BaseCommand):
    help = (
        "Give an account a new random password, which is printed once. What was given out before stops working, and "
        "so do its open sessions. The person changes it under their name, Change password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="whose password")
        parser.add_argument("--actor", metavar="USERNAME", help="who does it, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        require_migrated_database()
        user = _find_person(options["username"])
        actor = _find_person(options["actor"]) if options["actor"] else user
        self.stdout.write(
            f"The new password of {user.username}, shown this once: {reset_password(actor=actor, user=user)}"
        )


def _find_person(username: str) -> User:
    user = User.objects.filter(username=username, kind=User.Kind.PERSON, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active person with the user name {username}.", returncode=2)
    return user
