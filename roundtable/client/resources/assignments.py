"""Assignments. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Asked
from roundtable.operations import Operation


class AssignedTask(TypedDict):
    assignment: str
    state: Literal["leased", "submitted", "skipped", "expired", "taken_back"]
    leased_until: str
    practice: bool
    question: str
    content_warnings: list[str]
    messages: Any
    responses: list[ShownResponse]
    allow_ties: bool
    ask_rationale: bool
    asked: Asked
    settings_version: int
    guideline_version: int
    draft: Any
    judgment: OwnJudgment | None


class Assignment(TypedDict):
    assignment: str
    state: Literal["leased", "submitted", "skipped", "expired", "taken_back"]
    leased_until: str
    submitted_at: str | None
    created_at: str


class ClaimRequest(TypedDict):
    after: NotRequired[str]
    batch: NotRequired[int]


class Claimed(TypedDict):
    task: AssignedTask | None
    progress: MyProgress


class MyProgress(TypedDict):
    judged: int
    remaining: int


class NewQuestionRequest(TypedDict):
    text: str


class OwnJudgment(TypedDict):
    tiers: list[list[str]]
    strengths: list[int | None]
    marks: dict[str, dict[str, Any]]
    confidence: int | None
    rationale: str
    flags: list[str]
    withdrawn: bool
    created_at: str


class OwnQuestion(TypedDict):
    assignment: str
    text: str
    answer: str
    answered_at: str | None
    created_at: str


class ShownResponse(TypedDict):
    label: str
    text: str
    turns: Any


class SkippedRequest(TypedDict):
    reason: NotRequired[str]


class StoredJudgment(TypedDict):
    stored: bool
    is_counted: bool


class Submitted(TypedDict):
    stored: bool
    is_counted: bool
    training: TrainingTold | None


class SubmittedJudgmentRequest(TypedDict):
    tiers: list[list[str]]
    strengths: list[int | None]
    marks: NotRequired[dict[str, dict[str, Any]]]
    confidence: NotRequired[int | None]
    rationale: NotRequired[str]
    flags: NotRequired[list[str]]
    seconds: NotRequired[float]
    guideline_version: NotRequired[int]
    settings_version: NotRequired[int]


class TrainingTold(TypedDict):
    right: bool
    tiers: list[list[str]]
    strengths: list[int | None]
    reason: str
    state: Literal["open", "passed", "failed", "let_through"]
    answered: int
    right_so_far: int


class ListAssignmentsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["leased", "submitted", "skipped", "expired", "taken_back"]]


class ListAssignmentsPublicIdQuestionsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class AssignmentsResource(Resource):
    def list(self, **query: Unpack[ListAssignmentsQuery]) -> Pages[Assignment]:
        """The caller's own tasks, the last first."""
        return cast(
            Pages[Assignment],
            self.perform(
                Operation("list_assignments", "GET", "/projects/{slug}/assignments", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, public_id: str) -> AssignedTask:
        """One of the caller's tasks, with what they said of it."""
        return cast(
            AssignedTask,
            self.perform(
                Operation(
                    "get_assignments_public_id",
                    "GET",
                    "/projects/{slug}/assignments/{public_id}",
                    answer="json",
                ),
                {"public_id": public_id},
            ),
        )

    def save_draft(self, public_id: str, body: dict[str, Any]) -> None:
        """Keep what has been done so far, and renew the lease."""
        self.perform(
            Operation(
                "put_assignments_public_id_draft",
                "PUT",
                "/projects/{slug}/assignments/{public_id}/draft",
                answer="nothing",
            ),
            {"public_id": public_id},
            body=body,
        )

    def questions(
        self, public_id: str, **query: Unpack[ListAssignmentsPublicIdQuestionsQuery]
    ) -> Pages[OwnQuestion]:
        """What the caller asked about this task of theirs, with the answers."""
        return cast(
            Pages[OwnQuestion],
            self.perform(
                Operation(
                    "list_assignments_public_id_questions",
                    "GET",
                    "/projects/{slug}/assignments/{public_id}/questions",
                    answer="page",
                ),
                {"public_id": public_id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create_questions(self, public_id: str, **body: Unpack[NewQuestionRequest]) -> OwnQuestion:
        """Ask about a task of the caller's. The same question again is one."""
        return cast(
            OwnQuestion,
            self.perform(
                Operation(
                    "post_assignments_public_id_questions",
                    "POST",
                    "/projects/{slug}/assignments/{public_id}/questions",
                    answer="json",
                ),
                {"public_id": public_id},
                body=body,
            ),
        )

    def revise(
        self, public_id: str, *, idempotency_key: str | None = None, **body: Unpack[SubmittedJudgmentRequest]
    ) -> StoredJudgment:
        """Another judgment in the place of the caller's last; that one is kept as history."""
        return cast(
            StoredJudgment,
            self.perform(
                Operation(
                    "post_assignments_public_id_revise",
                    "POST",
                    "/projects/{slug}/assignments/{public_id}/revise",
                    answer="json",
                    keyed=True,
                ),
                {"public_id": public_id},
                key=idempotency_key,
                body=body,
            ),
        )

    def skip(self, public_id: str, **body: Unpack[SkippedRequest]) -> None:
        """Give the task back; it is not offered to the caller again."""
        self.perform(
            Operation(
                "post_assignments_public_id_skip",
                "POST",
                "/projects/{slug}/assignments/{public_id}/skip",
                answer="nothing",
            ),
            {"public_id": public_id},
            body=body,
        )

    def submit(
        self, public_id: str, *, idempotency_key: str | None = None, **body: Unpack[SubmittedJudgmentRequest]
    ) -> Submitted:
        """Judge it. A late judgment is kept, too. Of a task of a training it also says what is right."""
        return cast(
            Submitted,
            self.perform(
                Operation(
                    "post_assignments_public_id_submit",
                    "POST",
                    "/projects/{slug}/assignments/{public_id}/submit",
                    answer="json",
                    keyed=True,
                ),
                {"public_id": public_id},
                key=idempotency_key,
                body=body,
            ),
        )

    def undo_skip(self, public_id: str) -> AssignedTask:
        """Take a skipped task back, if nobody else has it."""
        return cast(
            AssignedTask,
            self.perform(
                Operation(
                    "post_assignments_public_id_undo_skip",
                    "POST",
                    "/projects/{slug}/assignments/{public_id}/undo-skip",
                    answer="json",
                ),
                {"public_id": public_id},
            ),
        )

    def withdraw(self, public_id: str, *, idempotency_key: str | None = None) -> AssignedTask:
        """Take the caller's judgment back."""
        return cast(
            AssignedTask,
            self.perform(
                Operation(
                    "post_assignments_public_id_withdraw",
                    "POST",
                    "/projects/{slug}/assignments/{public_id}/withdraw",
                    answer="json",
                    keyed=True,
                ),
                {"public_id": public_id},
                key=idempotency_key,
            ),
        )

    def claim(self, **body: Unpack[ClaimRequest]) -> Claimed:
        """The caller's next task, reserved for them until the lease ends; one that they hold comes first."""
        return cast(
            Claimed,
            self.perform(
                Operation("post_claim", "POST", "/projects/{slug}/claim", answer="json"), {}, body=body
            ),
        )
