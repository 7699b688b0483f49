"""The tables as 16 migrations made them one after the other, for a database without any; others go on with those."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import workspace.models
import workspace.time_zones
from workspace.append_only import append_only, refuse_truncate


class Migration(migrations.Migration):
    replaces = [
        ("workspace", "0001_initial"),
        ("workspace", "0002_audit_append_only"),
        ("workspace", "0003_constraint_names"),
        ("workspace", "0004_project_time_zone"),
        ("workspace", "0005_split_shares"),
        ("workspace", "0006_no_truncate"),
        ("workspace", "0007_api_tokens"),
        ("workspace", "0008_near_duplicates_together"),
        ("workspace", "0009_versions_and_pauses"),
        ("workspace", "0010_earlier_versions"),
        ("workspace", "0011_tokens_that_only_score"),
        ("workspace", "0012_what_is_asked"),
        ("workspace", "0013_repeats"),
        ("workspace", "0014_read_only_role"),
        ("workspace", "0015_language"),
        ("workspace", "0016_audit_indexes"),
    ]

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("person", "Person"),
                            ("simulated", "Simulated annotator"),
                            ("ai", "AI judge"),
                        ],
                        default="person",
                        max_length=10,
                    ),
                ),
                (
                    "pseudonym",
                    models.CharField(
                        default=workspace.models.new_pseudonym, editable=False, max_length=64, unique=True
                    ),
                ),
                ("language", models.CharField(blank=True, max_length=10)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["person", "simulated", "ai"])),
                        name="user_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind", "person"),
                            models.Q(("is_staff", False), ("is_superuser", False)),
                            _connector="OR",
                        ),
                        name="only_people_are_operators",
                    ),
                ],
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Project",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("slug", models.SlugField(unique=True)),
                ("description", models.TextField(blank=True)),
                (
                    "overlap",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="How many people judge each task, unless a batch says otherwise.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(50),
                        ],
                    ),
                ),
                (
                    "lease_minutes",
                    models.PositiveSmallIntegerField(
                        default=30,
                        help_text="How long a task stays reserved for the annotator who opened it.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default=workspace.time_zones.default_time_zone,
                        help_text="In which the project's pages show times and its schedules read them, for example Europe/Berlin.",
                        max_length=64,
                    ),
                ),
                (
                    "gold_share",
                    models.FloatField(
                        default=0.0, help_text="Share of tasks whose answer is known, 0 to 0.5."
                    ),
                ),
                (
                    "repeat_share",
                    models.FloatField(
                        default=0.0, help_text="Share of tasks that a person gets a second time, 0 to 0.2."
                    ),
                ),
                (
                    "repeat_after",
                    models.PositiveSmallIntegerField(
                        default=20, help_text="Other tasks between the first and the second time."
                    ),
                ),
                (
                    "train_share",
                    models.FloatField(default=0.8, help_text="Share of prompts to train on, 0 to 1."),
                ),
                (
                    "validation_share",
                    models.FloatField(
                        default=0.1, help_text="Share of prompts for validation; the rest is test."
                    ),
                ),
                (
                    "test_per_tag",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="{tag: how many prompts of it are held out}, instead of a share.",
                    ),
                ),
                (
                    "near_duplicates_together",
                    models.BooleanField(
                        default=False, help_text="Whether prompts that are almost the same share a side."
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "split_salt",
                    models.CharField(default=workspace.models.new_split_salt, editable=False, max_length=64),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("overlap__gte", 1), ("overlap__lte", 50)),
                        name="project_overlap_1_to_50",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("lease_minutes__gte", 1)), name="project_lease_is_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("train_share__gt", 0),
                            ("validation_share__gte", 0),
                            (
                                "train_share__lte",
                                django.db.models.expressions.CombinedExpression(
                                    models.Value(1.000001), "-", models.F("validation_share")
                                ),
                            ),
                        ),
                        name="project_split_shares_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("time_zone", ""), _negated=True), name="project_has_a_time_zone"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("gold_share__gte", 0), ("gold_share__lte", 0.5)),
                        name="project_gold_share_0_to_half",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("repeat_after__gte", 1), ("repeat_share__gte", 0), ("repeat_share__lte", 0.2)
                        ),
                        name="project_repeats_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Criterion",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="criteria",
                        to="workspace.project",
                    ),
                ),
                ("name", models.SlugField(max_length=40)),
                ("question", models.CharField(help_text="As the annotator reads it.", max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "criteria",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_criterion_name_per_project"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="QuestionSettings",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="question_settings",
                        to="workspace.project",
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("allow_ties", models.BooleanField(default=True)),
                ("ask_rationale", models.BooleanField(default=False)),
                (
                    "questions",
                    models.JSONField(default=dict, help_text="{name of a criterion: its question}"),
                ),
                (
                    "asked",
                    models.JSONField(
                        default=dict, help_text="What is asked beside the order; {}: the defaults."
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "question settings",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "version"), name="unique_question_settings_version_per_project"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Guideline",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="guidelines",
                        to="workspace.project",
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("text", models.TextField(help_text="Markdown.")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
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
                        fields=("project", "version"), name="unique_guideline_version_per_project"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="workspace.project",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("annotator", "Annotator"),
                            ("reviewer", "Reviewer"),
                            ("reader", "Read-only"),
                            ("manager", "Manager"),
                        ],
                        max_length=10,
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "user"), name="unique_membership_user_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["annotator", "reviewer", "reader", "manager"])),
                        name="membership_role_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Invitation",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="workspace.project",
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("annotator", "Annotator"),
                            ("reviewer", "Reviewer"),
                            ("reader", "Read-only"),
                            ("manager", "Manager"),
                        ],
                        max_length=10,
                    ),
                ),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                (
                    "note",
                    models.CharField(
                        blank=True, help_text="Whom it is for; only managers see it.", max_length=120
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "accepted_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("accepted_at__isnull", True), ("accepted_by__isnull", True)),
                            models.Q(("accepted_at__isnull", False), ("accepted_by__isnull", False)),
                            _connector="OR",
                        ),
                        name="invitation_accepted_by_and_at_together",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))),
                        name="invitation_expires_after_creation",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
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
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_events",
                        to="workspace.project",
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_events",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("action", models.CharField(max_length=60)),
                ("target_type", models.CharField(blank=True, max_length=60)),
                ("target_id", models.CharField(blank=True, max_length=64)),
                ("details", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["project", "-created_at"], name="audit_by_project"),
                    models.Index(fields=["project", "id"], name="audit_by_project_key"),
                    models.Index(fields=["project", "action", "id"], name="audit_by_project_action"),
                    models.Index(fields=["target_type", "target_id", "id"], name="audit_by_object"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_tokens",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("prefix", models.CharField(help_text="How it begins, to be recognised by.", max_length=16)),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("read", "Read"),
                            ("write", "Read and write"),
                            ("score", "Only ask reward models"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("annotator", "Annotator"),
                            ("reviewer", "Reviewer"),
                            ("reader", "Read-only"),
                            ("manager", "Manager"),
                        ],
                        max_length=10,
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("scope__in", ["read", "write", "score"])),
                        name="api_token_scope_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["annotator", "reviewer", "reader", "manager"])),
                        name="api_token_role_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))),
                        name="api_token_expires_after_creation",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="api_token_name_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("key", models.CharField(max_length=100)),
                ("request_sha256", models.CharField(help_text="Of method, address and body.", max_length=64)),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("body", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "key"), name="unique_idempotency_key_per_user"),
                    models.CheckConstraint(
                        condition=models.Q(("key", ""), _negated=True),
                        name="idempotent_request_key_not_empty",
                    ),
                ],
            },
        ),
        append_only("workspace_auditevent"),
        refuse_truncate("workspace_auditevent"),
    ]
