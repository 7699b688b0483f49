"""Which quality report a dataset may be frozen with, and the files that it then has beside its judgments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext

from annotation.datasets.damage import DatasetDamaged
from annotation.datasets.selection import Selection
from annotation.datasets.shards import describe_file
from annotation.models import COUNTED_PURPOSES, PreferenceDataset, QualityReport
from workspace.errors import ActionError
from workspace.models import AuditEvent, Criterion, Project

# What a manifest may name beside the judgments, each with its `file` and the report that it is of.
BESIDE = ("consensus", "annotator_weights")


class NoConsensus(ActionError):
    """No report has labels, or abilities of annotators, for what is selected."""

    code = "no_consensus"


def newest_complete(project: Project) -> QualityReport | None:
    found: QualityReport | None = project.quality_reports.filter(is_complete=True).order_by("-pk").first()
    return found


def report_for(selection: Selection, *, number: int | None = None) -> QualityReport:
    """The newest report, when it has measured all that is selected. `number`: the one that was asked for.

    Raises NoConsensus.
    """
    project = selection.project
    report = newest_complete(project)
    again = gettext("measure again (Quality > Measure, or manage.py measure_quality %(project)s)") % {
        "project": project.slug
    }
    if report is None:
        raise NoConsensus(
            gettext("The quality of %(project)s was never measured: %(again)s for its consensus.")
            % {"project": project.slug, "again": again}
        )
    if number is not None and number != report.pk:
        raise NoConsensus(
            gettext("There is no quality report %(number)s of %(project)s any more: %(pk)s is the newest.")
            % {"number": number, "project": project.slug, "pk": report.pk}
        )
    if set(selection.purposes) - set(COUNTED_PURPOSES):
        raise NoConsensus(
            gettext(
                "A measurement of quality is of normal and head-to-head tasks: select these "
                "alone, not %(what)s."
            )
            % {"what": ", ".join(selection.purposes)}
        )
    if selection.conditions.until is not None:
        raise NoConsensus(
            gettext(
                "A measurement of quality is of all judgments there are, not of those up to a "
                "day: leave out one of both."
            )
        )
    for criterion in selected_criteria(selection):
        summary: Mapping[str, Any] | None = report.summaries.get(str(criterion.pk))
        if summary is None or summary.get("crowd") is None:
            raise NoConsensus(
                gettext(
                    "The newest measurement has no consensus on %(name)s: nobody has judged what "
                    "another did, or it was measured before; %(again)s."
                )
                % {"name": criterion.name, "again": again}
            )
        if set(selection.annotator_kinds) != {summary["kind"]}:
            raise NoConsensus(
                gettext(
                    "The consensus on %(name)s is that of annotators of kind %(kind)s: select "
                    "their judgments alone."
                )
                % {"name": criterion.name, "kind": summary["kind"]}
            )
    if report.changed_at() is not None:
        raise NoConsensus(
            gettext(
                "Since the newest measurement of quality a batch was excluded or taken in again, "
                "or an import taken back: %(again)s."
            )
            % {"again": again}
        )
    unseen = Q(pk__gt=report.newest_judgment) | Q(from_import__in=_imports_since(report))
    if newer := selection.judgments().filter(unseen).count():
        raise NoConsensus(
            gettext(
                "%(newer)s of the selected judgments came after the newest measurement of "
                "quality: %(again)s, so that it has them."
            )
            % {"newer": f"{newer:,}", "again": again}
        )
    return report


def selected_criteria(selection: Selection) -> list[Criterion]:
    """Those chosen; of all, those on which something is selected."""
    return list(selection.criteria) or list(
        selection.project.criteria.filter(batches__in=selection.judgments().values("task__batch")).distinct()
    )


def _imports_since(report: QualityReport) -> list[int]:
    """Their judgments may have smaller keys than the newest one measured: the keys are given when a file is begun, and
    nobody reads its judgments until it is done.
    """
    begun = (report.run.started_at if report.run else None) or report.created_at
    done = AuditEvent.objects.filter(
        project=report.project_id, action="comparisons.import", created_at__gt=begun
    )
    return [details["imported"] for details in done.values_list("details", flat=True)]


def files_beside(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [manifest[what]["file"] for what in BESIDE if what in manifest]


def require_file(dataset: PreferenceDataset, manifest: Mapping[str, Any], what: str) -> Path | None:
    """One of BESIDE, checked against the manifest; None of a dataset without it. Raises DatasetDamaged."""
    if (known := manifest.get(what)) is None:
        return None
    folder = Path(settings.DATA_DIR) / dataset.directory
    described = known["file"]
    path = folder / described["name"]
    if not path.is_file() or describe_file(path, described["rows"], folder) != described:
        raise DatasetDamaged(
            gettext("A file of the dataset “%(name)s” is missing or was changed: %(path)s.")
            % {"name": dataset.name, "path": path}
        )
    return path


def require_files_beside(dataset: PreferenceDataset, manifest: Mapping[str, Any]) -> None:
    """Raises DatasetDamaged."""
    for what in BESIDE:
        require_file(dataset, manifest, what)
