"""manage.py prune [--budget SIZE] [--dry-run]"""

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from maintenance.pruning import prune
from workspace.commands import require_migrated_database

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise ArgumentTypeError(f"{text} is no size: write for example 500MB or 20GB")
    return int(float(found[1]) * UNITS[found[2]])


class Command(BaseCommand):
    help = (
        "Free the disk: checkpoints of runs that are done, half-written files of processes that are gone, folders that "
        "no record names. Models, datasets, inputs, logs and metrics of runs on record always stay. With --budget, as "
        "long as the data folder is larger, also checkpoints of failed and cancelled runs, the oldest first: started "
        "again, these begin anew. Exit code 1 when the budget cannot be met."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--budget", type=size, metavar="SIZE", help="of the whole data folder, such as 20GB"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="list what would go, with sizes; remove nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require_migrated_database()
        budget, dry_run = options["budget"], options["dry_run"]
        pruned = prune(budget=budget, dry_run=dry_run)
        for found in pruned.removed:
            name = found.path.relative_to(settings.DATA_DIR)
            self.stdout.write(f"{_size(found.size):>9}  {name}  {found.why}")
        things = f"{len(pruned.removed)} thing{'' if len(pruned.removed) == 1 else 's'}"
        would = "would be removed" if dry_run else "removed"
        self.stdout.write(
            f"{things} {would}: {_size(pruned.freed)}; {settings.DATA_DIR} then has {_size(pruned.used_after)}."
            if pruned.removed
            else f"There is nothing to remove; {settings.DATA_DIR} has {_size(pruned.used_after)}."
        )
        if budget is not None and pruned.used_after > budget:
            raise CommandError(
                f"The budget of {_size(budget)} is not met: what is left are results, their records and the database. "
                "Make the budget larger, or move backups and files that are not the site's elsewhere.",
                returncode=1,
            )


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
