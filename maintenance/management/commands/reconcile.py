"""manage.py reconcile [PROJECT] [--quick] [--repair]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from annotation.datasets.files import find_dataset_faults
from annotation.queue.counters import find_counter_drift
from annotation.queue.counts import repair_counts
from maintenance.pruning import find_removable
from runs.stored_files import find_artifact_faults, find_result_faults
from workspace.commands import find_project


class Command(BaseCommand):
    help = (
        "Compare every task's counters with the judgments and leases they stand for, and every file that the database "
        "names with what is on disk. Changes nothing, unless --repair is given. Exit code 1 when something differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", help="the project's slug (default: all projects)")
        parser.add_argument(
            "--quick",
            action="store_true",
            help="do not read models and datasets through: whether they are there, and their sizes",
        )

        parser.add_argument(
            "--repair",
            action="store_true",
            help="first put the counts of what is left and judged right, from the tasks and judgments they stand for",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = find_project(options["project"]) if options["project"] else None
        if options["repair"]:
            repaired = _count(repair_counts(project), "count")
            self.stdout.write(f"{repaired} of what is left and judged were put right.")
        with transaction.atomic():
            if connection.vendor == "postgresql":
                # One moment of the database: people go on judging while this reads.
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            drift = find_counter_drift(project)
        for line in drift:
            self.stdout.write(line)
        if not drift:
            self.stdout.write("Every counter agrees with its rows.")
        read = not options["quick"]
        artifacts, faults = find_artifact_faults(project, read=read)
        results, more = find_result_faults(project, read=read)
        datasets, others = find_dataset_faults(project, read=read)
        faults += more + others
        for line in faults:
            self.stdout.write(line)
        if not faults and artifacts + results + datasets:
            counts = f"{_count(artifacts, 'artifact')}, {_count(results, 'result')} and {_count(datasets, 'dataset')}"
            how = "read and compared" if read else "looked for, not read"
            self.stdout.write(f"Every file that the database names is there: {counts} {how}.")
        if project is None:
            self._say_what_can_go()
        said, remedies = [], []
        if drift:
            said.append(f"{len(drift)} of the counters and pointers drifted")
            remedies.append("`reconcile --repair` puts the counts of what is left and judged right")
        if faults:
            said.append(f"{len(faults)} of the files are missing or were changed")
            remedies.append(
                "restore a backup into an empty folder (`manage.py restore`) and copy the files named above from "
                "there; without one, make the models and datasets again"
            )
        if said:
            raise CommandError(
                f"{' and '.join(said)}; nothing was changed. What to do: {'; '.join(remedies)}."
            )

    def _say_what_can_go(self) -> None:
        """Files that no record names, and what runs left behind."""
        found = [each for each in find_removable(Path(settings.DATA_DIR)) if not each.only_for_budget]
        if found:
            size = sum(each.size for each in found) / 1e6
            self.stdout.write(
                f"{_count(len(found), 'file or folder', 'files and folders')} ({size:,.1f} MB) can go: "
                "`manage.py prune --dry-run` lists them."
            )


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
