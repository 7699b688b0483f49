"""manage.py quality_report PROJECT [--what agreement|annotators|consensus|leaderboard] [--criterion C] [--format F]"""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from annotation.errors import NothingToMeasure
from annotation.models import QualityReport
from annotation.quality.actions import newest_report
from learning.interface.record_rows import iso_utc
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.csv_lines import csv_line
from workspace.models import Criterion, Project, User

INTERVAL = ("", "_low", "_high", "_of")  # the ends of a figure's columns
Row = dict[str, Any]


class Command(ProjectCommand):
    help = "Print what the newest measurement of quality found, as JSON Lines or CSV."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--what", choices=sorted(_ROWS), default="agreement")
        parser.add_argument("--criterion", help="Only this one (default: all).")
        parser.add_argument("--format", choices=["json", "csv"], default="json")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        report = newest_report(project)
        if report is None:
            raise NothingToMeasure(
                f"The quality of {project.slug} was never measured: manage.py measure_quality {project.slug}."
            )
        name = options["criterion"]
        wanted = [find_criterion(project, name)] if name else list(project.criteria.order_by("pk"))
        rows = (row for criterion in wanted for row in _ROWS[options["what"]](report, criterion))
        if options["format"] == "json":
            for row in rows:
                self.stdout.write(json.dumps(row, ensure_ascii=False))
            return
        flat = [_flat(row) for row in rows]
        names = list(dict.fromkeys(name for row in flat for name in row))
        for cells in [names, *([row.get(name, "") for name in names] for row in flat)]:
            self.stdout.write(csv_line(cells).decode(), ending="")


def _head(report: QualityReport, criterion: Criterion) -> Row:
    return {"report": report.pk, "measured_at": iso_utc(report.created_at), "criterion": criterion.name}


def _agreement(report: QualityReport, criterion: Criterion) -> Iterator[Row]:
    for row in report.agreement.filter(criterion=criterion).select_related("batch").order_by("pk"):
        if row.batch is None or row.batch.visible:
            batch = row.batch.name if row.batch else None
            said = {"batch": batch, "annotator_kind": row.annotator_kind, "figures": row.figures}
            yield _head(report, criterion) | said


def _annotators(report: QualityReport, criterion: Criterion) -> Iterator[Row]:
    for row in report.annotators.filter(criterion=criterion).select_related("annotator").order_by("pk"):
        person = row.annotator
        said = {"annotator": person.pseudonym, "annotator_kind": person.kind, "figures": row.figures}
        yield _head(report, criterion) | said


def _consensus(report: QualityReport, criterion: Criterion) -> Iterator[Row]:
    found = report.consensus.filter(criterion=criterion, task__batch__visible=True).select_related("task")
    for row in found.order_by("pk").iterator():
        said = {"task": row.task_id, "batch": row.task.batch_id, "annotators": row.annotators}
        yield _head(report, criterion) | said | {"certainty": row.certainty}


def _leaderboard(report: QualityReport, criterion: Criterion) -> Iterator[Row]:
    found = (report.summaries.get(str(criterion.pk)) or {}).get("leaderboard") or {}
    for source in found.get("sources", []):
        names = ("name", "score", "error", "won", "tied", "lost")
        yield _head(report, criterion) | {name: source[name] for name in names}


_ROWS = {
    "agreement": _agreement,
    "annotators": _annotators,
    "consensus": _consensus,
    "leaderboard": _leaderboard,
}


def _flat(row: Mapping[str, Any], before: str = "") -> Row:
    """Figures of figures get names of their own; [value, low, high, of how many] four columns, other lists JSON."""
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, "" if name == "figures" else f"{before}{name}.")
        elif isinstance(value, list) and all(one is None or isinstance(one, int | float) for one in value):
            ends = zip(INTERVAL, value, strict=False)
            flat |= {f"{before}{name}{end}": "" if one is None else one for end, one in ends}
        elif isinstance(value, list):
            flat[before + name] = json.dumps(value, ensure_ascii=False)
        else:
            flat[before + name] = "" if value is None else value
    return flat
