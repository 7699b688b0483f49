"""Batches. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import NewAudienceRequest, OneBatch, Run
from roundtable.operations import Operation


class AddedTasks(TypedDict):
    task_ids: list[int]


class AnswerRowRequest(TypedDict):
    response_id: NotRequired[str]
    text: NotRequired[str]
    turns: NotRequired[list[dict[str, Any]]]
    source: NotRequired[str]


class Audience(TypedDict):
    people: list[str]
    groups: list[str]
    skills: list[str]
    skills_asked: Literal["any", "all"]
    person_quota: int | None
    priority: int


class Batch(TypedDict):
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


class BatchFromAnswersRequest(TypedDict):
    name: str
    criterion: NotRequired[str]
    prompt_set: int
    prompts: NotRequired[int]
    sources: NotRequired[list[str]]
    answers: NotRequired[int]
    skip_asked: NotRequired[bool]
    overlap: NotRequired[int]
    priority: NotRequired[int]
    audience: NotRequired[NewAudienceRequest]
    open: NotRequired[bool]


class Cost(TypedDict):
    currency: str
    so_far: str
    per_judgment: str | None
    to_come: str | None


class NewBatchRequest(TypedDict):
    name: str
    criterion: NotRequired[str]
    responses_per_task: NotRequired[int]
    overlap: NotRequired[int]
    quota: NotRequired[int]
    priority: NotRequired[int]
    tasks: NotRequired[list[TaskRowRequest]]
    audience: NotRequired[NewAudienceRequest]
    open: NotRequired[bool]


class NewTasksRequest(TypedDict):
    tasks: list[TaskRowRequest]


class PatchedChangedAudienceRequest(TypedDict):
    people: NotRequired[list[str]]
    groups: NotRequired[list[str]]
    skills: NotRequired[list[str]]
    skills_asked: NotRequired[Literal["any", "all"]]
    person_quota: NotRequired[int]
    priority: NotRequired[int]


class PatchedChangedBatchRequest(TypedDict):
    overlap: NotRequired[int]
    content_warnings: NotRequired[list[str]]
    expected_overlap: NotRequired[int]


class RequiredTrainingRequest(TypedDict):
    training: int | None


class Skip(TypedDict):
    id: int
    task: int
    prompt_id: str
    annotator: str
    reason: str
    created_at: str


class TaskRowRequest(TypedDict):
    prompt_id: NotRequired[str]
    messages: NotRequired[list[dict[str, Any]]]
    responses: list[AnswerRowRequest]
    priority: NotRequired[int]


class Throughput(TypedDict):
    counted: int
    quota: int
    by_day: dict[str, int]
    by_hour: dict[str, int]
    whole_days: int
    per_day: float | None
    expected_at: str | None
    earliest_at: str | None
    latest_at: str | None
    cost: Cost | None


class ListBatchesQuery(TypedDict):
    criterion: NotRequired[str]
    excluded: NotRequired[Literal["true", "false"]]
    kind: NotRequired[Literal["pairwise", "ranking", "rating"]]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id", "-name", "name", "-priority", "priority"]]
    round_number: NotRequired[int]
    state: NotRequired[Literal["draft", "open", "closed"]]


class ListBatchesIdSkipsQuery(TypedDict):
    annotator: NotRequired[str]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class BatchesResource(Resource):
    def list(self, **query: Unpack[ListBatchesQuery]) -> Pages[Batch]:
        """The project's batches."""
        return cast(
            Pages[Batch],
            self.perform(
                Operation("list_batches", "GET", "/projects/{slug}/batches", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewBatchRequest]) -> OneBatch:
        """A batch, in draft or open, with its first tasks: prompts and answers, new or by their ids."""
        return cast(
            OneBatch,
            self.perform(
                Operation("post_batches", "POST", "/projects/{slug}/batches", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> OneBatch:
        """A batch and how far it is."""
        return cast(
            OneBatch,
            self.perform(
                Operation("get_batches_id", "GET", "/projects/{slug}/batches/{id}", answer="json"), {"id": id}
            ),
        )

    def update(self, id: int, **body: Unpack[PatchedChangedBatchRequest]) -> OneBatch:
        """Change how many people judge each task (what is judged stays, and open slots follow), or what it
        warns of."""
        return cast(
            OneBatch,
            self.perform(
                Operation("patch_batches_id", "PATCH", "/projects/{slug}/batches/{id}", answer="json"),
                {"id": id},
                body=body,
            ),
        )

    def audience(self, id: int) -> Audience:
        """For whom a batch is."""
        return cast(
            Audience,
            self.perform(
                Operation(
                    "get_batches_id_audience", "GET", "/projects/{slug}/batches/{id}/audience", answer="json"
                ),
                {"id": id},
            ),
        )

    def update_audience(self, id: int, **body: Unpack[PatchedChangedAudienceRequest]) -> Audience:
        """Say who gets a batch, from everybody's next task on; what people have open stays theirs."""
        return cast(
            Audience,
            self.perform(
                Operation(
                    "patch_batches_id_audience",
                    "PATCH",
                    "/projects/{slug}/batches/{id}/audience",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def close(self, id: int) -> OneBatch:
        """Hand out no more of it."""
        return cast(
            OneBatch,
            self.perform(
                Operation(
                    "post_batches_id_close", "POST", "/projects/{slug}/batches/{id}/close", answer="json"
                ),
                {"id": id},
            ),
        )

    def exclude(self, id: int) -> OneBatch:
        """Leave its judgments out of datasets from now on."""
        return cast(
            OneBatch,
            self.perform(
                Operation(
                    "post_batches_id_exclude", "POST", "/projects/{slug}/batches/{id}/exclude", answer="json"
                ),
                {"id": id},
            ),
        )

    def include(self, id: int) -> OneBatch:
        """Take its judgments into datasets again."""
        return cast(
            OneBatch,
            self.perform(
                Operation(
                    "post_batches_id_include", "POST", "/projects/{slug}/batches/{id}/include", answer="json"
                ),
                {"id": id},
            ),
        )

    def open(self, id: int) -> OneBatch:
        """Hand its tasks out."""
        return cast(
            OneBatch,
            self.perform(
                Operation(
                    "post_batches_id_open", "POST", "/projects/{slug}/batches/{id}/open", answer="json"
                ),
                {"id": id},
            ),
        )

    def put_required_training(self, id: int, **body: Unpack[RequiredTrainingRequest]) -> None:
        """Hand the batch's tasks out to those alone who have passed this training."""
        self.perform(
            Operation(
                "put_batches_id_required_training",
                "PUT",
                "/projects/{slug}/batches/{id}/required-training",
                answer="nothing",
            ),
            {"id": id},
            body=body,
        )

    def skips(self, id: int, **query: Unpack[ListBatchesIdSkipsQuery]) -> Pages[Skip]:
        """Who skipped which of its tasks, and why; `created_at`: when it was handed out."""
        return cast(
            Pages[Skip],
            self.perform(
                Operation(
                    "list_batches_id_skips", "GET", "/projects/{slug}/batches/{id}/skips", answer="page"
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def add_tasks(
        self, id: int, *, idempotency_key: str | None = None, **body: Unpack[NewTasksRequest]
    ) -> AddedTasks:
        """More tasks for a batch that is not closed."""
        return cast(
            AddedTasks,
            self.perform(
                Operation(
                    "post_batches_id_tasks",
                    "POST",
                    "/projects/{slug}/batches/{id}/tasks",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )

    def throughput(self, id: int) -> Throughput:
        """How fast a batch is judged and when it will be done; of an open one with a forecast."""
        return cast(
            Throughput,
            self.perform(
                Operation(
                    "get_batches_id_throughput",
                    "GET",
                    "/projects/{slug}/batches/{id}/throughput",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def from_answers(
        self, *, idempotency_key: str | None = None, **body: Unpack[BatchFromAnswersRequest]
    ) -> OneBatch | Run:
        """A batch of answers that are there already: a task for each prompt with two different ones or more."""
        return cast(
            OneBatch | Run,
            self.perform(
                Operation(
                    "post_batches_from_answers",
                    "POST",
                    "/projects/{slug}/batches/from-answers",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
