"""What a person is told in training: where they are, and after each task which answer was right and why.

Only of practice tasks that they have answered themselves; of gold tasks nobody who judges learns anything.
"""

from typing import Any

from django.http import Http404
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from annotation.judging.gold import known_answer
from annotation.models import Assignment, GoldJudgment, Judgment, Qualification, Training, TrainingAnswer
from annotation.preferences.scale import tiers_to_labels
from annotation.rendering.html_cache import show_markdown
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt
from workspace.models import Project, User


def training_place(actor: User, task_id: int) -> dict[str, Any]:
    """Of a practice task on the screen: its training, and which task of the try it is."""
    training = Training.objects.get(batch__tasks=task_id)
    now = Qualification.objects.filter(training=training, annotator=actor).first()
    answered = now.answered if now else 0
    return {
        "training": training,
        "place": min(answered + 1, training.items),
        "try_number": now.try_number if now else 1,
    }


def describe_answer(answer: TrainingAnswer) -> dict[str, Any]:
    """In the labels that the person saw."""
    assignment = answer.assignment
    judgment = Judgment.objects.filter(assignment=assignment).order_by("pk").first()
    gold = GoldJudgment.objects.get(task=assignment.task_id)
    order = judgment.order_shown if judgment else assignment.order_shown

    def words(tiers: Any, strengths: Any) -> str:
        return describe_judgment(tiers_to_labels(order, tiers), list(strengths))

    known = known_answer(gold)
    return {
        "answer": answer,
        "said": words(judgment.tiers, judgment.strengths) if judgment else "",
        "expected": words(gold.tiers, gold.strengths),
        "others": [words(one.tiers, one.strengths) for one in known.orders[1:]],
        "is_close_enough": gold.tolerance is None or gold.tolerance > 0,
        "reason": show_markdown(gold.explanation) if gold.explanation.strip() else SafeString(""),
    }


def feedback_html(answer: TrainingAnswer) -> str:
    qualification = Qualification.objects.select_related("training__project").get(pk=answer.qualification_id)
    training = qualification.training
    context = describe_answer(answer) | {
        "qualification": qualification,
        "training": training,
        "project": training.project,
        "tries_left": qualification.tries_allowed - qualification.try_number,
        "is_over": answer.try_number != qualification.try_number or qualification.answered >= training.items,
    }
    return render_to_string("annotation/qualification/feedback.html", context)


def told_in_training(answer: TrainingAnswer) -> dict[str, Any]:
    """The same for a program, in the labels of the task as it was shown to its person."""
    gold = GoldJudgment.objects.get(task=answer.assignment.task_id)
    now = Qualification.objects.get(pk=answer.qualification_id)
    return {
        "right": answer.is_right,
        "tiers": tiers_to_labels(answer.assignment.order_shown, gold.tiers),
        "strengths": gold.strengths,
        "reason": gold.explanation,
        "state": now.state,
        "answered": now.answered,
        "right_so_far": now.right,
    }


def find_answer(assignment: Assignment) -> TrainingAnswer:
    """Of the person whose assignment it is. Raises Http404 before they have answered."""
    found = TrainingAnswer.objects.select_related("assignment").filter(assignment=assignment).first()
    if found is None:
        raise Http404("No such answer.")
    return found


def own_trainings(actor: User, project: Project) -> list[dict[str, Any]]:
    """The trainings that the actor is asked for, has begun or has passed, as they stand for them."""
    standing = {
        one.training_id: one
        for one in Qualification.objects.filter(annotator=actor, training__project=project)
    }
    rows = []
    for training in Training.objects.filter(project=project).order_by("pk"):
        now = standing.get(training.pk)
        asked = training.is_on and (
            training.for_everybody or training.required_by.filter(state="open", visible=True).exists()
        )
        if not asked and now is None:
            continue
        state = now.state if now else Qualification.State.OPEN
        rows.append(
            {
                "training": training,
                "now": now,
                "is_qualified": state in Qualification.QUALIFIED,
                "is_waiting": asked and state == Qualification.State.OPEN,
                "is_failed": asked and state == Qualification.State.FAILED,
                "tries_left": now.tries_allowed - now.try_number if now else training.max_tries - 1,
            }
        )
    return rows


def own_answers(actor: User, training: Training, limit: int = 100) -> list[dict[str, Any]]:
    """What the actor said in the training, the newest first."""
    found = (
        TrainingAnswer.objects.filter(qualification__annotator=actor, qualification__training=training)
        .select_related("assignment__task__prompt")
        .order_by("-pk")[:limit]
    )
    return [
        describe_answer(answer)
        | {"prompt": excerpt(answer.assignment.task.prompt.messages[-1]["content"], 160)}
        for answer in found
    ]
