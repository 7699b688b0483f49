"""The types of the rows that the site and training exchange; the schemas are in record_schemas."""

from datetime import UTC, datetime
from typing import NotRequired, TypedDict


class ToolCall(TypedDict):
    id: str | None
    name: str
    arguments: str


class Message(TypedDict):
    role: str
    content: str
    tool_calls: NotRequired[list[ToolCall]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


class Sampling(TypedDict):
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    repetition_penalty: float | None
    seed: int | None
    critic: NotRequired[str | None]
    critic_coefficient: NotRequired[float | None]
    critic_candidates: NotRequired[int | None]


class TextRow(TypedDict):
    text_id: str | None
    text: str
    licence: str | None
    split: str
    source_id: NotRequired[str | None]
    metadata: NotRequired[str | None]  # JSON text


class PromptRow(TypedDict):
    prompt_id: str
    messages: list[Message]
    kind: str
    split: str
    author: str | None
    tags: list[str]
    source_id: NotRequired[str | None]
    metadata: NotRequired[str | None]  # JSON text


class DrawRow(TypedDict):
    prompt_id: str
    temperature: float
    samples: int


class DemonstrationRow(TypedDict):
    prompt_id: str
    prompt: list[Message]
    response: str
    author: str | None
    split: str
    turns: NotRequired[list[Message] | None]
    source_id: NotRequired[str | None]
    metadata: NotRequired[str | None]  # JSON text


class ResponseRow(TypedDict):
    response_id: str
    prompt_id: str
    prompt: list[Message]
    text: str
    source: str
    policy: str | None
    sampling: Sampling | None
    ended: NotRequired[bool | None]
    created_at: str
    turns: NotRequired[list[Message] | None]


class SampledResponseRow(ResponseRow):
    token_ids: list[int]
    logprobs: list[float]


class ComparisonRow(TypedDict):
    group_id: str
    criterion: str
    prompt: list[Message]
    responses: list[str]
    ended: NotRequired[list[bool | None] | None]
    response_ids: list[str]
    ranks: list[int] | None
    grade: list[list[float | None]]
    soft_preference: list[list[float | None]]
    weight: float
    n_annotators: int
    agreement: float | None
    annotator_kind: str
    round: int | None
    split: str
    turns: NotRequired[list[list[Message] | None] | None]
    source_id: NotRequired[str | None]
    metadata: NotRequired[str | None]  # JSON text


class RatingRow(TypedDict):
    """What one annotator gave the answers to one prompt, in points of one mark."""

    group_id: str
    criterion: str
    mark: str
    prompt: list[Message]
    responses: list[str]
    ended: NotRequired[list[bool | None] | None]
    response_ids: list[str]
    scores: list[float]
    weight: float  # of each of the ratings
    annotator_kind: str
    round: int | None
    split: str
    turns: NotRequired[list[list[Message] | None] | None]


class JudgedResponse(TypedDict):
    response_id: str
    text: str
    source: str
    policy: str | None
    sampling: Sampling | None
    marks: dict[str, float]
    turns: NotRequired[list[Message] | None]
    ended: NotRequired[bool | None]


class JudgmentRow(TypedDict):
    judgment_id: str
    supersedes: str | None
    is_current: bool
    withdrawn: bool
    surplus: bool
    project: str
    batch: str
    round: int | None
    criterion: str
    purpose: str
    task_id: str
    prompt_id: str
    prompt: list[Message]
    responses: list[JudgedResponse]
    order_shown: list[str]
    tiers: list[list[str]]
    strengths: list[int | None]  # null: nobody gave one
    annotator: str
    annotator_kind: str
    rationale: str | None
    flags: list[str]
    seconds: float
    guideline_version: int | None
    settings_version: int
    split: str
    created_at: str
    source_id: NotRequired[str | None]
    metadata: NotRequired[str | None]  # JSON text
    confidence: NotRequired[int | None]
    other_marks: NotRequired[str | None]  # JSON text: {response_id: {name: text or passages}}


class ScoreRow(TypedDict):
    response_id: str
    prompt_id: str
    reward: float


class StoredCandidateRow(TypedDict):
    response_id: str
    prompt_id: str
    text: str
    source: str
    policy: str | None
    round: int | None
    temperature: float | None
    ended: bool | None
    reward: float | None


class CandidateOriginRow(TypedDict):
    response_id: str
    prompt_id: str
    split: str
    is_stored: bool
    source: str
    policy: str | None
    round: int | None
    temperature: float | None
    ended: bool
    reward: float
    kept: bool


def iso_utc(moment: datetime) -> str:
    """The one spelling of a time in records: `2026-01-31T09:30:00.000000Z`. Naive times are refused."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
