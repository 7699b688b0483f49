"""The tables as 12 migrations made them one after the other, for a database without any; others go on with those."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("policy_training", "0001_initial"),
        ("policy_training", "0002_initial"),
        ("policy_training", "0003_projects_are_kept"),
        ("policy_training", "0004_produced_by_and_constraint_name"),
        ("policy_training", "0005_report_names"),
        ("policy_training", "0006_licence"),
        ("policy_training", "0007_evaluations"),
        ("policy_training", "0008_live_conversations"),
        ("policy_training", "0009_dataset"),
        ("policy_training", "0010_benchmarks"),
        ("policy_training", "0011_comparisons"),
        ("policy_training", "0012_selections"),
    ]

    initial = True

    dependencies = [
        ("annotation", "0038_ai_judging"),
        ("rewardmodel", "0007_evaluations"),
        ("runs", "0006_paused"),
        ("workspace", "0016_audit_indexes"),
        ("workspace", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="Policy",
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
                        related_name="policies",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "artifact",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="policy", to="runs.artifact"
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policies",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policies",
                        to="annotation.preferencedataset",
                    ),
                ),
                (
                    "produced_by",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy",
                        to="runs.run",
                    ),
                ),
                (
                    "source",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy",
                        to="annotation.source",
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("notes", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "policies",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_policy_name_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("parent__isnull", True),
                            models.Q(("parent", models.F("id")), _negated=True),
                            _connector="OR",
                        ),
                        name="policy_is_not_its_own_parent",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyEvaluation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluations",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_evaluations",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                (
                    "reference",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reference_of_evaluations",
                        to="policy_training.policy",
                    ),
                ),
                ("prompt_set", models.CharField(max_length=120)),
                (
                    "produced_by",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_evaluation",
                        to="runs.run",
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="BenchmarkFile",
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
                        related_name="benchmark_files",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("content", models.TextField(help_text="JSON Lines.")),
                ("sha256", models.CharField(max_length=64)),
                ("summary", models.JSONField(help_text="Task -> {kind, items, examples}.")),
                (
                    "added_by",
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
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_benchmark_file_name_per_project"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyBenchmark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="benchmarks",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="benchmarks",
                        to="policy_training.benchmarkfile",
                    ),
                ),
                (
                    "produced_by",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_benchmark",
                        to="runs.run",
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="PolicyServing",
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
                    "policy",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="serving",
                        to="policy_training.policy",
                    ),
                ),
                ("n_tokens", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "abstract": False,
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["stopped", "waiting", "starting", "ready", "failed"])
                        ),
                        name="policyserving_state_valid",
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
                        name="policyserving_has_a_lease_while_it_is_kept",
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
                        name="policyserving_has_an_address_when_ready",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "failed"), _negated=True),
                            models.Q(("error", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="policyserving_error_says_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyComparison",
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
                        related_name="policy_comparisons",
                        to="workspace.project",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comparisons",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comparisons",
                        to="rewardmodel.rewardmodel",
                    ),
                ),
                ("prompt_set", models.CharField(max_length=120)),
                (
                    "of_run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_comparisons",
                        to="runs.run",
                    ),
                ),
                (
                    "produced_by",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_comparison",
                        to="runs.run",
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("batches", models.ManyToManyField(related_name="policy_comparisons", to="annotation.batch")),
            ],
        ),
        migrations.CreateModel(
            name="PolicySelection",
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
                        related_name="policy_selections",
                        to="workspace.project",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="selections",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "rule",
                    models.CharField(
                        choices=[
                            ("best_reward", "highest mean reward"),
                            ("reward_within_kl", "highest mean reward within a KL"),
                            ("one_standard_error", "lowest KL within one standard error of the best"),
                            ("best_win_rate", "highest win rate against the reference"),
                            ("last", "the newest"),
                        ],
                        max_length=30,
                    ),
                ),
                (
                    "max_kl",
                    models.FloatField(
                        blank=True, help_text="Nats an answer, of reward_within_kl.", null=True
                    ),
                ),
                (
                    "judged_by",
                    models.CharField(
                        blank=True,
                        choices=[("reward_model", "the reward model"), ("judge", "the judge")],
                        max_length=20,
                    ),
                ),
                ("report", models.JSONField(default=dict)),
                (
                    "chosen_by",
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
                            models.Q(("max_kl__isnull", False), ("rule", "reward_within_kl")),
                            models.Q(
                                models.Q(("rule", "reward_within_kl"), _negated=True),
                                ("max_kl__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="max_kl_belongs_to_its_rule",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SelectedPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="selected_policy",
                        to="workspace.project",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="policy_training.policy",
                    ),
                ),
                (
                    "selection",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="policy_training.policyselection",
                    ),
                ),
                (
                    "pinned_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("pinned_at", models.DateTimeField()),
            ],
        ),
    ]
