"""manage.py unlock_login: let somebody try again who was locked out for too many wrong passwords."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workspace.commands import require_migrated_database
from workspace.login_throttle import forget_failures


class Command(BaseCommand):
    help = (
        "Forget wrong passwords, so that who was locked out for them may log in at once: those at a user name, those "
        "from an address, or with --everybody all. Who tried what from where stands in the log of the site and on the "
        "operators' pages (Access failures)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", help="whose failed tries to forget, in any spelling")
        parser.add_argument(
            "--address", help="forget those from this address (with a name: of both together)"
        )
        parser.add_argument("--everybody", action="store_true", help="forget all")

    def handle(self, *args: Any, **options: Any) -> None:
        name, address = options["username"], options["address"]
        if options["everybody"] == bool(name or address):
            raise CommandError("Say whom: a user name, --address, or --everybody.", returncode=2)
        require_migrated_database()
        forgotten = forget_failures(name=name, address=address)
        self.stdout.write(f"Forgotten: {forgotten} failed {'try' if forgotten == 1 else 'tries'}.")
