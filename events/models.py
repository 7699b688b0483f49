"""What happened, in order; and the webhooks that are told of it.

An event is first an OutboxEntry, written by a trigger in the statement that changed something, and becomes an Event
when it is published: only then has it a place in the order (events/publishing.py says why).
"""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from workspace.models import Project

MAX_URL = 500


class OutboxEntry(models.Model):
    """Something that happened and has no place in the order yet. Removed when it is published."""

    kind = models.CharField(max_length=40)
    # No foreign key: whoever writes it locks nothing for it. None: found when it is published.
    project_id: Any = models.BigIntegerField(null=True)
    data: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "outbox entries"

    def __str__(self) -> str:
        return self.kind


class Event(models.Model):
    """Something that happened. Its key is its place in the order: what is published later has a larger one."""

    # The same in every installation that a backup is restored into; keys are given anew there.
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=40)
    data: Any = models.JSONField(
        default=dict, help_text="As the trigger wrote it; events/feed.py adds to it."
    )
    created_at = models.DateTimeField(help_text="When it happened.")

    class Meta:
        indexes = [
            models.Index(fields=["project", "id"], name="event_by_project"),
            models.Index(fields=["project", "kind", "id"], name="event_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.pk})"

    @property
    def name(self) -> str:
        """What programs know it by, and what a webhook's receiver tells a repetition by."""
        return f"evt_{self.public_id.hex}"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def on(self) -> Self:
        return self.filter(is_on=True)


class Webhook(models.Model):
    """An address of somebody else's that is told of a project's events, one after another."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="webhooks")
    url = models.CharField(max_length=MAX_URL)
    description = models.CharField(max_length=120, blank=True)
    kinds: Any = models.JSONField(default=list, help_text="Kinds of event, or groups of them; none: all.")
    # Both are needed as they are to sign: no page and no answer shows one after it was made.
    secret = models.CharField(max_length=100, editable=False)
    previous_secret = models.CharField(max_length=100, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_on = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=300, blank=True, help_text="Why the site turned it off.")
    # Up to here every event was handed over, or is a Delivery.
    position = models.BigIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    # Which worker is sending, and until when nobody else may.
    claim = models.CharField(max_length=32, blank=True, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(url="") & ~Q(secret=""), name="webhook_has_url_and_secret"),
            models.CheckConstraint(
                condition=Q(is_on=False) | Q(off_reason=""), name="webhook_off_reason_only_when_off"
            ),
        ]

    def __str__(self) -> str:
        return self.url


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        return self.filter(state=Delivery.State.WAITING)

    def dead(self) -> Self:
        return self.filter(state=Delivery.State.DEAD)


class Delivery(models.Model):
    """What became of an event at a webhook. There is none for an event that has not been tried yet."""

    class State(models.TextChoices):
        WAITING = (
            "waiting",
            gettext_lazy("Waiting"),
        )  # failed, or is to be sent again: the next attempt has its time
        DELIVERED = "delivered", gettext_lazy("Delivered")
        DEAD = "dead", gettext_lazy("Dead letter")  # given up: somebody sends it again or drops it
        DROPPED = "dropped", gettext_lazy("Dropped")

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices)
    # Sent again by hand: events after it do not wait for it.
    is_resend = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the last answer; none: no answer."
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why the last attempt failed.")
    seconds = models.FloatField(default=0.0, help_text="The last attempt took.")
    settled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "event"], name="unique_delivery_per_webhook_and_event"
            ),
            # Events are sent in order: one waits, those behind it have not been tried.
            models.UniqueConstraint(
                fields=["webhook"],
                condition=Q(state="waiting", is_resend=False),
                name="unique_waiting_delivery_per_webhook",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", next_attempt_at__isnull=False, settled_at__isnull=True)
                | (
                    Q(state__in=["delivered", "dead", "dropped"])
                    & Q(next_attempt_at__isnull=True, settled_at__isnull=False)
                ),
                name="delivery_state_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["state", "settled_at"], name="delivery_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to webhook {self.webhook_id}: {self.state}"
