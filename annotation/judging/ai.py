"""Judgments of a language model on tasks of people's: added under an account of its own, of kind ai."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext

from annotation.errors import InvalidBatch
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import AIJudging, Assignment, Batch, Task
from runs.models import Run
from workspace.accounts import create_machine_annotator
from workspace.database import write_transaction
from workspace.models import Project, User


@dataclass(frozen=True, kw_only=True)
class AIJudgment:
    task: int
    tiers: Sequence[Sequence[int]]  # response keys, best first
    metadata: Mapping[str, Any]


def judge_name(*, server: str, model: str, question: str, template_version: int) -> str:
    """The account's: another model, question or version of the instructions is another judge."""
    said = "\n".join((server, model, question, str(template_version)))
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", model).strip("-")[:80]
    return f"judge-{plain}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def require_judgeable(batch: Batch, *, takes_slots: bool) -> None:
    """Raises InvalidBatch for a batch whose tasks no judge can put in an order."""
    if batch.kind == Batch.Kind.RATING:
        raise InvalidBatch(
            gettext("The tasks of “%(name)s” are ratings: a judge compares answers.") % {"name": batch.name}
        )
    if not batch.visible:
        raise InvalidBatch(gettext("“%(name)s” is not complete yet.") % {"name": batch.name})
    if takes_slots and batch.state != Batch.State.OPEN:
        raise InvalidBatch(
            gettext("“%(name)s” is not open: a judge can stand beside people there, and take nobody's place.")
            % {"name": batch.name}
        )


def require_same_standing(batch: Batch, annotator: str, *, takes_slots: bool) -> None:
    """A judge stands beside people in a batch or in their place, not now so and now so: the overlap would say nothing.

    Raises InvalidBatch.
    """
    other = AIJudging.objects.filter(batch=batch, annotator__username=annotator).exclude(
        takes_slots=takes_slots
    )
    if other.exists():
        raise InvalidBatch(
            gettext(
                "This judge has judged tasks of “%(name)s” the other way already (beside people, or in their place)."
            )
            % {"name": batch.name}
        )


def tasks_to_judge(batch: Batch, annotator: str, only: Collection[int] | None = None) -> QuerySet[Task]:
    """Those that count, are for everybody, and that the judge has not judged; the most urgent first."""
    tasks = Task.objects.counted().in_batch(batch).filter(reserved_for__isnull=True)
    if only is not None:
        tasks = tasks.filter(pk__in=only)
    theirs = Assignment.objects.filter(task__batch=batch, annotator__username=annotator)
    judged = theirs.filter(state=Assignment.State.SUBMITTED).values("task")
    return tasks.exclude(pk__in=judged).order_by("-priority", "pk")


@write_transaction
def add_ai_judgments(
    *,
    actor: User,
    project: Project,
    batch: Batch,
    run: Run,
    annotator: str,
    judgments: Sequence[AIJudgment],
    takes_slots: bool,
    report: Mapping[str, Any],
) -> AIJudging:
    """Store what a run's judge said and its report. Once a run, however often it is called.

    Tasks that are gone, or that the judge has judged meanwhile by another run, are left out. Raises InvalidBatch.
    """
    known = AIJudging.objects.filter(run=run).first()
    if known is not None:
        return known
    user = create_machine_annotator(actor=actor, project=project, name=annotator, kind=User.Kind.AI)
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk, project=project)
    require_same_standing(batch, annotator, takes_slots=takes_slots)
    left = tasks_to_judge(batch, annotator, [judgment.task for judgment in judgments]).in_bulk()
    rows = [
        NewJudgment(
            task=left[judgment.task],
            annotator=user,
            tiers=[list(tier) for tier in judgment.tiers],
            strengths=[None] * (len(judgment.tiers) - 1),
            idempotency_key=f"judge-{run.pk}-{judgment.task}",
            metadata=judgment.metadata,
        )
        for judgment in judgments
        if judgment.task in left
    ]
    add_judgments(actor=actor, batch=batch, rows=rows, beside_people=not takes_slots)
    return AIJudging.objects.create(
        batch=batch,
        annotator=user,
        run=run,
        takes_slots=takes_slots,
        judgments=len(rows),
        report=dict(report),
    )
