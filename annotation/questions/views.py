"""What annotators asked about tasks, for who reviews: a list, and a field for the answer."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_question, shown_to
from annotation.questions.actions import (
    MAX_QUESTION_CHARACTERS,
    AnsweredMeanwhile,
    answer_question,
    questions_of_project,
)
from annotation.rendering.markdown import excerpt
from workspace.errors import ActionError
from workspace.lists import Filter, read_list
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

OPEN, ANSWERED = "open", "answered"
ANSWERS = Filter(
    name="answers",
    label=gettext_lazy("Answers"),
    choices=[(OPEN, gettext_lazy("Without an answer")), (ANSWERED, gettext_lazy("Answered"))],
    apply=lambda rows, value: rows.filter(answered_at__isnull=value == OPEN),
)


class AnswerForm(forms.Form):
    answer = forms.CharField(max_length=MAX_QUESTION_CHARACTERS, label=gettext_lazy("Answer"))
    expected_answer = forms.CharField(required=False, strip=False, label=gettext_lazy("Expected answer"))


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def questions(request: ProjectRequest) -> HttpResponse:
    return _page(request, {})


def _page(request: ProjectRequest, typed: dict[int, str], *, status: int = 200) -> HttpResponse:
    """`typed`: what was written for a question and is not stored."""
    found = shown_to(request.user, questions_of_project(request.project), request.capabilities, "author")
    found = found.select_related("author", "answered_by", "task__prompt", "task__batch")
    listing = read_list(request, found, filters=[ANSWERS])
    rows = [
        {
            "question": question,
            "prompt": excerpt(question.task.prompt.messages[-1]["content"], 120),
            "typed": typed.get(question.pk, question.answer),
        }
        for question in listing.rows
    ]
    context = {"listing": listing, "rows": rows, "most": MAX_QUESTION_CHARACTERS}
    return render(request, "annotation/questions/questions.html", context, status=status)


@require_POST
@never_cache
@project_view(Capability.ANSWER)
def answer(request: ProjectRequest, pk: int) -> HttpResponse:
    question = access_question(request.project, pk, request.capabilities)
    form = AnswerForm(request.POST)
    typed = {question.pk: request.POST.get("answer", "")}
    if not form.is_valid():
        messages.error(
            request,
            gettext("An answer has 1 to %(max_question_characters)s characters.")
            % {"max_question_characters": f"{MAX_QUESTION_CHARACTERS:,}"},
        )
        return _page(request, typed, status=422)
    # Line ends as CR LF, as browsers send them, are those of the stored answer.
    expected = form.cleaned_data["expected_answer"].replace("\r\n", "\n")
    text = form.cleaned_data["answer"].replace("\r\n", "\n")
    try:
        answer_question(actor=request.user, question=question, answer=text, expected_answer=expected)
    except AnsweredMeanwhile as error:
        messages.error(
            request,
            gettext("%(message)s They said: “%(current)s”")
            % {"message": error.message, "current": error.current},
        )
        return _page(request, typed, status=409)
    except ActionError as error:
        messages.error(request, error.message)
        return _page(request, typed, status=422)
    messages.success(
        request, gettext("%(username)s is shown your answer.") % {"username": question.author.username}
    )
    return redirect("annotation:questions", slug=request.project.slug)
