"""manage.py measure_quality PROJECT"""

from typing import Any

from annotation.quality.actions import measure_project
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Measure how well annotators agree and how reliable each is, and store it for the pages of quality."
    )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        report = measure_project(actor=actor, project=project)
        people = report.annotators.values("annotator").distinct().count()
        self.stdout.write(
            f"{project.slug}: {report.judgments} judgments of {people} annotators measured; "
            f"{report.consensus.count()} tasks have a consensus. It is report {report.pk}."
        )
