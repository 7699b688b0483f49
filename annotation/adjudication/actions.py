"""Decide where annotators disagree, and send a judgment back to its author. What was judged stays as it is."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from annotation.batches.decision_tasks import insert_decision_task
from annotation.errors import BatchNotOpen, DecidedMeanwhile, InvalidDecision, NotYourTask, ReturnedAlready
from annotation.judging.decisions import store_decision
from annotation.models import (
    Adjudication,
    Assignment,
    Batch,
    DisagreementKind,
    Judgment,
    ReturnedJudgment,
    Task,
    standing_decisions,
)
from annotation.queue.actions import lock_task
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import Project, User

MAX_REMARK_CHARACTERS = 2_000


def current_decision(task: Task) -> Adjudication | None:
    found: Adjudication | None = (
        task.adjudications.filter(superseded_by__isnull=True).select_related("author").first()
    )
    return found


def current_decisions(project: Project) -> QuerySet[Adjudication]:
    """Those that stand, of batches that can be seen; the withdrawn are not among them."""
    return standing_decisions().filter(task__batch__project=project, task__batch__visible=True)


@write_transaction
def decide_task(
    *,
    actor: User,
    task: Task,
    order_shown: list[int],
    tiers: list[list[int]],
    strengths: list[int | None],
    kind: str,
    rationale: str = "",
    expected: int | None = None,
) -> Adjudication:
    """The actor's decision, in response keys: a judgment of its own, beside those of the annotators.

    `expected`: the key of the decision the actor saw (None: none). Decided again, the new one supersedes it.
    Raises InvalidDecision, InvalidJudgment, DecidedMeanwhile.
    """
    if kind not in DisagreementKind.values:
        raise InvalidDecision(
            gettext("“%(kind)s” is no kind of disagreement: %(values)s.")
            % {"kind": kind, "values": ", ".join(DisagreementKind.values)},
            fields={"kind": gettext("Choose why they disagree.")},
        )
    task = lock_task(task.pk)
    if not task.uses_slots:
        raise InvalidDecision(gettext("Only tasks that annotators judge for datasets are decided."))
    if not Judgment.objects.current().filter(task=task).exists():
        raise InvalidDecision(gettext("Nobody has judged this task yet: there is nothing to decide."))
    if len(order_shown) < 2:
        raise InvalidDecision(gettext("A single answer has no order that could be decided."))
    if task.assignments.filter(annotator=actor, state=Assignment.State.OWN).exists():
        raise InvalidDecision(
            gettext("You led one of these conversations yourself: another reviewer decides about them.")
        )
    before = current_decision(task)
    if (before.pk if before else None) != expected:
        raise DecidedMeanwhile(
            gettext(
                "Somebody has decided this task since you opened it: look at their decision, and "
                "send yours again to put "
                "it in its place."
            )
        )
    decision_task = insert_decision_task(task=task, reserved_for=actor)
    store_decision(
        reviewer=actor,
        task=decision_task,
        order_shown=order_shown,
        tiers=tiers,
        strengths=strengths,
        rationale=rationale,
        # Of a dataset's row it says that it is a decision, and on what.
        metadata={"decision": {"task_id": str(task.pk), "kind": kind}},
    )
    made = Adjudication.objects.create(
        task=task, decision_task=decision_task, kind=kind, author=actor, supersedes=before
    )
    record_audit(
        actor=actor,
        action="task.adjudicate",
        project=task.batch.project,
        target=made,
        task=task.pk,
        kind=kind,
    )
    return made


@write_transaction
def return_judgment(*, actor: User, judgment: Judgment, remark: str) -> ReturnedJudgment:
    """Send a judgment back to its author, who is shown the remark and not whose it is.

    Raises InvalidDecision, BatchNotOpen, ReturnedAlready.
    """
    remark = _clean_remark(remark, "The remark")
    task = lock_task(judgment.task_id)
    _require_answerable(actor, judgment, task)
    if ReturnedJudgment.objects.filter(judgment=judgment).exists():
        raise ReturnedAlready(gettext("This judgment was sent back already: its author has the remark."))
    if not Judgment.objects.current().filter(pk=judgment.pk).exists():
        raise ReturnedAlready(
            gettext("This judgment was changed or withdrawn meanwhile: look at what is there now.")
        )
    made = ReturnedJudgment.objects.create(judgment=judgment, remark=remark, author=actor)
    record_audit(
        actor=actor,
        action="judgment.return",
        project=task.batch.project,
        target=made,
        judgment=judgment.pk,
        remark=remark,
    )
    return made


def _require_answerable(actor: User, judgment: Judgment, task: Task) -> None:
    """Its author can see the remark and change the judgment."""
    if judgment.annotator_id == actor.pk:
        raise InvalidDecision(gettext("This judgment is your own: change it on your own page."))
    if not task.uses_slots:
        raise InvalidDecision(
            gettext("This task is one of a training or a check: nobody is asked to look at it again.")
        )
    if judgment.from_import_id is not None or judgment.annotator.kind != User.Kind.PERSON:
        raise InvalidDecision(gettext("It comes from a file or a machine: nobody is there to read a remark."))
    is_member = task.batch.project.memberships.filter(user=judgment.annotator_id).exists()
    if not is_member or not judgment.annotator.is_active:
        raise InvalidDecision(
            gettext("Its author is no member of the project any more: decide the task instead.")
        )
    if task.batch.state == Batch.State.CLOSED:
        raise BatchNotOpen(
            gettext(
                "The batch “%(name)s” is closed, so its author could not change the judgment: decide "
                "the task, or open the batch again."
            )
            % {"name": task.batch.name}
        )


def open_returns(actor: User, project: Project) -> QuerySet[ReturnedJudgment]:
    """What the actor has been sent back and has neither changed nor stood by, the oldest first."""
    own = ReturnedJudgment.objects.filter(
        judgment__annotator=actor, judgment__task__batch__project=project, judgment__task__batch__visible=True
    )
    waiting = own.filter(kept_at__isnull=True, judgment__current_pointer__isnull=False)
    return waiting.select_related(
        "judgment__assignment", "judgment__task__prompt", "judgment__task__batch"
    ).order_by("pk")


@write_transaction
def keep_judgment(*, actor: User, returned: ReturnedJudgment, reason: str = "") -> ReturnedJudgment:
    """The author stands by it. The same again changes nothing. Raises NotYourTask, ReturnedAlready, InvalidDecision."""
    if returned.judgment.annotator_id != actor.pk:
        raise NotYourTask(gettext("This judgment is somebody else's."))
    reason = _clean_remark(reason, "The reason", allow_empty=True)
    task = lock_task(returned.judgment.task_id)
    locked = ReturnedJudgment.objects.select_for_update(no_key=True, of=("self",)).get(pk=returned.pk)
    if locked.kept_at is not None:
        return locked
    if not Judgment.objects.current().filter(pk=locked.judgment_id).exists():
        raise ReturnedAlready(gettext("You have changed this judgment meanwhile."))
    locked.kept_at, locked.reason = timezone.now(), reason
    locked.save(update_fields=["kept_at", "reason"])
    record_audit(
        actor=actor, action="judgment.keep", project=task.batch.project, target=locked, reason=reason
    )
    return locked


def _clean_remark(text: str, what: str, **how: Any) -> str:
    text = clean_text(text, what, **how).strip()
    if len(text) > MAX_REMARK_CHARACTERS:
        raise InvalidDecision(
            gettext("%(what)s has %(text)s characters; at most %(max_remark_characters)s.")
            % {"what": what, "text": f"{len(text):,}", "max_remark_characters": f"{MAX_REMARK_CHARACTERS:,}"}
        )
    if not text and not how.get("allow_empty"):
        raise InvalidDecision(
            gettext("%(what)s is empty: say in a sentence what to look at again.") % {"what": what}
        )
    return text
