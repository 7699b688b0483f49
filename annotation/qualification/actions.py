"""Trainings and who has passed them: made and changed by managers, answered by who begins to work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from annotation.batches.actions import create_batch, open_batch
from annotation.errors import InvalidTraining
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.judging.gold import known_answer, make_known_tasks
from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    GoldJudgment,
    Judgment,
    Qualification,
    Task,
    Training,
    TrainingAnswer,
)
from annotation.preferences.known_answers import Order, is_right
from annotation.queue.search import lock_member
from workspace.actions import record_audit
from workspace.database import database_now, write_transaction
from workspace.models import Criterion, Project, User
from workspace.project_context import ProjectContext
from workspace.shown_values import ChangedMeanwhile, Shown, change_values

MAX_ITEMS, MAX_TRIES = 100, 20
MAX_NOTE = 300
STATE = Qualification.State
SETTINGS = ("items", "needed", "max_tries", "is_on", "for_everybody")


@transaction.atomic
def create_training(
    *,
    actor: User,
    project: Project,
    name: str,
    criterion: Criterion,
    kind: str = Batch.Kind.PAIRWISE,
    items: int = 10,
    needed: int = 8,
    max_tries: int = 3,
    for_everybody: bool = True,
) -> Training:
    """A training without tasks, off. Raises InvalidTraining."""
    name = name.strip()
    _check(items, needed, max_tries)
    if not 1 <= len(name) <= 80:
        raise InvalidTraining(
            gettext("A training needs a name of at most 80 characters."),
            fields={"name": gettext("1 to 80 characters")},
        )
    if kind not in (Batch.Kind.PAIRWISE, Batch.Kind.RANKING):
        raise InvalidTraining(
            gettext("A training asks pairs or rankings."), fields={"kind": gettext("Pairs or rankings")}
        )
    if project.trainings.filter(name=name).exists():
        raise InvalidTraining(
            gettext("There is a training named “%(name)s” already.") % {"name": name},
            fields={"name": gettext("Taken")},
        )
    batch = create_batch(
        actor=actor, project=project, criterion=criterion, name=f"Training: {name}", overlap=1,
        responses_per_task=2 if kind == Batch.Kind.PAIRWISE else 9,
    )  # fmt: skip
    try:
        with transaction.atomic():
            training = Training.objects.create(
                project=project, name=name, batch=batch, items=items, needed=needed, max_tries=max_tries,
                for_everybody=for_everybody, created_by=actor,
            )  # fmt: skip
    except IntegrityError as error:
        raise InvalidTraining(
            gettext("There is a training named “%(name)s” already.") % {"name": name},
            fields={"name": gettext("Taken")},
        ) from error
    record_audit(actor=actor, action="training.create", project=project, target=training)
    return training


def _check(items: int, needed: int, max_tries: int) -> None:
    wrong = {}
    if not 1 <= items <= MAX_ITEMS:
        wrong["items"] = f"A try has between 1 and {MAX_ITEMS} tasks."
    if not 1 <= needed <= items:
        wrong["needed"] = "Between 1 and all tasks of a try have to be right."
    if not 1 <= max_tries <= MAX_TRIES:
        wrong["max_tries"] = f"Between 1 and {MAX_TRIES} tries are allowed."
    if wrong:
        raise InvalidTraining(" ".join(wrong.values()), fields=wrong)


def practice_tasks(training: Training) -> int:
    """How many there are whose answer is known."""
    return GoldJudgment.objects.filter(
        task__batch=training.batch_id, task__purpose=Task.Purpose.PRACTICE
    ).count()


@transaction.atomic
def change_training(
    *,
    actor: User,
    training: Training,
    items: int | None = None,
    needed: int | None = None,
    max_tries: int | None = None,
    is_on: bool | None = None,
    for_everybody: bool | None = None,
    shown: Shown = None,
) -> Training:
    """What is given. Who has passed stays so. Turned on it is asked for from the next task on.

    Raises InvalidTraining (among others when it has fewer tasks than a try), ChangedMeanwhile.
    """
    locked = (
        Training.objects.select_for_update(no_key=True, of=("self",))
        .select_related("batch")
        .get(pk=training.pk)
    )
    given = {
        "items": items, "needed": needed, "max_tries": max_tries, "is_on": is_on, "for_everybody": for_everybody
    }  # fmt: skip
    now: dict[str, Any] = {
        name: getattr(locked, name) if given[name] is None else given[name] for name in SETTINGS
    }
    _check(now["items"], now["needed"], now["max_tries"])
    if now["is_on"]:
        if (there := practice_tasks(locked)) < now["items"]:
            raise InvalidTraining(
                gettext(
                    "The training has %(there)s tasks whose answer is known, and a try has %(now)s: add "
                    "%(there2)s first."
                )
                % {"there": there, "now": now["items"], "there2": now["items"] - there},
                fields={"is_on": gettext("Too few tasks")},
            )
        if locked.batch.state == Batch.State.CLOSED:
            raise InvalidTraining(
                gettext(
                    "The batch of its tasks is closed, so that nobody could answer them: reopen it first."
                ),
                fields={"is_on": gettext("Its batch is closed")},
            )
        if locked.batch.state == Batch.State.DRAFT:
            open_batch(actor=actor, batch=locked.batch)
    changed = change_values(actor=actor, row=locked, action="training.change", given=given, shown=shown)
    # A try that is shorter now may have all its answers: nobody would be asked another.
    unfinished = changed.qualifications.select_for_update(no_key=True, of=("self",)).filter(
        state=STATE.OPEN, answered__gt=0
    )
    for qualification in unfinished.order_by("pk"):
        _decide_when_answered(actor, changed, qualification)
        qualification.save()
    return changed


@transaction.atomic
def add_practice(*, actor: User, training: Training, judgments: Sequence[Judgment]) -> int:
    """These judgments and the tasks they answer, as tasks of the training; how many are new."""
    return make_known_tasks(actor=actor, project=training.project, judgments=judgments, batch=training.batch)


@transaction.atomic
def require_training(*, actor: User, batch: Batch, training: Training | None) -> Batch:
    """Hand the batch's tasks out to those alone who have passed; None: to everybody. Raises InvalidTraining."""
    if training is not None and training.project_id != batch.project_id:
        raise InvalidTraining(gettext("The training belongs to another project."))
    locked = Batch.objects.select_for_update(no_key=True, of=("self",)).get(pk=batch.pk)
    if Training.objects.filter(batch=locked).exists():
        raise InvalidTraining(gettext("A training requires no training."))
    before, after = locked.required_training_id, training.pk if training else None
    if before != after:
        Batch.objects.filter(pk=locked.pk).update(required_training=training)
        record_audit(
            actor=actor, action="batch.require_training", project=locked.project, target=locked,
            before=before, now=after,
        )  # fmt: skip
    batch.required_training = training
    return batch


