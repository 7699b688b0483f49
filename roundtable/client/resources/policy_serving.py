"""Policy serving. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class PolicyServing(TypedDict):
    policy: int
    state: Literal["stopped", "waiting", "starting", "ready", "failed"]
    error: str
    requested_at: str | None
    ready_at: str | None
    last_used_at: str | None
    n_requests: int
    n_tokens: int
    retry_at: str | None
    stop_requested: bool
    max_prompt_tokens: int
    max_response_tokens: int
    max_waiting_requests: int
    abandoned_after_seconds: int
    worker_alive: bool


class StartBodyRequest(TypedDict):
    max_prompt_tokens: NotRequired[int]
    max_response_tokens: NotRequired[int]
    max_waiting_requests: NotRequired[int]
    abandoned_after_seconds: NotRequired[int]


class PolicyServingResource(Resource):
    def get(self, id: int) -> PolicyServing:
        """Whether the policy is loaded and answers conversations."""
        return cast(
            PolicyServing,
            self.perform(
                Operation(
                    "get_policies_id_serving", "GET", "/projects/{slug}/policies/{id}/serving", answer="json"
                ),
                {"id": id},
            ),
        )

    def start(self, id: int, **body: Unpack[StartBodyRequest]) -> PolicyServing:
        """Have a worker load the policy now, before the first message of a conversation does."""
        return cast(
            PolicyServing,
            self.perform(
                Operation(
                    "post_policies_id_serving_start",
                    "POST",
                    "/projects/{slug}/policies/{id}/serving/start",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def stop(self, id: int) -> PolicyServing:
        """Unload the policy when what it writes is written. A conversation that needs it later loads it again."""
        return cast(
            PolicyServing,
            self.perform(
                Operation(
                    "post_policies_id_serving_stop",
                    "POST",
                    "/projects/{slug}/policies/{id}/serving/stop",
                    answer="json",
                ),
                {"id": id},
            ),
        )
