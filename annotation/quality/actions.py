"""Measure the quality of a project's judgments: queue the run that does it, and store what it found."""

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Max, Model, QuerySet
from django.utils.translation import gettext

from annotation.errors import NothingToMeasure
from annotation.models import (
    Judgment,
    QualityAgreement,
    QualityAnnotator,
    QualityAnnotatorPair,
    QualityReport,
    Task,
    TaskConsensus,
)
from annotation.quality.annotator_figures import share_of
from annotation.quality.measuring import Measures, measure
from annotation.quality.reading import PURPOSES, known_results, read_gold, read_judgments
from annotation.quality.run_kind import MEASURE
from runs.actions import queue_run
from runs.models import Run
from runs.states import RunState
from workspace.actions import record_audit
from workspace.models import Membership, Project, User
from workspace.roles import Capability, roles_with

# A report is made anew by itself after so many new judgments, and after so large a share of those it is made of.
LEAST_NEW, LEAST_NEW_SHARE = 100, 0.1
LOOK_EVERY_SECONDS = 300.0
# Stored and removed in transactions of so many rows: nobody who judges waits for a whole report.
ROWS_PER_TRANSACTION = 1000
_next_look = 0.0


def measured_judgments(project: Project) -> QuerySet[Judgment]:
    counted = Judgment.objects.counted().for_datasets().filter(task__batch__project=project)
    return counted.filter(task__purpose__in=[*PURPOSES, Task.Purpose.GOLD])


def newest_report(project: Project) -> QualityReport | None:
    found: QualityReport | None = project.quality_reports.filter(is_complete=True).order_by("-pk").first()
    return found


def being_measured(project: Project) -> Run | None:
    found: Run | None = project.runs.active().filter(kind=MEASURE.name).order_by("-pk").first()
    return found


def queue_measurement(*, actor: User, project: Project) -> Run:
    """The run that measures what is there when it starts; the one that waits already where there is one.

    Raises NothingToMeasure.
    """
    with transaction.atomic():
        # Two who ask at once wait for the same run.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if (waiting := being_measured(project)) is not None and waiting.state == "queued":
            return waiting
        if not measured_judgments(project).exists():
            raise NothingToMeasure(gettext("Nothing has been judged yet: there is no quality to measure."))
        return queue_run(actor=actor, project=project, kind=MEASURE, title="Measure quality", config={})


def measure_project(
    *,
    actor: User,
    project: Project,
    run: Run | None = None,
    say: Callable[[str, int], None] = lambda what, n: None,
) -> QualityReport:
    """Measure every criterion and store the report. `say` is told what is done, and how many judgments are read.

    Raises NothingToMeasure.
    """
    newest = Judgment.objects.of_project(project).aggregate(newest=Max("pk"))["newest"] or 0
    measures, total = {}, 0
    for criterion in project.criteria.order_by("pk"):
        before = total
        name = criterion.name

        def read(number: int, name: str = name, before: int = before) -> None:
            say(f"reading {name}", before + number)

        def at(stage: str, name: str = name, before: int = before) -> None:
            say(f"{name}: {stage}", before)

        judgments = read_judgments(project, criterion, read)
        if not len(judgments.key_M):
            continue
        total += len(judgments.key_M)
        gold = read_gold(judgments.task_M[judgments.is_gold_M].tolist())
        measures[criterion.pk] = found = measure(judgments, gold, at)
        for annotator, (right, tasks) in known_results(project, criterion, newest).items():
            figures: Any = found.annotators.get(annotator)
            if figures is not None:  # none of whose only judgments came after the reading
                figures["known"] = share_of(right, tasks)
    if not measures:
        raise NothingToMeasure(gettext("Nothing has been judged yet: there is no quality to measure."))
    say("storing", total)
    return store_report(
        actor=actor, project=project, run=run, judgments=total, newest_judgment=newest, measures=measures
    )


