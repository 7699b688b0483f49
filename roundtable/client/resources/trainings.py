"""Trainings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class NewTrainingRequest(TypedDict):
    name: str
    criterion: NotRequired[str]
    kind: NotRequired[Literal["pairwise", "ranking"]]
    items: NotRequired[int]
    needed: NotRequired[int]
    max_tries: NotRequired[int]
    for_everybody: NotRequired[bool]


class OwnStanding(TypedDict):
    state: Literal["open", "passed", "failed", "let_through"]
    try_number: int
    tries_allowed: int
    answered: int
    right: int


class PatchedChangedTrainingRequest(TypedDict):
    items: NotRequired[int]
    needed: NotRequired[int]
    max_tries: NotRequired[int]
    is_on: NotRequired[bool]
    for_everybody: NotRequired[bool]


class Qualification(TypedDict):
    id: int
    annotator: str
    state: Literal["open", "passed", "failed", "let_through"]
    try_number: int
    tries_allowed: int
    answered: int
    right: int
    decided_by: NotRequired[str | None]
    decided_at: str | None
    note: str


class StandingRequest(TypedDict):
    person: str
    note: NotRequired[str]
    expected_state: NotRequired[Literal["open", "passed", "failed", "let_through", "none"]]


class Training(TypedDict):
    id: int
    name: str
    batch: int
    criterion: str
    kind: Literal["pairwise", "ranking", "rating"]
    items: int
    needed: int
    max_tries: int
    is_on: bool
    for_everybody: bool
    created_at: str


class ListTrainingsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class ListTrainingsIdQualificationsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["open", "passed", "failed", "let_through"]]


class TrainingsResource(Resource):
    def list(self, **query: Unpack[ListTrainingsQuery]) -> Pages[Training]:
        """What has to be passed before work."""
        return cast(
            Pages[Training],
            self.perform(
                Operation("list_trainings", "GET", "/projects/{slug}/trainings", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewTrainingRequest]) -> Training:
        """A training without tasks, off. Tasks come by `known-tasks`."""
        return cast(
            Training,
            self.perform(
                Operation("post_trainings", "POST", "/projects/{slug}/trainings", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Training:
        """A training."""
        return cast(
            Training,
            self.perform(
                Operation("get_trainings_id", "GET", "/projects/{slug}/trainings/{id}", answer="json"),
                {"id": id},
            ),
        )

    def update(
        self,
        id: int,
        *,
        seen: Mapping[str, object] | None = None,
        **body: Unpack[PatchedChangedTrainingRequest],
    ) -> Training:
        """Change it, or turn it on or off. Who has passed stays so."""
        return cast(
            Training,
            self.perform(
                Operation(
                    "patch_trainings_id",
                    "PATCH",
                    "/projects/{slug}/trainings/{id}",
                    answer="json",
                    compares=True,
                ),
                {"id": id},
                seen=seen,
                body=body,
            ),
        )

    def ask_again(self, id: int, **body: Unpack[StandingRequest]) -> Qualification:
        """Ask somebody for it again, with as many tries as at first."""
        return cast(
            Qualification,
            self.perform(
                Operation(
                    "post_trainings_id_ask_again",
                    "POST",
                    "/projects/{slug}/trainings/{id}/ask-again",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def let_through(self, id: int, **body: Unpack[StandingRequest]) -> Qualification:
        """Give somebody the work without passing."""
        return cast(
            Qualification,
            self.perform(
                Operation(
                    "post_trainings_id_let_through",
                    "POST",
                    "/projects/{slug}/trainings/{id}/let-through",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def qualifications(
        self, id: int, **query: Unpack[ListTrainingsIdQualificationsQuery]
    ) -> Pages[Qualification]:
        """Who passed, when, with how much; who has no row has not begun."""
        return cast(
            Pages[Qualification],
            self.perform(
                Operation(
                    "list_trainings_id_qualifications",
                    "GET",
                    "/projects/{slug}/trainings/{id}/qualifications",
                    answer="page",
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def try_(self, id: int) -> OwnStanding:
        """The caller's next try, after one that was not passed."""
        return cast(
            OwnStanding,
            self.perform(
                Operation(
                    "post_trainings_id_try", "POST", "/projects/{slug}/trainings/{id}/try", answer="json"
                ),
                {"id": id},
            ),
        )
