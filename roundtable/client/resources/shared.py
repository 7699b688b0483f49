"""Types of several resources. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Artifact(TypedDict):
    id: int
    kind: Literal["policy", "reward_model", "critic", "responses", "scores"]
    sha256: str
    size_bytes: int
    created_at: str


class Asked(TypedDict):
    preset: str
    marks: list[Mark]
    confidence_points: int
    rationale_for: list[
        Literal["significantly_better", "better", "slightly_better", "negligibly_better", "tie"]
    ]
    flags: list[Named]
    both_bad: bool
    both_bad_reasons: list[Named]
    guided_first: bool
    cannot_judge: list[Named]


class Decision(TypedDict):
    id: int
    task: int
    batch: int
    kind: Literal["underspecified", "style", "factual", "refusal", "safety", "slip"]
    author: str
    supersedes: int | None
    created_at: str


class Mark(TypedDict):
    name: str
    label: str
    kind: Literal["likert", "yes_no", "choice", "text", "span"]
    required: bool
    points: int
    low: str
    high: str
    choices: list[str]
    tasks: Literal["every", "one", "several"]
    criteria: list[str]


class Named(TypedDict):
    name: str
    label: str


class NewAudienceRequest(TypedDict):
    people: NotRequired[list[str]]
    groups: NotRequired[list[str]]
    skills: NotRequired[list[str]]
    skills_asked: NotRequired[Literal["any", "all"]]
    person_quota: NotRequired[int]


class NewPushRequest(TypedDict):
    repository: str
    public: NotRequired[bool]
    token: NotRequired[str]
    dry_run: NotRequired[bool]


class OneBatch(TypedDict):
    id: int
    name: str
    criterion: str
    kind: Literal["pairwise", "ranking", "rating"]
    responses_per_task: int
    overlap: int
    quota: int | None
    priority: int
    round_number: int | None
    state: Literal["draft", "open", "closed"]
    excluded: bool
    content_warnings: list[str]
    created_at: str
    progress: Progress


class OneChainedTraining(TypedDict):
    id: int
    recipe: Literal["sft", "pretrain", "ppo", "policy_gradient", "best_of_n", "dpo"]
    name: str
    title: str
    state: Literal["waiting", "queued", "refused", "cancelled"]
    situation: str
    error: str
    after_run: int | None
    after_training: int | None
    run: int | None
    requested_by: str
    created_at: str
    arguments: Any


class OneRun(TypedDict):
    id: int
    kind: str
    kind_label: str
    title: str
    state: Literal["queued", "running", "paused", "done", "failed", "user_error", "cancelled"]
    attempt: int
    max_attempts: int
    progress: Any
    error: str
    cancel_requested: bool
    processes: int
    threads: int
    time_limit_minutes: int | None
    requested_by: str
    cloned_from: int | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    config: Any
    parameters: Any
    artifacts: list[Artifact]
    files: list[str]


class OwnText(TypedDict):
    row: OwnTextRow
    instruction: str
    prompt_kind: str
    min_words: int
    max_words: int
    messages: Any
    to_correct: str | None
    draft: list[str] | None
    draft_number: int
    seen_version: int
    versions: list[OwnVersion]


class OwnTextRow(TypedDict):
    text: str
    work: int
    kind: Literal["answer", "edit", "dialogue", "prompt"]
    state: Literal["waiting", "writing", "checking", "returned", "accepted"]
    leased_until: str | None
    created_at: str


class OwnVersion(TypedDict):
    number: int
    turns: list[str]
    own: bool
    created_at: str
    review: SaidOfVersion | None


class PatchedModelDescriptionRequest(TypedDict):
    licence: NotRequired[str]
    notes: NotRequired[str]


class Preset(TypedDict):
    name: str
    source: str
    settings: Any


class Presets(TypedDict):
    presets: list[Preset]


class Progress(TypedDict):
    counted: int
    quota: int
    surplus: int
    skipped: int
    leased: int
    tasks: int
    tasks_done: int


class Returned(TypedDict):
    id: int
    judgment: int
    task: int
    remark: str
    kept_at: str | None
    reason: str
    created_at: str


class Run(TypedDict):
    id: int
    kind: str
    kind_label: str
    title: str
    state: Literal["queued", "running", "paused", "done", "failed", "user_error", "cancelled"]
    attempt: int
    max_attempts: int
    progress: Any
    error: str
    cancel_requested: bool
    processes: int
    threads: int
    time_limit_minutes: int | None
    requested_by: str
    cloned_from: int | None
    created_at: str
    started_at: str | None
    finished_at: str | None


class Runs(TypedDict):
    runs: list[OneRun]


class SaidOfVersion(TypedDict):
    outcome: Literal["accept", "edit", "send_back"]
    remark: str
    created_at: str


class ShareOfSetRequest(TypedDict):
    prompt_set: str
    amount: float


class StepValuesRequest(TypedDict):
    recipe: Literal["ppo", "policy_gradient", "best_of_n", "dpo", "sft", "pretrain"]
    preset: NotRequired[str]
    options: NotRequired[dict[str, Any]]
    reference: NotRequired[Literal["start_policy", "step_start", "first_policy"]]
    reference_policy: NotRequired[int]
    other_policies: NotRequired[list[int]]
    stored_answers: NotRequired[Literal["none", "policies", "all"]]
    preferred_at_least: NotRequired[float]
    rated_mark: NotRequired[str]
    rated_at_least: NotRequired[float]
    learn_from: NotRequired[Literal["texts", "demonstrations"]]