def store_report(
    *,
    actor: User,
    project: Project,
    run: Run | None,
    judgments: int,
    newest_judgment: int,
    measures: Mapping[int, Measures],
) -> QualityReport:
    """In place of the reports before it, which are read until it is complete. Of one run there is one report, however
    often the run is tried; one that was overtaken by a report of newer judgments is not stored.
    """
    at_work = project.runs.active().filter(kind=MEASURE.name)
    if run is not None:
        at_work = at_work.exclude(pk=run.pk)
    for unfinished in project.quality_reports.filter(is_complete=False).exclude(run__in=at_work):
        _remove(unfinished)
    report = QualityReport.objects.create(
        project=project,
        run=run,
        judgments=judgments,
        newest_judgment=newest_judgment,
        summaries={str(criterion): found.summary for criterion, found in measures.items()},
        created_by=actor,
    )
    for criterion, found in measures.items():
        _insert(
            QualityAgreement,
            ["batch", "annotator_kind", "figures"],
            ((row.batch, row.kind, row.figures) for row in found.agreement),
            report, criterion,
        )  # fmt: skip
        _insert(
            QualityAnnotator,
            ["annotator", "judgments", "figures"],
            ((key, figures["judgments"], figures) for key, figures in found.annotators.items()),
            report, criterion,
        )  # fmt: skip
        _insert(
            QualityAnnotatorPair,
            ["one", "other", "pairs", "same", "kappa", "kappa_error", "apart"],
            (
                (row.one, row.other, row.pairs, row.same, row.kappa, row.kappa_error, row.apart)
                for row in found.annotator_pairs
            ),
            report, criterion,
        )  # fmt: skip
        _insert(
            TaskConsensus,
            ["task", "annotators", "certainty", "pairs"],
            ((row.task, row.annotators, row.certainty, row.pairs) for row in found.consensus),
            report, criterion,
        )  # fmt: skip
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        newest = newest_report(project)
        overtaken = newest is not None and newest.newest_judgment > newest_judgment
        if not overtaken:
            report.is_complete = True
            report.save(update_fields=["is_complete"])
            record_audit(
                actor=actor, action="quality.measure", project=project, target=report, judgments=judgments
            )
    if newest is not None and overtaken:
        _remove(report)
        return newest
    for earlier in project.quality_reports.filter(is_complete=True, pk__lt=report.pk):
        _remove(earlier)
    return report


def _remove(report: QualityReport) -> None:
    models: tuple[type[Model], ...] = (
        QualityAgreement, QualityAnnotator, QualityAnnotatorPair, TaskConsensus,
    )  # fmt: skip
    for model in models:
        rows = model._default_manager.filter(report=report)
        while keys := list(rows.values_list("pk", flat=True)[:ROWS_PER_TRANSACTION]):
            model._default_manager.filter(pk__in=keys).delete()
    report.delete()


def _insert(
    model: Any, names: list[str], rows: Iterable[tuple[Any, ...]], report: QualityReport, criterion: int
) -> None:
    attributes = [model._meta.get_field(name).attname for name in ["report", "criterion", *names]]
    left = iter(rows)
    while some := list(islice(left, ROWS_PER_TRANSACTION)):
        model.objects.bulk_create(
            [model(**dict(zip(attributes, (report.pk, criterion, *values), strict=True))) for values in some]
        )


def queue_due_measurements(now: float | None = None) -> int:
    """Measure again where enough has come since; how many runs were queued. The worker asks, about every five
    minutes.
    """
    global _next_look
    if (moment := time.monotonic() if now is None else now) < _next_look:
        return 0
    _next_look = moment + LOOK_EVERY_SECONDS
    queued = 0
    for project in Project.objects.order_by("pk"):
        report = newest_report(project)
        since = report.newest_judgment if report else 0
        least = max(LEAST_NEW, int(LEAST_NEW_SHARE * report.judgments)) if report else LEAST_NEW
        new = measured_judgments(project).filter(pk__gt=since).order_by()[:least].count()
        if new < least or being_measured(project) is not None or _failed_on_the_same(project, least):
            continue
        if (actor := _who_measures(project, report)) is not None:
            queue_measurement(actor=actor, project=project)
            queued += 1
    return queued


def _failed_on_the_same(project: Project, least: int) -> bool:
    """Whether the last measurement failed, or was cancelled, and hardly anything has come since."""
    last = project.runs.filter(kind=MEASURE.name).order_by("-pk").first()
    if last is None or last.state not in (RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED):
        return False
    since = measured_judgments(project).filter(created_at__gt=last.created_at)
    return since.order_by()[:least].count() < least


def _who_measures(project: Project, report: QualityReport | None) -> User | None:
    """Who asked for the report before, if they still may; else the manager of longest standing."""
    managers = Membership.objects.filter(
        project=project,
        role__in=roles_with(Capability.MANAGE),
        user__is_active=True,
        user__kind=User.Kind.PERSON,
    ).select_related("user")
    asked = managers.filter(user=report.created_by_id).first() if report else None
    found = asked or managers.order_by("pk").first()
    return found.user if found else None
