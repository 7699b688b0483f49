"""manage.py worker: carries runs, advances rounds, sweeps lapsed leases. Start as many as there are machines."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from rounds.work import ALL_KINDS, tick
from runs.supervisor import work


class Command(BaseCommand):
    help = "Carry runs and advance rounds until stopped (Ctrl-C or SIGTERM hands a run back; it resumes elsewhere)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="one tick and at most one run, then leave")
        parser.add_argument(
            "--kinds",
            nargs="+",
            choices=sorted(kind.name for kind in ALL_KINDS),
            help="carry only these kinds of run",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        carried = work(ALL_KINDS, tick, once=options["once"], only=options["kinds"])
        self.stdout.write(f"Carried {carried} run{'' if carried == 1 else 's'}.")
