"""manage.py worker: executes runs, advances rounds, sweeps lapsed leases, serves models.

Start as many as there are machines.
"""

from argparse import ArgumentParser
from contextlib import nullcontext, suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from policy_training.serving.kind import POLICY_SERVERS
from rewardmodel.run_kinds import SCORE
from rewardmodel.serving.kind import SCORERS
from rounds.worker_tasks import RUN_KINDS, periodic_tasks
from runs.os_processes import refuse_inspection
from runs.serving.keeper import keeping_services
from runs.worker import run_worker
from workspace.commands import require_migrated_database


class Command(BaseCommand):
    help = "Execute runs and advance rounds until stopped (Ctrl-C or SIGTERM hands a run back; it resumes elsewhere)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once",
            action="store_true",
            help="do the periodic tasks once and execute at most one run, then leave",
        )
        parser.add_argument(
            "--kinds",
            nargs="+",
            choices=sorted(kind.name for kind in RUN_KINDS),
            help="execute only these kinds of run; reward models and policies are served where "
            f"{SCORE.name} is one of them",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_inspection()
        # A database that does not answer yet is waited for, as one that goes away later is.
        with suppress(OperationalError):
            require_migrated_database()
        kinds = options["kinds"]
        serves = not options["once"] and (kinds is None or SCORE.name in kinds)
        try:
            with keeping_services([SCORERS, POLICY_SERVERS]) if serves else nullcontext():
                executed = run_worker(RUN_KINDS, periodic_tasks, once=options["once"], only=kinds)
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        self.stdout.write(f"Executed {executed} run{'' if executed == 1 else 's'}.")
