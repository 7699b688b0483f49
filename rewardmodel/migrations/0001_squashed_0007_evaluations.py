"""The tables as 7 migrations made them one after the other, for a database without any; others go on with those."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("rewardmodel", "0001_initial"),
        ("rewardmodel", "0002_projects_are_kept"),
        ("rewardmodel", "0003_produced_by_and_constraint_names"),
        ("rewardmodel", "0004_criteria"),
        ("rewardmodel", "0005_serving"),
        ("rewardmodel", "0006_licence_and_notes"),
        ("rewardmodel", "0007_evaluations"),
    ]

    initial = True

    dependencies = [
        ("annotation", "0015_prompt_groups"),
        ("runs", "0004_relative_paths"),
        ("workspace", "0003_constraint_names"),
        ("workspace", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="RewardModel",
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
                        related_name="reward_models",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "artifact",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reward_model",
                        to="runs.artifact",
                    ),
                ),
                (
                    "base_artifact",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reward_models_started_here",
                        to="runs.artifact",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reward_models",
                        to="annotation.preferencedataset",
                    ),
                ),
                (
                    "produced_by",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reward_model",
                        to="runs.run",
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("notes", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("criteria", models.ManyToManyField(related_name="reward_models", to="workspace.criterion")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_reward_model_name_per_project"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RewardModelEvaluation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluations",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reward_model_evaluations",
                        to="annotation.preferencedataset",
                    ),
                ),
                ("split", models.CharField(max_length=12)),
                (
                    "produced_by",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reward_model_evaluation",
                        to="runs.run",
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="ResponseScore",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scores",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                (
                    "response",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scores",
                        to="annotation.response",
                    ),
                ),
                ("reward", models.FloatField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reward_model", "response"), name="unique_score_per_reward_model_and_response"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reward__gt", -1e30), ("reward__lt", 1e30)), name="score_finite"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Serving",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("stopped", "Stopped"),
                            ("waiting", "Waiting for a worker"),
                            ("starting", "Loading the model"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                        ],
                        default="stopped",
                        max_length=10,
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        help_text="Who started it last.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("requested_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("stop_requested", models.BooleanField(default=False)),
                ("fence", models.PositiveIntegerField(default=0)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("worker_name", models.CharField(blank=True, max_length=120)),
                (
                    "host",
                    models.CharField(
                        blank=True, help_text="The machine its scorer runs on, or last ran.", max_length=120
                    ),
                ),
                ("pid", models.PositiveIntegerField(blank=True, null=True)),
                ("process_identity", models.CharField(blank=True, max_length=120)),
                (
                    "address",
                    models.CharField(blank=True, help_text="host:port of the scorer.", max_length=260),
                ),
                ("secret", models.CharField(blank=True, max_length=64)),
                ("ready_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "n_requests",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Of the scorer that runs, or last ran."
                    ),
                ),
                ("failures", models.PositiveSmallIntegerField(default=0, help_text="In a row.")),
                ("retry_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.CharField(blank=True, max_length=1000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "reward_model",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="serving",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                ("n_rewards", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "abstract": False,
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["stopped", "waiting", "starting", "ready", "failed"])
                        ),
                        name="serving_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("fence__gt", 0),
                                ("lease_until__isnull", False),
                                ("state__in", ["starting", "ready"]),
                            ),
                            models.Q(
                                ("lease_until__isnull", True), ("state__in", ["stopped", "waiting", "failed"])
                            ),
                            _connector="OR",
                        ),
                        name="serving_has_a_lease_while_it_is_kept",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("state", "ready"),
                                models.Q(("address", ""), _negated=True),
                                models.Q(("secret", ""), _negated=True),
                            ),
                            models.Q(
                                models.Q(("state", "ready"), _negated=True), ("address", ""), ("secret", "")
                            ),
                            _connector="OR",
                        ),
                        name="serving_has_an_address_when_ready",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "failed"), _negated=True),
                            models.Q(("error", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="serving_error_says_why",
                    ),
                ],
            },
        ),
    ]
