"""Webhooks and what could not be delivered: for managers."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from events import actions
from events.access import access_delivery, access_webhook
from events.kinds import NAMES
from events.models import MAX_URL, Delivery, Webhook
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.roles import Capability
from workspace.shown_values import Shown, values_of


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    kinds = serializers.ListField(child=serializers.CharField(), help_text="None: all.")
    created_by: Any = serializers.CharField(source="created_by.username")

    class Meta:
        model = Webhook
        fields = [
            "id", "url", "description", "kinds", "is_on", "off_reason", "failing_since", "created_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(allow_null=True, help_text="Signs what is sent; is shown this once.")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    webhook: Any = serializers.IntegerField(source="webhook_id")
    event = serializers.CharField(source="event.name", help_text="Its webhook-id.")
    type = serializers.CharField(source="event.kind")

    class Meta:
        model = Delivery
        fields = [
            "id", "webhook", "event", "type", "state", "attempts", "next_attempt_at", "status", "reason", "seconds",
            "settled_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


def _kinds(**options: Any) -> Any:
    kind = serializers.ChoiceField(NAMES)
    return serializers.ListField(child=kind, max_length=len(NAMES), help_text="None: all.", **options)


class NewWebhook(Body):
    url = serializers.CharField(max_length=MAX_URL, help_text="https://...")
    kinds = _kinds(default=list)
    description = serializers.CharField(max_length=actions.MAX_DESCRIPTION, default="", allow_blank=True)


class ChangedWebhook(Body):
    url = serializers.CharField(max_length=MAX_URL, required=False)
    kinds = _kinds(required=False)
    description = serializers.CharField(max_length=actions.MAX_DESCRIPTION, required=False, allow_blank=True)
    is_on = serializers.BooleanField(required=False, help_text="On again it goes on where it stopped.")


class WebhookQuery(PageQuery):
    order = OrderField("id")


class DeliveryQuery(PageQuery):
    order = OrderField("id")
    webhook = serializers.IntegerField(required=False, **KEY)
    state = serializers.ChoiceField(Delivery.State.choices, required=False)


class Webhooks(ProjectApiView):
    @operation(Capability.MANAGE, lists=WebhookSerializer, query=WebhookQuery)
    def get(self, request: Request) -> QuerySet[Webhook]:
        """The project's webhooks."""
        return self.project.webhooks.select_related("created_by")

    @operation(
        Capability.MANAGE, body=NewWebhook, answers=NewWebhookSerializer, creates=True, secret=("secret",)
    )
    def post(self, request: Request, data: dict[str, Any]) -> Webhook:
        """An address that is told of what happens from now on. Its secret is in this answer and nowhere else."""
        return actions.create_webhook(actor=self.actor, project=self.project, **data)


def _changeable(webhook: Webhook) -> dict[str, Any]:
    return values_of(webhook, actions.CHANGEABLE)


class OneWebhook(ProjectApiView):
    @operation(Capability.MANAGE, answers=WebhookSerializer, changeable=_changeable)
    def get(self, request: Request, pk: int) -> Webhook:
        """A webhook."""
        return access_webhook(self.project, pk)

    @operation(Capability.MANAGE, body=ChangedWebhook, answers=WebhookSerializer, changeable=_changeable)
    def patch(self, request: Request, data: dict[str, Any], pk: int, shown: Shown) -> Webhook:
        """Change its address, its kinds or its description, turn it on or off."""
        webhook = access_webhook(self.project, pk)
        is_on = data.pop("is_on", None)
        with transaction.atomic():
            actions.change_webhook(actor=self.actor, webhook=webhook, **data, shown=shown)
            if is_on is not None:
                turn = actions.turn_on if is_on else actions.turn_off
                turn(actor=self.actor, webhook=webhook)
        return access_webhook(self.project, pk)

    @operation(Capability.MANAGE, status=204)
    def delete(self, request: Request, pk: int) -> None:
        """Remove it, with its dead letters."""
        actions.remove_webhook(actor=self.actor, webhook=access_webhook(self.project, pk))


class WebhookSecret(ProjectApiView):
    @operation(Capability.MANAGE, answers=NewWebhookSerializer, creates=True, secret=("secret",))
    def post(self, request: Request, pk: int) -> Webhook:
        """A new secret, in this answer and nowhere else. For a day the old one signs as well."""
        return actions.replace_secret(actor=self.actor, webhook=access_webhook(self.project, pk))


class WebhookTest(ProjectApiView):
    @operation(Capability.MANAGE, status=204)
    def post(self, request: Request, pk: int) -> None:
        """Send it an event of the type webhook.test."""
        actions.send_test(actor=self.actor, webhook=access_webhook(self.project, pk))


class Deliveries(ProjectApiView):
    @operation(Capability.MANAGE, lists=DeliverySerializer, query=DeliveryQuery)
    def get(self, request: Request) -> QuerySet[Delivery]:
        """What became of each event at each webhook; those of the state “dead” were given up."""
        return Delivery.objects.filter(webhook__project=self.project).select_related("event")


class OneDelivery(ProjectApiView):
    @operation(Capability.MANAGE, answers=DeliverySerializer)
    def get(self, request: Request, pk: int) -> Delivery:
        """A delivery."""
        return access_delivery(self.project, pk)


class TryNow(ProjectApiView):
    @operation(Capability.MANAGE, answers=DeliverySerializer)
    def post(self, request: Request, pk: int) -> Delivery:
        """Do not wait for the time of its next attempt."""
        return actions.try_now(actor=self.actor, delivery=access_delivery(self.project, pk))


class GiveUp(ProjectApiView):
    @operation(Capability.MANAGE, answers=DeliverySerializer)
    def post(self, request: Request, pk: int) -> Delivery:
        """Make a dead letter of what waits, so that the events behind it have their turn."""
        return actions.give_up(actor=self.actor, delivery=access_delivery(self.project, pk))


class Resend(ProjectApiView):
    @operation(Capability.MANAGE, answers=DeliverySerializer)
    def post(self, request: Request, pk: int) -> Delivery:
        """Send a dead letter again."""
        return actions.resend(actor=self.actor, delivery=access_delivery(self.project, pk))


class Drop(ProjectApiView):
    @operation(Capability.MANAGE, answers=DeliverySerializer)
    def post(self, request: Request, pk: int) -> Delivery:
        """Drop a dead letter that nobody needs."""
        return actions.drop(actor=self.actor, delivery=access_delivery(self.project, pk))
