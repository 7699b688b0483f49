"""A project corrected together with what follows from it: its question, and batches that are there already."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from annotation.batches.actions import change_overlap
from annotation.models import Batch
from workspace.actions import change_question_settings
from workspace.models import Project, User
from workspace.project_settings import correct_project


@transaction.atomic
def correct_project_and_batches(
    *, actor: User, project: Project, adjust_batches: bool = False, **values: Any
) -> Project:
    """`correct_project`, and with `adjust_batches` its batches that are not closed get the same people per task: all or
    nothing. Raises as both.
    """
    corrected = correct_project(actor=actor, project=project, **values)
    if adjust_batches:
        batches = project.batches.filter(visible=True).exclude(state=Batch.State.CLOSED)
        for batch in batches.order_by("pk"):
            change_overlap(actor=actor, batch=batch, overlap=corrected.overlap)
    return corrected


@transaction.atomic
def correct_questions(*, actor: User, project: Project, questions: Mapping[str, str]) -> None:
    """New questions of criteria by their names, as a new version of the settings; all else of them stays."""
    # The same lock as the change itself: what stays is read under it.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    now = project.question_settings.latest_version()
    change_question_settings(
        actor=actor,
        project=project,
        allow_ties=now is None or now.allow_ties,
        ask_rationale=now is not None and now.ask_rationale,
        questions=questions,
    )
