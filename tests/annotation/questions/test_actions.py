"""Questions about a task: asked once, answered once, and nobody's answer is overwritten unseen."""

import pytest

from annotation.access import access_question
from annotation.errors import InvalidQuestion, InvalidText, NotAMember, NotYourTask
from annotation.models import TaskQuestion
from annotation.questions.actions import (
    MAX_QUESTIONS,
    AnsweredMeanwhile,
    answer_question,
    ask_question,
    questions_of,
)
from annotation.queue.actions import claim_task
from workspace.members import remove_member
from workspace.models import AuditEvent
from workspace.roles import Capability

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def held(project, ada, make_batch):
    make_batch(tasks=1)
    return claim_task(actor=ada, project=project)


def test_a_question_is_asked_once_however_often_it_is_sent(held, ada, project):
    first = ask_question(actor=ada, assignment=held, text=" Which is meant?\n")
    assert ask_question(actor=ada, assignment=held, text="Which is meant?") == first
    assert (first.text, first.task_id, first.answer) == ("Which is meant?", held.task_id, "")
    assert AuditEvent.objects.filter(action="question.ask").count() == 1
    assert questions_of(ada, project, 10) == [first]


@pytest.mark.parametrize("text", ["", "  \n", "a\0b", "x" * 2001])
def test_what_is_no_question_is_refused(held, ada, text):
    with pytest.raises((InvalidQuestion, InvalidText)):
        ask_question(actor=ada, assignment=held, text=text)
    assert not TaskQuestion.objects.exists()


def test_only_who_has_the_task_asks_and_only_while_a_member(held, ada, max_, ruth, project):
    with pytest.raises(NotYourTask):
        ask_question(actor=ruth, assignment=held, text="Which?")
    remove_member(actor=max_, project=project, user=ada)
    with pytest.raises(NotAMember):
        ask_question(actor=ada, assignment=held, text="Which?")


def test_nobody_fills_the_list_with_one_task(held, ada):
    for number in range(MAX_QUESTIONS):
        ask_question(actor=ada, assignment=held, text=f"Question {number}?")
    with pytest.raises(InvalidQuestion, match="At most 20"):
        ask_question(actor=ada, assignment=held, text="One more?")


def test_of_two_answers_the_second_is_told_of_the_first(held, ada, ruth, max_):
    question = ask_question(actor=ada, assignment=held, text="Which?")
    answer_question(actor=ruth, question=question, answer="The first.")
    with pytest.raises(AnsweredMeanwhile) as caught:
        answer_question(actor=max_, question=question, answer="The second.")
    assert caught.value.current == "The first."
    # The same again changes nothing; knowing of it, somebody may correct it.
    answer_question(actor=ruth, question=question, answer="The first.")
    now = answer_question(actor=max_, question=question, answer="The second.", expected_answer="The first.")
    assert (now.answer, now.answered_by) == ("The second.", max_)
    said = (
        AuditEvent.objects.filter(action="question.answer").order_by("pk").values_list("details", flat=True)
    )
    assert [(d["before"], d["now"]) for d in said] == [("", "The first."), ("The first.", "The second.")]


def test_a_question_of_another_project_is_missing(held, ada, olga):
    from django.http import Http404

    question = ask_question(actor=ada, assignment=held, text="Which?")
    with pytest.raises(Http404):
        access_question(olga.memberships.get().project, question.pk, frozenset(Capability))
