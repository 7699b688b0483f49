"""The tables as 6 migrations made them one after the other, for a database without any; others go on with those."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
from django.conf import settings
from django.db import migrations, models

import runs.models


class Migration(migrations.Migration):
    replaces = [
        ("runs", "0001_runs"),
        ("runs", "0002_kind_label"),
        ("runs", "0003_plain_names"),
        ("runs", "0004_relative_paths"),
        ("runs", "0005_time_limit"),
        ("runs", "0006_paused"),
    ]

    initial = True

    dependencies = [
        ("workspace", "0016_audit_indexes"),
        ("workspace", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="Run",
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
                        related_name="runs",
                        to="workspace.project",
                    ),
                ),
                ("kind", models.CharField(help_text="Name of its RunKind.", max_length=60)),
                (
                    "kind_label",
                    models.CharField(
                        blank=True, help_text="The kind's name as pages show it.", max_length=80
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                (
                    "directory",
                    models.CharField(
                        default=runs.models.new_directory_name,
                        editable=False,
                        help_text="Folder under DATA_DIR/runs.",
                        max_length=64,
                        unique=True,
                    ),
                ),
                (
                    "config",
                    models.JSONField(help_text="What config.json of the run directory says was asked."),
                ),
                (
                    "parameters",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="What building inputs and saving the result need to know.",
                    ),
                ),
                ("processes", models.PositiveSmallIntegerField(default=1)),
                (
                    "threads",
                    models.PositiveSmallIntegerField(default=1, help_text="Threads of each process."),
                ),
                (
                    "time_limit_minutes",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Of each start; empty: the site's (RUN_TIME_LIMIT_MINUTES).",
                        null=True,
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "cloned_from",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="clones",
                        to="runs.run",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("user_error", "Needs a change"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="queued",
                        max_length=12,
                    ),
                ),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("max_attempts", models.PositiveSmallIntegerField(default=3)),
                ("fence", models.PositiveIntegerField(default=0)),
                ("run_after", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("cancel_requested", models.BooleanField(default=False)),
                ("worker_name", models.CharField(blank=True, max_length=120)),
                (
                    "host",
                    models.CharField(
                        blank=True, help_text="Where the command runs, or last ran.", max_length=120
                    ),
                ),
                ("pid", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "process_identity",
                    models.CharField(
                        blank=True,
                        help_text="Tells this process from a later stranger with the same pid.",
                        max_length=120,
                    ),
                ),
                (
                    "progress",
                    models.JSONField(blank=True, default=dict, help_text="The last status the worker read."),
                ),
                (
                    "error",
                    models.CharField(
                        blank=True, help_text="One sentence: what, where, what to do.", max_length=1000
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "queued")), fields=["run_after", "id"], name="run_queue"
                    ),
                    models.Index(
                        condition=models.Q(("state", "running")), fields=["lease_until"], name="run_leases"
                    ),
                    models.Index(fields=["project", "-id"], name="run_by_project"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                ["queued", "running", "paused", "done", "failed", "user_error", "cancelled"],
                            )
                        ),
                        name="run_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "running"), _negated=True),
                            models.Q(
                                ("fence__gt", 0),
                                ("lease_until__isnull", False),
                                ("started_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="running_run_has_lease_and_fence",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "running"), ("lease_until__isnull", True), _connector="OR"
                        ),
                        name="only_a_running_run_has_a_lease",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("finished_at__isnull", True), ("state__in", ["queued", "running", "paused"])
                            ),
                            models.Q(
                                ("finished_at__isnull", False),
                                ("state__in", ["done", "failed", "user_error", "cancelled"]),
                            ),
                            _connector="OR",
                        ),
                        name="finished_run_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("error", ""), ("state", "done")),
                            ("state__in", ["queued", "running", "cancelled"]),
                            models.Q(
                                ("state__in", ["failed", "user_error", "paused"]),
                                models.Q(("error", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="run_error_says_why",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("attempt__lte", models.F("max_attempts"))),
                        name="run_attempts_are_bounded",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_attempts__gte", 1), ("processes__gte", 1), ("threads__gte", 1)
                        ),
                        name="run_counts_are_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("directory", ""), _negated=True),
                            models.Q(("directory__contains", "/"), _negated=True),
                            models.Q(("directory__contains", "."), _negated=True),
                        ),
                        name="run_directory_is_one_plain_name",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=120, unique=True)),
                ("host", models.CharField(max_length=120)),
                ("pid", models.PositiveIntegerField()),
                ("kinds", models.JSONField(help_text="Names of the kinds it takes.")),
                (
                    "current_run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="runs.run",
                    ),
                ),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("heartbeat_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["heartbeat_at"], name="worker_heartbeats")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("stopped_at__isnull", True), ("current_run__isnull", True), _connector="OR"
                        ),
                        name="stopped_worker_has_no_run",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Artifact",
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
                        related_name="artifacts",
                        to="workspace.project",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("policy", "Policy"),
                            ("reward_model", "Reward model"),
                            ("critic", "Critic"),
                            ("responses", "Responses"),
                            ("scores", "Scores"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "path",
                    models.CharField(
                        help_text="Relative to DATA_DIR, or absolute outside it.", max_length=500
                    ),
                ),
                ("sha256", models.CharField(max_length=64)),
                ("size_bytes", models.PositiveBigIntegerField()),
                (
                    "produced_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="artifacts",
                        to="runs.run",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "kind", "path"), name="unique_artifact_path_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["policy", "reward_model", "critic", "responses", "scores"])
                        ),
                        name="artifact_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("path", ""), _negated=True), name="artifact_has_a_path"
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(
                            django.db.models.functions.text.Length("sha256"), 64
                        ),
                        name="artifact_has_a_sha256",
                    ),
                ],
            },
        ),
    ]
