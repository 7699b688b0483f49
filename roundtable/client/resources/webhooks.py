"""Webhooks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class NewWebhook(TypedDict):
    id: int
    url: str
    description: str
    kinds: list[str]
    is_on: bool
    off_reason: str
    failing_since: str | None
    created_by: str
    created_at: str
    secret: str | None


class NewWebhookRequest(TypedDict):
    url: str
    kinds: NotRequired[
        list[
            Literal[
                "judgment",
                "run",
                "training",
                "round",
                "import",
                "dataset",
                "webhook",
                "judgment.submitted",
                "judgment.revised",
                "judgment.withdrawn",
                "run.queued",
                "run.running",
                "run.paused",
                "run.done",
                "run.failed",
                "run.user_error",
                "run.cancelled",
                "training.refused",
                "round.sampling",
                "round.annotating",
                "round.reward_model",
                "round.policy",
                "round.scoring",
                "round.done",
                "round.failed",
                "round.cancelled",
                "import.done",
                "import.taken_back",
                "dataset.frozen",
                "dataset.discarded",
                "webhook.test",
                "webhook.turned_off",
            ]
        ]
    ]
    description: NotRequired[str]


class PatchedChangedWebhookRequest(TypedDict):
    url: NotRequired[str]
    kinds: NotRequired[
        list[
            Literal[
                "judgment",
                "run",
                "training",
                "round",
                "import",
                "dataset",
                "webhook",
                "judgment.submitted",
                "judgment.revised",
                "judgment.withdrawn",
                "run.queued",
                "run.running",
                "run.paused",
                "run.done",
                "run.failed",
                "run.user_error",
                "run.cancelled",
                "training.refused",
                "round.sampling",
                "round.annotating",
                "round.reward_model",
                "round.policy",
                "round.scoring",
                "round.done",
                "round.failed",
                "round.cancelled",
                "import.done",
                "import.taken_back",
                "dataset.frozen",
                "dataset.discarded",
                "webhook.test",
                "webhook.turned_off",
            ]
        ]
    ]
    description: NotRequired[str]
    is_on: NotRequired[bool]


class Webhook(TypedDict):
    id: int
    url: str
    description: str
    kinds: list[str]
    is_on: bool
    off_reason: str
    failing_since: str | None
    created_by: str
    created_at: str


class ListWebhooksQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class WebhooksResource(Resource):
    def list(self, **query: Unpack[ListWebhooksQuery]) -> Pages[Webhook]:
        """The project's webhooks."""
        return cast(
            Pages[Webhook],
            self.perform(
                Operation("list_webhooks", "GET", "/projects/{slug}/webhooks", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewWebhookRequest]) -> NewWebhook:
        """An address that is told of what happens from now on. Its secret is in this answer and nowhere else."""
        return cast(
            NewWebhook,
            self.perform(
                Operation("post_webhooks", "POST", "/projects/{slug}/webhooks", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Webhook:
        """A webhook."""
        return cast(
            Webhook,
            self.perform(
                Operation("get_webhooks_id", "GET", "/projects/{slug}/webhooks/{id}", answer="json"),
                {"id": id},
            ),
        )

    def update(
        self,
        id: int,
        *,
        seen: Mapping[str, object] | None = None,
        **body: Unpack[PatchedChangedWebhookRequest],
    ) -> Webhook:
        """Change its address, its kinds or its description, turn it on or off."""
        return cast(
            Webhook,
            self.perform(
                Operation(
                    "patch_webhooks_id",
                    "PATCH",
                    "/projects/{slug}/webhooks/{id}",
                    answer="json",
                    compares=True,
                ),
                {"id": id},
                seen=seen,
                body=body,
            ),
        )

    def delete(self, id: int) -> None:
        """Remove it, with its dead letters."""
        self.perform(
            Operation("delete_webhooks_id", "DELETE", "/projects/{slug}/webhooks/{id}", answer="nothing"),
            {"id": id},
        )

    def secret(self, id: int, *, idempotency_key: str | None = None) -> NewWebhook:
        """A new secret, in this answer and nowhere else. For a day the old one signs as well."""
        return cast(
            NewWebhook,
            self.perform(
                Operation(
                    "post_webhooks_id_secret",
                    "POST",
                    "/projects/{slug}/webhooks/{id}/secret",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
            ),
        )

    def test(self, id: int) -> None:
        """Send it an event of the type webhook.test."""
        self.perform(
            Operation(
                "post_webhooks_id_test", "POST", "/projects/{slug}/webhooks/{id}/test", answer="nothing"
            ),
            {"id": id},
        )
