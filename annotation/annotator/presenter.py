"""What an annotator's screen is made of. Blind: texts and labels, never an id, a source, a purpose or a priority."""

from typing import Any

from django.db.models import Exists, F, OuterRef
from django.utils.crypto import salted_hmac

from annotation.annotator.shortcuts import key_caps
from annotation.models import Assignment, Batch, Judgment, Task
from annotation.preferences.scale import (
    SCALE_POINTS,
    STRENGTH_NAMES,
    order_to_scale,
    tiers_to_labels,
)
from annotation.rendering.conversation import displayed_responses, render_conversation
from annotation.rendering.judgments import FLAG_LABELS
from workspace.models import Project, QuestionSettings, User

# Counting stops here: "500+" says as much as the number.
REMAINING_LIMIT = 500


def scale_points() -> list[dict[str, Any]]:
    """The eight points: the label that each puts first, by how much, and the key that chooses it."""
    keys = key_caps()
    return [
        {
            "value": value,
            "label": label,
            "strength": strength,
            "name": STRENGTH_NAMES[strength],
            "key": keys[f"choose_point_{value}"],
        }
        for value, (label, strength) in SCALE_POINTS.items()
    ]


def step_strengths() -> list[dict[str, Any]]:
    """What a step between two tiers of a ranking can be, and the key that says it."""
    keys = key_caps()
    return [
        {"value": strength, "name": name, "key": keys[f"set_strength_{strength}"]}
        for strength, name in STRENGTH_NAMES.items()
    ]


def task_context(assignment: Assignment, *, judgment: Judgment | None = None) -> dict[str, Any]:
    """Context of the task's fragment. With `judgment` (the annotator's own) it is filled in for revision."""
    batch = assignment.task.batch
    settings = QuestionSettings.objects.filter(
        project=batch.project_id, version=assignment.settings_version
    ).first()
    responses = displayed_responses(assignment.order_shown)
    content = None
    if judgment is not None:
        tiers = tiers_to_labels(judgment.order_shown, judgment.tiers)
        content = {
            "tiers": tiers,
            "strengths": judgment.strengths,
            "rationale": judgment.rationale,
            "flags": judgment.flags,
        }
        if len(responses) == 2:
            content["value"] = order_to_scale(tiers, judgment.strengths)
    return {
        "assignment": assignment,
        "question": batch.criterion.question,
        "turns": render_conversation(assignment.task.prompt.messages),
        "responses": responses,
        "is_pair": len(responses) == 2,
        "scale": scale_points(),
        "strengths": step_strengths(),
        "keys": key_caps(),
        "flags": FLAG_LABELS,
        "allow_ties": settings is None or settings.allow_ties,
        "ask_rationale": settings is not None and settings.ask_rationale,
        "draft": assignment.draft or None,
        "judgment": content,
        "revising": judgment is not None,
    }


def count_remaining_tasks(actor: User, project: Project) -> int:
    """How many tasks the actor could still be given, counted up to REMAINING_LIMIT."""
    mine = Assignment.objects.filter(task=OuterRef("pk"), annotator=actor).exclude(state="expired")
    tasks = Task.objects.filter(
        batch__in=Batch.objects.open_to_annotators(project).order_by(), open_slots__gt=0
    ).filter(~Exists(mine))
    return (
        tasks.filter(reserved_for__isnull=True)
        .union(tasks.filter(reserved_for=actor))[:REMAINING_LIMIT]
        .count()
    )


def annotator_progress(actor: User, project: Project) -> dict[str, Any]:
    """The annotator's own progress: only their own counts, never anybody else's."""
    own = Assignment.objects.filter(annotator=actor, task__batch__project=project)
    # Tasks without slots (gold, repeats) are not among those left either: the count must not give them away.
    held = own.filter(
        state=Assignment.State.LEASED,
        task__batch__state=Batch.State.OPEN,
        task__batch__visible=True,
        task__required_judgments__gt=0,
    ).count()
    remaining = count_remaining_tasks(actor, project) + held
    last = (
        Judgment.objects.current()
        .of_project(project)
        .filter(annotator=actor, task__batch__state=Batch.State.OPEN)
        .order_by("-pk")
        .values_list("assignment__public_id", flat=True)
        .first()
    )
    return {
        "last_assignment": str(last) if last else None,
        "judged": own.filter(state=Assignment.State.SUBMITTED).count(),
        "remaining": remaining,
        "remaining_label": f"{REMAINING_LIMIT}+" if remaining > REMAINING_LIMIT else str(remaining),
    }


def browser_storage_key(actor: User, project: Project) -> str:
    """Names the drafts and unsent judgments in a browser's storage: people who share a computer keep apart."""
    # Another salt would be another name: what lies in people's browsers would not be found.
    return salted_hmac("annotation.drawer", f"{actor.pk}:{project.pk}", algorithm="sha256").hexdigest()[:20]


def recent_judgments(actor: User, project: Project, limit: int) -> list[Judgment]:
    """The actor's last current judgments, the newest first."""
    return list(
        Judgment.objects.current()
        .of_project(project)
        .filter(annotator=actor)
        .select_related("assignment", "task__prompt", "task__batch")
        .order_by(F("created_at").desc(), "-pk")[:limit]
    )
