"""What a person said of a task: as it came in, in the labels that they saw, and checked, in response keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext

from annotation.errors import InvalidJudgment
from annotation.models import Assignment, Response
from annotation.preferences.evidence import clean_evidence
from annotation.preferences.marks import clean_asked_marks, clean_confidence, require_passages
from annotation.preferences.scale import labels_to_responses
from annotation.preferences.validation import clean_flags, clean_rationale, clean_seconds, validate_tiers
from learning.interface.messages import answer_text
from workspace.asked import Asked, needs_rationale
from workspace.models import Guideline, Project, QuestionSettings
from workspace.project_context import ProjectContext


@dataclass(frozen=True, kw_only=True)
class JudgmentInput:
    """A judgment as it came in, in the labels that the annotator saw; nothing of it is checked yet.

    The versions are those of the guideline and of the question's settings that were on the screen; None, from a page
    that does not say: those under which the task was handed out.
    """

    tiers: Any
    strengths: Any
    marks: Any = None
    confidence: Any = None
    rationale: Any = ""
    flags: Any = ()
    seconds: Any = 0.0
    evidence: Any = None
    guideline_version: Any = None
    settings_version: Any = None


@dataclass(frozen=True, kw_only=True)
class JudgmentContent:
    """A checked judgment in response keys, and the versions it was made under."""

    tiers: list[list[int]]
    strengths: list[int | None]
    marks: dict[str, dict[str, Any]]
    confidence: int | None
    rationale: str
    flags: list[str]
    seconds: float
    evidence: dict[str, Any] | None = None
    guideline_version: int
    settings_version: int


def parse_judgment(
    assignment: Assignment,
    project: Project,
    content: JudgmentInput,
    project_context: ProjectContext | None = None,
) -> JudgmentContent:
    """From labels to response keys, checked against what this annotator was shown and asked. Raises InvalidJudgment."""
    key_of = labels_to_responses(assignment.order_shown)
    labels = list(key_of)
    settings, settings_version = _settings(assignment, project, content.settings_version, project_context)
    asked = settings.asks if settings is not None else Asked()
    tiers, strengths = validate_tiers(
        content.tiers, content.strengths, labels, allow_ties=settings is None or settings.allow_ties
    )
    # Read only where it matters: each submit would ask the database for it.
    criterion = assignment.task.batch.criterion.name if asked.differs_by_criterion else ""
    marks = clean_asked_marks(asked, content.marks or {}, labels, criterion)
    if len(labels) == 1 and not marks:
        raise InvalidJudgment(
            gettext("Say something about the answer: a rating without a mark says nothing."),
            code="mark_required",
        )
    _require_passages(marks, key_of)
    rationale = clean_rationale(content.rationale)
    if not rationale.strip():
        if settings is not None and settings.ask_rationale:
            raise InvalidJudgment(
                gettext("This project asks for a reason with every judgment: write in a few words why."),
                code="rationale_required",
            )
        if needs_rationale(asked, tiers, strengths):
            raise InvalidJudgment(
                gettext("This project asks for a reason with such an answer: write in a few words why."),
                code="rationale_required",
            )
    return JudgmentContent(
        tiers=[[key_of[label] for label in tier] for tier in tiers],
        strengths=strengths,
        marks={str(key_of[label]): values for label, values in marks.items()},
        confidence=clean_confidence(asked, content.confidence, len(labels)),
        rationale=rationale,
        flags=clean_flags(content.flags, known=asked.flag_names()),
        seconds=clean_seconds(content.seconds),
        evidence=clean_evidence(content.evidence, key_of),
        guideline_version=_guideline_version(assignment, project, content.guideline_version, project_context),
        settings_version=settings_version,
    )


def _require_passages(marks: Mapping[str, Mapping[str, Any]], key_of: Mapping[str, int]) -> None:
    """Reads the answers that passages were marked in, and no others."""
    marked = [
        label for label, values in marks.items() if any(isinstance(value, list) for value in values.values())
    ]
    if not marked:
        return
    responses = Response.objects.only("text", "turns").in_bulk([key_of[label] for label in marked])
    for label in marked:
        require_passages(marks[label], answer_text(responses[key_of[label]].answer), label)


def _settings(
    assignment: Assignment, project: Project, version: Any, context: ProjectContext | None
) -> tuple[QuestionSettings | None, int]:
    """Those that were on the screen, and their version."""
    if context is not None and context.settings is not None and _is_version(version, context.settings):
        return context.settings, context.settings.version
    known = _known_version(project.question_settings.all(), version, "settings", assignment.settings_version)
    return project.question_settings.filter(version=known).first(), known


def _guideline_version(
    assignment: Assignment, project: Project, version: Any, context: ProjectContext | None
) -> int:
    if context is not None and context.guideline is not None and _is_version(version, context.guideline):
        return context.guideline.version
    return _known_version(project.guidelines.all(), version, "guideline", assignment.guideline_version)


def _is_version(version: Any, in_force: Guideline | QuestionSettings) -> bool:
    return type(version) is int and version == in_force.version


def _known_version(
    versions: QuerySet[Guideline] | QuerySet[QuestionSettings], version: Any, what: str, handed_out: int
) -> int:
    """The version on the screen; 0 is none, before the first. Raises InvalidJudgment for one that never was."""
    if version is None:
        return handed_out
    if (
        isinstance(version, bool)
        or not isinstance(version, int)
        or not 0 <= version < 2**31
        or (version > 0 and not versions.filter(version=version).exists())
    ):
        raise InvalidJudgment(f"There is no such version of the project's {what}.", code="unknown_version")
    return version