@dataclass(frozen=True)
class Answered:
    judgment: Judgment
    answer: TrainingAnswer


@write_transaction
def submit_practice(
    *,
    actor: User,
    assignment: Assignment,
    content: JudgmentInput,
    idempotency_key: str,
    project_context: ProjectContext | None = None,
) -> Answered:
    """Stores a judgment of a practice task, and whether it is right; the last of a try decides it. The same again
    changes nothing. Raises what submit_judgment raises.
    """
    training = Training.objects.select_related("project").get(batch=assignment.task.batch_id)
    lock_member(actor, training.project)
    judgment = submit_judgment(
        actor=actor,
        assignment=assignment,
        content=content,
        idempotency_key=idempotency_key,
        project_context=project_context,
    )
    if (there := TrainingAnswer.objects.filter(assignment=assignment).first()) is not None:
        return Answered(judgment, there)
    qualification, _ = Qualification.objects.select_for_update(no_key=True, of=("self",)).get_or_create(
        training=training, annotator=actor, defaults={"tries_allowed": training.max_tries}
    )
    gold = GoldJudgment.objects.get(task=assignment.task_id)
    right = is_right(Order(judgment.tiers, judgment.strengths), known_answer(gold))
    answer = TrainingAnswer.objects.create(
        qualification=qualification,
        try_number=qualification.try_number,
        assignment=assignment,
        is_right=right,
    )
    # A manager may have let them through meanwhile.
    if qualification.state == STATE.OPEN:
        qualification.answered += 1
        qualification.right += right
        _decide_when_answered(actor, training, qualification)
        qualification.save()
    answer.qualification = qualification
    return Answered(judgment, answer)


def _decide_when_answered(actor: User, training: Training, qualification: Qualification) -> None:
    """Of a try that has all its answers, whether it is passed. The caller holds the row, and saves it."""
    if qualification.answered < training.items:
        return
    passed = qualification.right >= training.needed
    qualification.state = STATE.PASSED if passed else STATE.FAILED
    qualification.decided_at, qualification.decided_by = database_now(), None
    record_audit(
        actor=actor, action="qualification.decide", project=training.project, target=qualification,
        state=str(qualification.state), right=qualification.right, answered=qualification.answered,
        try_number=qualification.try_number,
    )  # fmt: skip


