"""What an annotator's screen is made of. Blind: texts and handles, never an id, a source, a purpose or a priority."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, OuterRef
from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotation.models import Assignment, Batch, Judgment, Response, Task
from annotation.ordering import SCALE, STRENGTH_NAMES, handles_of, scale_of_order, to_handles
from annotation.rendering import render_markdown
from workspace.models import Project, QuestionSettings, User

# Counting stops here: "500+" says as much as the number.
REMAINING_LIMIT = 500
FLAGS = (
    ("both_bad", "None of the answers is good"),
    ("unclear_prompt", "The prompt is unclear"),
    ("unsafe", "Something here is harmful"),
)
SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "Instructions", "tool": "Tool"}


@dataclass(frozen=True)
class Turn:
    role: str
    speaker: str
    html: SafeString


@dataclass(frozen=True)
class Shown:
    """A response as it is shown: its handle and its text."""

    handle: str
    html: SafeString


def turns_of(messages: list[dict[str, str]]) -> list[Turn]:
    return [
        Turn(
            message["role"],
            SPEAKERS.get(message["role"], message["role"]),
            render_markdown(message["content"]),
        )
        for message in messages
    ]


def response_html(text: str) -> SafeString:
    """A blank answer says that it is one: a box without anything looks like a fault of the page."""
    if not text.strip():
        return format_html('<p class="empty-answer">{}</p>', "(empty answer)")
    return render_markdown(text)


def shown_responses(order_shown: list[int]) -> list[Shown]:
    texts = dict(Response.objects.filter(pk__in=order_shown).values_list("pk", "text"))
    return [Shown(handle, response_html(texts[key])) for handle, key in handles_of(order_shown).items()]


def scale_points() -> list[dict[str, Any]]:
    """The eight points, the side they speak for, and their words."""
    return [
        {"value": value, "side": side, "words": STRENGTH_NAMES[strength]}
        for value, (side, strength) in SCALE.items()
    ]


def task_context(assignment: Assignment, *, judgment: Judgment | None = None) -> dict[str, Any]:
    """Context of the task's fragment. With `judgment` (the annotator's own) it is filled in for revision."""
    batch = assignment.task.batch
    settings = QuestionSettings.objects.filter(
        project=batch.project_id, version=assignment.settings_version
    ).first()
    responses = shown_responses(assignment.order_shown)
    answer = None
    if judgment is not None:
        tiers = to_handles(judgment.order_shown, judgment.tiers)
        answer = {
            "tiers": tiers,
            "strengths": judgment.strengths,
            "rationale": judgment.rationale,
            "flags": judgment.flags,
        }
        if len(responses) == 2:
            answer["value"] = scale_of_order(tiers, judgment.strengths)
    return {
        "assignment": assignment,
        "question": batch.criterion.question,
        "turns": turns_of(assignment.task.prompt.messages),
        "responses": responses,
        "is_pair": len(responses) == 2,
        "scale": scale_points(),
        "strengths": list(STRENGTH_NAMES.items()),
        "flags": FLAGS,
        "allow_ties": settings is None or settings.allow_ties,
        "ask_rationale": settings is not None and settings.ask_rationale,
        "draft": assignment.draft or None,
        "answer": answer,
        "revising": judgment is not None,
    }


def remaining_for(actor: User, project: Project) -> int:
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


def work_of(actor: User, project: Project) -> dict[str, Any]:
    """The annotator's own progress: only their own counts, never anybody else's."""
    own = Assignment.objects.filter(annotator=actor, task__batch__project=project)
    # Tasks without slots (gold, repeats) are not among those left either: the count must not give them away.
    held = own.filter(
        state=Assignment.State.LEASED,
        task__batch__state=Batch.State.OPEN,
        task__batch__visible=True,
        task__needed__gt=0,
    ).count()
    remaining = remaining_for(actor, project) + held
    last = (
        Judgment.objects.current()
        .of_project(project)
        .filter(annotator=actor, task__batch__state=Batch.State.OPEN)
        .order_by("-pk")
        .values_list("assignment__handle", flat=True)
        .first()
    )
    return {
        "last": str(last) if last else None,
        "judged": own.filter(state=Assignment.State.SUBMITTED).count(),
        "remaining": remaining,
        "remaining_words": f"{REMAINING_LIMIT}+" if remaining > REMAINING_LIMIT else str(remaining),
    }


def drawer_of(actor: User, project: Project) -> str:
    """Names the browser's drawer of drafts and unsent answers: people who share a computer keep apart."""
    return salted_hmac("annotation.drawer", f"{actor.pk}:{project.pk}", algorithm="sha256").hexdigest()[:20]


def words_of(tiers: list[list[str]], strengths: list[int]) -> str:
    """A judgment in words: "B better than A", "A = C slightly better than B, better than D"."""
    first = " = ".join(tiers[0])
    if len(tiers) == 1:
        return f"{first} (a tie)" if len(tiers[0]) > 1 else first
    steps = zip(tiers[1:], strengths, strict=True)
    return f"{first} " + ", ".join(f"{STRENGTH_NAMES[by]} than {' = '.join(tier)}" for tier, by in steps)


def newest_own(actor: User, project: Project, limit: int) -> list[Judgment]:
    """The actor's last current judgments, the newest first."""
    return list(
        Judgment.objects.current()
        .of_project(project)
        .filter(annotator=actor)
        .select_related("assignment", "task__prompt", "task__batch")
        .order_by(F("created_at").desc(), "-pk")[:limit]
    )
