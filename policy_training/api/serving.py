"""Policies as a service: whether one is loaded, and its start and stop."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from policy_training.access import access_policy
from policy_training.models import PolicyServing
from policy_training.serving.actions import start_policy_serving, stop_policy_serving
from policy_training.serving.limits import (
    LEAST_ABANDONED_SECONDS,
    MOST_ABANDONED_SECONDS,
    MOST_TOKENS,
    MOST_WAITING_REQUESTS,
    serving_limits,
)
from policy_training.serving.presentation import serving_of
from rewardmodel.serving.asking import workers_serve
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.operations import operation
from workspace.roles import Capability

_LENGTH: dict[str, Any] = {"min_value": 1, "max_value": MOST_TOKENS}


class StartBody(Body):
    """Without a limit: what the model's context allows, or is usual."""

    max_prompt_tokens = serializers.IntegerField(
        required=False, help_text="Longer conversations lose their earliest turns.", **_LENGTH
    )
    max_response_tokens = serializers.IntegerField(
        required=False, help_text="What one answer may have.", **_LENGTH
    )
    max_waiting_requests = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_WAITING_REQUESTS,
        help_text="Answers that may wait, of all conversations and playgrounds; more are refused.",
    )
    abandoned_after_seconds = serializers.IntegerField(
        required=False,
        min_value=LEAST_ABANDONED_SECONDS,
        max_value=MOST_ABANDONED_SECONDS,
        help_text="An answer that nobody has asked about for so long is ended.",
    )


class PolicyServingSerializer(serializers.ModelSerializer[PolicyServing]):
    policy: Any = serializers.IntegerField(source="policy_id")
    state = serializers.ChoiceField(PolicyServing.State.choices)
    requested_at = serializers.DateTimeField(allow_null=True, help_text="null: it never was.")
    max_prompt_tokens = serializers.SerializerMethodField(
        help_text="Of its server, now or when it is started next."
    )
    max_response_tokens = serializers.SerializerMethodField(help_text="The same.")
    max_waiting_requests = serializers.SerializerMethodField(help_text="The same.")
    abandoned_after_seconds = serializers.SerializerMethodField(help_text="The same.")
    worker_alive = serializers.SerializerMethodField(
        help_text="Whether a worker is there that serves models."
    )

    class Meta:
        model = PolicyServing
        fields = [
            "policy", "state", "error", "requested_at", "ready_at", "last_used_at", "n_requests", "n_tokens",
            "retry_at", "stop_requested", "max_prompt_tokens", "max_response_tokens", "max_waiting_requests",
            "abandoned_after_seconds", "worker_alive",
        ]  # fmt: skip
        read_only_fields = fields

    def get_max_prompt_tokens(self, serving: PolicyServing) -> int:
        return serving_limits(serving).max_prompt_tokens

    def get_max_response_tokens(self, serving: PolicyServing) -> int:
        return serving_limits(serving).max_response_tokens

    def get_max_waiting_requests(self, serving: PolicyServing) -> int:
        return serving_limits(serving).max_waiting_requests

    def get_abandoned_after_seconds(self, serving: PolicyServing) -> int:
        return serving_limits(serving).abandoned_after_seconds

    def get_worker_alive(self, serving: PolicyServing) -> bool:
        return workers_serve()


class OnePolicyServing(ProjectApiView):
    @operation(Capability.REVIEW, answers=PolicyServingSerializer)
    def get(self, request: Request, pk: int) -> PolicyServing:
        """Whether the policy is loaded and answers conversations."""
        return serving_of(access_policy(self.project, pk))


class StartPolicyServing(ProjectApiView):
    @operation(Capability.MANAGE, body=StartBody, answers=PolicyServingSerializer)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> PolicyServing:
        """Have a worker load the policy now, before the first message of a conversation does.

        Without limits a policy that is loaded stays as it is; with others than its own that is refused (409).
        """
        return start_policy_serving(actor=self.actor, policy=access_policy(self.project, pk), **data)


class StopPolicyServing(ProjectApiView):
    @operation(Capability.MANAGE, answers=PolicyServingSerializer)
    def post(self, request: Request, pk: int) -> PolicyServing:
        """Unload the policy when what it writes is written. A conversation that needs it later loads it again."""
        return stop_policy_serving(actor=self.actor, policy=access_policy(self.project, pk))
