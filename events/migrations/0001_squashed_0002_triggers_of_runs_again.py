"""The tables as 2 migrations made them one after the other, for a database without any; others go on with those."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from events.triggers import install_event_triggers


class Migration(migrations.Migration):
    replaces = [("events", "0001_initial"), ("events", "0002_triggers_of_runs_again")]

    initial = True

    dependencies = [
        ("annotation", "0015_prompt_groups"),
        ("rounds", "0008_close_batches_of_ended_rounds"),
        ("runs", "0006_paused"),
        ("workspace", "0010_earlier_versions"),
        ("workspace", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="OutboxEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("project_id", models.BigIntegerField(null=True)),
                ("data", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name_plural": "outbox entries",
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="workspace.project",
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                (
                    "data",
                    models.JSONField(
                        default=dict, help_text="As the trigger wrote it; events/feed.py adds to it."
                    ),
                ),
                ("created_at", models.DateTimeField(help_text="When it happened.")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["project", "id"], name="event_by_project"),
                    models.Index(fields=["project", "kind", "id"], name="event_by_kind"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="webhooks",
                        to="workspace.project",
                    ),
                ),
                ("url", models.CharField(max_length=500)),
                ("description", models.CharField(blank=True, max_length=120)),
                (
                    "kinds",
                    models.JSONField(default=list, help_text="Kinds of event, or groups of them; none: all."),
                ),
                ("secret", models.CharField(editable=False, max_length=100)),
                ("previous_secret", models.CharField(blank=True, editable=False, max_length=100)),
                ("previous_secret_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("is_on", models.BooleanField(default=True)),
                (
                    "off_reason",
                    models.CharField(blank=True, help_text="Why the site turned it off.", max_length=300),
                ),
                ("position", models.BigIntegerField(default=0)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("claim", models.CharField(blank=True, editable=False, max_length=32)),
                ("claimed_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("url", ""), _negated=True), models.Q(("secret", ""), _negated=True)
                        ),
                        name="webhook_has_url_and_secret",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("is_on", False), ("off_reason", ""), _connector="OR"),
                        name="webhook_off_reason_only_when_off",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="events.webhook",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="events.event"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("delivered", "Delivered"),
                            ("dead", "Dead letter"),
                            ("dropped", "Dropped"),
                        ],
                        max_length=10,
                    ),
                ),
                ("is_resend", models.BooleanField(default=False)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                (
                    "status",
                    models.PositiveIntegerField(
                        blank=True, help_text="Of the last answer; none: no answer.", null=True
                    ),
                ),
                (
                    "reason",
                    models.CharField(blank=True, help_text="Why the last attempt failed.", max_length=300),
                ),
                ("seconds", models.FloatField(default=0.0, help_text="The last attempt took.")),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["next_attempt_at"],
                        name="delivery_due",
                    ),
                    models.Index(fields=["state", "settled_at"], name="delivery_by_state"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("webhook", "event"), name="unique_delivery_per_webhook_and_event"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_resend", False), ("state", "waiting")),
                        fields=("webhook",),
                        name="unique_waiting_delivery_per_webhook",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("next_attempt_at__isnull", False),
                                ("settled_at__isnull", True),
                                ("state", "waiting"),
                            ),
                            models.Q(
                                ("state__in", ["delivered", "dead", "dropped"]),
                                ("next_attempt_at__isnull", True),
                                ("settled_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="delivery_state_valid",
                    ),
                ],
            },
        ),
        install_event_triggers(),
    ]
