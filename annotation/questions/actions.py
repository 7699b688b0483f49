"""Questions about a task: asked by who holds it, answered by who reviews."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from annotation.errors import InvalidQuestion
from annotation.models import Assignment, TaskQuestion
from annotation.queue.actions import require_own_assignment
from annotation.queue.search import lock_member
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.errors import ActionError
from workspace.models import Project, User

MAX_QUESTION_CHARACTERS = 2_000
MAX_QUESTIONS = 20  # of one person about one task


class AnsweredMeanwhile(ActionError):
    """Somebody else has answered since the actor looked; `current` is what they said."""

    code = "answered_meanwhile"
    is_conflict = True

    def __init__(self, message: str, *, current: str) -> None:
        super().__init__(message)
        self.current = current


@write_transaction
def ask_question(*, actor: User, assignment: Assignment, text: str) -> TaskQuestion:
    """The actor's question about a task of theirs; the same again is the one that is there.

    Raises NotYourTask, NotAMember, InvalidQuestion.
    """
    require_own_assignment(actor, assignment)
    text = _clean(text, "The question")
    project = assignment.task.batch.project
    lock_member(actor, project)
    theirs = TaskQuestion.objects.filter(assignment=assignment)
    if (there := theirs.filter(text=text).first()) is not None:
        return there
    if theirs.count() >= MAX_QUESTIONS:
        raise InvalidQuestion(
            gettext("At most %(max_questions)s questions about a task.") % {"max_questions": MAX_QUESTIONS}
        )
    try:
        with transaction.atomic():
            question = TaskQuestion.objects.create(
                task_id=assignment.task_id, assignment=assignment, author=actor, text=text
            )
    except IntegrityError:
        return theirs.get(text=text)
    record_audit(actor=actor, action="question.ask", project=project, target=question)
    return question


@transaction.atomic
def answer_question(
    *, actor: User, question: TaskQuestion, answer: str, expected_answer: str = ""
) -> TaskQuestion:
    """The answer, which its author is shown. `expected_answer`: what the actor saw (empty: none).

    Raises InvalidQuestion, and AnsweredMeanwhile when somebody has answered otherwise since.
    """
    answer = _clean(answer, "The answer")
    locked = TaskQuestion.objects.select_for_update(no_key=True, of=("self",)).get(pk=question.pk)
    if locked.answer == answer:
        return locked
    if locked.answer != expected_answer:
        raise AnsweredMeanwhile(
            gettext(
                "Somebody has answered meanwhile; theirs is on this page. Send yours again to put it in its place."
            ),
            current=locked.answer,
        )
    before = locked.answer
    locked.answer, locked.answered_by, locked.answered_at = answer, actor, timezone.now()
    locked.save(update_fields=["answer", "answered_by", "answered_at"])
    record_audit(
        actor=actor,
        action="question.answer",
        project=question.task.batch.project,
        target=locked,
        before=before,
        now=answer,
    )
    return locked


def _clean(text: str, what: str) -> str:
    text = clean_text(text, what).strip()
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise InvalidQuestion(
            gettext("%(what)s has %(text)s characters; at most %(max_question_characters)s.")
            % {
                "what": what,
                "text": f"{len(text):,}",
                "max_question_characters": f"{MAX_QUESTION_CHARACTERS:,}",
            }
        )
    return text


def questions_of_project(project: Project) -> QuerySet[TaskQuestion]:
    """In batches that can be seen."""
    return TaskQuestion.objects.filter(task__batch__project=project, task__batch__visible=True)


def questions_of(actor: User, project: Project, limit: int) -> list[TaskQuestion]:
    """The actor's own, the newest first."""
    own = TaskQuestion.objects.filter(author=actor, task__batch__project=project)
    return list(own.select_related("task__prompt", "assignment").order_by("-pk")[:limit])
