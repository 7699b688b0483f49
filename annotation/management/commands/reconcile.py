"""manage.py reconcile [PROJECT]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from annotation.queue.counters import find_counter_drift
from workspace.commands import find_project


class Command(BaseCommand):
    help = "Compare every task's counters with the judgments and leases they stand for; changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", help="the project's slug (default: all projects)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = find_project(options["project"]) if options["project"] else None
        with transaction.atomic():
            if connection.vendor == "postgresql":
                # One moment of the database: people go on judging while this reads.
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            drift = find_counter_drift(project)
        for line in drift:
            self.stdout.write(line)
        if drift:
            raise CommandError(f"{len(drift)} of the counters and pointers drifted; nothing was changed.")
        self.stdout.write("Every counter agrees with its rows.")