@write_transaction
def begin_try(*, actor: User, training: Training) -> Qualification:
    """The actor's next try. Twice changes nothing. Raises InvalidTraining when none is left, NotAMember."""
    lock_member(actor, training.project)
    qualification = Qualification.objects.select_for_update(no_key=True, of=("self",)).filter(
        training=training, annotator=actor
    ).first()  # fmt: skip
    if qualification is None or qualification.state != STATE.FAILED:
        if qualification is None:
            raise InvalidTraining(gettext("You have not begun this training."))
        return qualification
    if qualification.try_number >= qualification.tries_allowed:
        raise InvalidTraining(gettext("No try is left: ask a manager of the project."))
    _next_try(qualification)
    record_audit(
        actor=actor, action="qualification.try", project=training.project, target=qualification,
        try_number=qualification.try_number,
    )  # fmt: skip
    return qualification


def _next_try(qualification: Qualification) -> None:
    """What was answered before stays stored, and its tasks can be handed out again."""
    answered = Assignment.objects.filter(
        annotator_id=qualification.annotator_id,
        task__batch=qualification.training.batch_id,
        state=Assignment.State.SUBMITTED,
    )
    # Whoever changes an assignment's state holds its task's row, in the order of keys.
    list(
        Task.objects.select_for_update(no_key=True)
        .filter(assignments__in=answered)
        .order_by("pk")
        .values_list("pk")
    )
    CurrentJudgment.objects.filter(
        annotator_id=qualification.annotator_id, judgment__assignment__in=answered
    ).delete()
    answered.update(state=Assignment.State.TAKEN_BACK, submitted_at=None)
    qualification.state = STATE.OPEN
    qualification.try_number += 1
    qualification.answered = qualification.right = 0
    qualification.decided_at = qualification.decided_by = None
    qualification.save()


@write_transaction
def let_through(
    *, actor: User, training: Training, annotator: User, note: str = "", expected_state: str | None = None
) -> Qualification:
    """The person gets the work without passing. Raises ChangedMeanwhile, NotAMember."""
    qualification = _of_member(training, annotator, note, expected_state)
    before = qualification.state
    if before != STATE.LET_THROUGH:
        qualification.state = STATE.LET_THROUGH
        _decide(actor, qualification, note, "qualification.let_through", before)
    return qualification


@write_transaction
def ask_again(
    *, actor: User, training: Training, annotator: User, note: str = "", expected_state: str | None = None
) -> Qualification:
    """The person has to pass it again, with as many tries as at first. What they hold they may finish."""
    qualification = _of_member(training, annotator, note, expected_state)
    before = qualification.state
    if qualification.answered or before != STATE.OPEN:
        _next_try(qualification)
        qualification.tries_allowed = qualification.try_number + training.max_tries - 1
        qualification.note = note.strip()[:MAX_NOTE]
        qualification.save(update_fields=["tries_allowed", "note"])
        record_audit(
            actor=actor, action="qualification.ask_again", project=training.project, target=qualification,
            before=before, note=qualification.note,
        )  # fmt: skip
    return qualification


def _of_member(training: Training, annotator: User, note: str, expected_state: str | None) -> Qualification:
    if len(note.strip()) > MAX_NOTE:
        raise InvalidTraining(
            gettext("A note has at most %(max_note)s characters.") % {"max_note": MAX_NOTE},
            fields={"note": gettext("Too long")},
        )
    lock_member(annotator, training.project)
    found = Qualification.objects.select_for_update(no_key=True, of=("self",)).filter(
        training=training, annotator=annotator
    )
    qualification = found.first() or Qualification(
        training=training, annotator=annotator, tries_allowed=training.max_tries
    )
    now = "none" if qualification.pk is None else qualification.state
    if expected_state is not None and expected_state != now:
        raise ChangedMeanwhile(
            gettext("This person's standing has changed since you looked: look at it again.")
        )
    if qualification.pk is None:
        qualification.save()
    return qualification


def _decide(actor: User, qualification: Qualification, note: str, action: str, before: str) -> None:
    qualification.decided_by, qualification.decided_at = actor, database_now()
    qualification.note = note.strip()
    qualification.save()
    record_audit(
        actor=actor, action=action, project=qualification.training.project, target=qualification,
        before=before, note=qualification.note,
    )  # fmt: skip
