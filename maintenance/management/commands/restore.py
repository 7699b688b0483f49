"""manage.py restore DIR [--at NAME]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from maintenance.backups.restoring import restore_backup
from workspace.errors import ActionError


class Command(BaseCommand):
    help = (
        "Bring a backup of DIR back, into an empty database and an empty data folder, which may be another machine's "
        "or lie elsewhere (ROUNDTABLE_DATABASE_URL, ROUNDTABLE_DATA_DIR). Every hash is verified first; a site in use "
        "is never overwritten. Stop site and workers before."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path, help="a folder that `manage.py backup` wrote")
        parser.add_argument(
            "--at", metavar="NAME", help="which backup (default: the newest; `backup DIR --list`)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            site = restore_backup(
                options["folder"], at=options["at"], say=self._say if options["verbosity"] else lambda _: None
            )
        except ActionError as error:
            raise CommandError(str(error), returncode=2) from error
        rows = site.manifest.database.rows
        self.stdout.write(
            f"Restored {site.manifest.name} into {settings.DATA_DIR}: {len(rows)} tables, {sum(rows.values()):,} rows "
            f"and {sum(1 for _ in site.manifest.all_files()):,} files, equal to the backup."
        )
        if site.waiting_runs:
            self.stdout.write(
                f"{site.waiting_runs} of the runs wait for a worker; they go on from their checkpoints."
            )
        for sentence in site.manifest.faults:
            self.stdout.write(f"Missing or changed before the backup: {sentence}.")
        if site.missing_migrations:
            self.stdout.write("The backup is of an earlier version: run `manage.py migrate` now.")
        if not site.with_secret_key:
            self.stdout.write(
                "Unless this site has the secret key of the old one, everybody has to log in anew."
            )
        self.stdout.write(
            "Then `manage.py collectstatic --noinput`, `manage.py reconcile`, and start site and workers."
        )

    def _say(self, sentence: str) -> None:
        self.stderr.write(f"{sentence} ...")
