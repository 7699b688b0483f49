"""The tables as 9 migrations made them one after the other, for a database without any; others go on with those."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("rounds", "0001_initial"),
        ("rounds", "0002_stage_rules"),
        ("rounds", "0003_plain_names"),
        ("rounds", "0004_run_configs"),
        ("rounds", "0005_reopened_annotation"),
        ("rounds", "0006_schedules"),
        ("rounds", "0007_head_to_head_runs"),
        ("rounds", "0008_close_batches_of_ended_rounds"),
        ("rounds", "0009_steps_of_policy_training"),
    ]

    initial = True

    dependencies = [
        ("annotation", "0007_texts"),
        ("policy_training", "0010_benchmarks"),
        ("rewardmodel", "0002_projects_are_kept"),
        ("runs", "0006_paused"),
        ("workspace", "0004_project_time_zone"),
        ("workspace", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="Round",
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
                        related_name="rounds",
                        to="workspace.project",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rounds",
                        to="workspace.criterion",
                    ),
                ),
                (
                    "prompt_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rounds",
                        to="annotation.promptset",
                    ),
                ),
                ("plan", models.JSONField()),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("sampling", "Sampling"),
                            ("annotating", "Annotating"),
                            ("reward_model", "Reward model"),
                            ("policy", "Policy training"),
                            ("scoring", "Scoring"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="sampling",
                        max_length=12,
                    ),
                ),
                (
                    "failed_stage",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("sampling", "Sampling"),
                            ("annotating", "Annotating"),
                            ("reward_model", "Reward model"),
                            ("policy", "Policy training"),
                            ("scoring", "Scoring"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=12,
                    ),
                ),
                ("error", models.TextField(blank=True)),
                (
                    "start_policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rounds_as_start",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "comparison_policy",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rounds_as_opponent",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "batch",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="round",
                        to="annotation.batch",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rounds",
                        to="annotation.preferencedataset",
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rounds",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                (
                    "new_policy",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="produced_in_round",
                        to="policy_training.policy",
                    ),
                ),
                ("head_to_head", models.JSONField(default=list)),
                ("annotation_deadline", models.DateTimeField(blank=True, null=True)),
                ("annotation_by_hand", models.BooleanField(default=False)),
                (
                    "started_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "number"), name="unique_round_number_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1)), name="round_number_at_least_1"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("stage__in", ["done", "cancelled"]), _negated=True),
                        fields=("project",),
                        name="unique_open_round_per_project",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("stage", "done"), _negated=True),
                            ("new_policy__isnull", False),
                            _connector="OR",
                        ),
                        name="done_round_has_policy",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "stage__in",
                                [
                                    "sampling",
                                    "annotating",
                                    "reward_model",
                                    "policy",
                                    "scoring",
                                    "done",
                                    "failed",
                                    "cancelled",
                                ],
                            ),
                            (
                                "failed_stage__in",
                                [
                                    "",
                                    "sampling",
                                    "annotating",
                                    "reward_model",
                                    "policy",
                                    "scoring",
                                    "done",
                                    "failed",
                                    "cancelled",
                                ],
                            ),
                        ),
                        name="round_stage_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("stage", "annotating"), _negated=True),
                            ("batch__isnull", False),
                            _connector="OR",
                        ),
                        name="annotating_round_has_batch",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("stage__in", ["policy", "scoring", "done"]), _negated=True),
                            ("reward_model__isnull", False),
                            _connector="OR",
                        ),
                        name="policy_training_has_reward_model",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("stage", "failed"),
                                models.Q(("failed_stage", ""), _negated=True),
                                models.Q(("error", ""), _negated=True),
                            ),
                            models.Q(
                                models.Q(("stage", "failed"), _negated=True),
                                models.Q(
                                    ("stage", "cancelled"),
                                    models.Q(("error", ""), ("failed_stage", "")),
                                    _connector="OR",
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="failed_round_has_error",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", False), ("stage__in", ["done", "cancelled"])),
                            models.Q(
                                models.Q(("stage__in", ["done", "cancelled"]), _negated=True),
                                ("finished_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="ended_round_has_finish_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RoundRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "round",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="round_runs",
                        to="rounds.round",
                    ),
                ),
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="round_run", to="runs.run"
                    ),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("sampling", "Sampling"),
                            ("annotating", "Annotating"),
                            ("reward_model", "Reward model"),
                            ("policy", "Policy training"),
                            ("scoring", "Scoring"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[("stage", "The stage"), ("head_to_head", "Head to head")],
                        default="stage",
                        max_length=12,
                    ),
                ),
                ("step", models.PositiveSmallIntegerField(default=0)),
                (
                    "policy",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="policy_training.policy",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("policy__isnull", False)),
                        fields=("round", "stage", "policy", "purpose"),
                        name="unique_run_per_stage_policy_and_purpose",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("policy__isnull", True)),
                        fields=("round", "stage", "step"),
                        name="unique_run_per_stage_and_step",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "stage__in",
                                [
                                    "sampling",
                                    "annotating",
                                    "reward_model",
                                    "policy",
                                    "scoring",
                                    "done",
                                    "failed",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="round_run_stage_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("purpose__in", ["stage", "head_to_head"])),
                        name="round_run_purpose_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StageEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "round",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stage_entries",
                        to="rounds.round",
                    ),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("sampling", "Sampling"),
                            ("annotating", "Annotating"),
                            ("reward_model", "Reward model"),
                            ("policy", "Policy training"),
                            ("scoring", "Scoring"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=12,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "stage entries",
                "ordering": ["created_at", "id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "stage__in",
                                [
                                    "sampling",
                                    "annotating",
                                    "reward_model",
                                    "policy",
                                    "scoring",
                                    "done",
                                    "failed",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="stage_entry_stage_valid",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Schedule",
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
                        related_name="schedules",
                        to="workspace.project",
                    ),
                ),
                (
                    "trigger",
                    models.CharField(
                        choices=[
                            ("at", "At a time"),
                            ("weekly", "Every week"),
                            ("after_round", "When the round before is done"),
                            ("judgments", "When so many new judgments are in"),
                        ],
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField(blank=True, null=True)),
                ("weekday", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("time_of_day", models.TimeField(blank=True, null=True)),
                ("judgments", models.PositiveIntegerField(blank=True, null=True)),
                ("repeats", models.BooleanField(default=False)),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspace.criterion",
                    ),
                ),
                (
                    "prompt_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="annotation.promptset",
                    ),
                ),
                (
                    "start_policy",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="policy_training.policy",
                    ),
                ),
                ("plan", models.JSONField()),
                ("considered_until", models.DateTimeField()),
                ("judgments_before", models.PositiveIntegerField(default=0)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
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
                            models.Q(("at__isnull", False), ("repeats", False), ("trigger", "at")),
                            models.Q(
                                ("repeats", True),
                                ("time_of_day__isnull", False),
                                ("trigger", "weekly"),
                                ("weekday__isnull", False),
                                ("weekday__lte", 6),
                            ),
                            ("trigger", "after_round"),
                            models.Q(
                                ("judgments__gte", 1), ("judgments__isnull", False), ("trigger", "judgments")
                            ),
                            _connector="OR",
                        ),
                        name="schedule_trigger_valid",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ScheduleFiring",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="firings",
                        to="rounds.schedule",
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("missed", models.PositiveIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("started", "Started"),
                            ("failed", "Failed"),
                            ("dropped", "Dropped"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                (
                    "round",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="firing",
                        to="rounds.round",
                    ),
                ),
                ("error", models.TextField(blank=True)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("schedule", "due_at"), name="unique_firing_per_schedule_and_time"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "waiting")),
                        fields=("schedule",),
                        name="unique_waiting_firing_per_schedule",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("error", ""), ("round__isnull", False), ("state", "started")),
                            models.Q(
                                ("round__isnull", True),
                                ("state", "failed"),
                                models.Q(("error", ""), _negated=True),
                            ),
                            models.Q(("round__isnull", True), ("state__in", ["waiting", "dropped"])),
                            _connector="OR",
                        ),
                        name="firing_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("settled_at__isnull", True), ("state", "waiting")),
                            models.Q(
                                models.Q(("state", "waiting"), _negated=True), ("settled_at__isnull", False)
                            ),
                            _connector="OR",
                        ),
                        name="settled_firing_has_its_time",
                    ),
                ],
            },
        ),
    ]
