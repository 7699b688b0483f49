"""manage.py disagreements PROJECT [--criterion C] [--limit N]"""

from argparse import ArgumentParser
from typing import Any

from annotation.adjudication.listing import count_kinds, orders_said, undecided_tasks
from annotation.errors import NothingToMeasure
from annotation.quality.actions import newest_report
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Which tasks annotators disagree on and nobody has decided, the least certain first."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--criterion", help="Where there are several.")
        parser.add_argument("--limit", type=int, default=100, metavar="N", help="list so many (default: 100)")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        report = newest_report(project)
        if report is None:
            raise NothingToMeasure(
                f"The quality of {project.slug} was never measured: manage.py measure_quality {project.slug}."
            )
        waiting = undecided_tasks(report, find_criterion(project, options["criterion"]))
        rows = list(waiting.select_related("task__batch")[: max(0, options["limit"])])
        said = orders_said([row.task_id for row in rows])
        for row in rows:
            judgments, orders = said.get(row.task_id, (0, 0))
            self.stdout.write(
                f"task {row.task_id} of “{row.task.batch.name}”: certainty {100 * row.certainty:.0f} %, judgments "
                f"{judgments}, different orders {orders}"
            )
        decided = "; ".join(f"{label}: {number}" for _, label, number in count_kinds(project) if number)
        self.stdout.write(f"{waiting.count()} wait for a decision. Decided: {decided or 'none'}.")
