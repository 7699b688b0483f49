"""The tables as 38 migrations made them one after the other, for a database without any; others go on with those."""

import uuid

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import annotation.models.prompts
from annotation.models.count_triggers import install_count_triggers
from annotation.models.day_triggers import install_day_trigger
from annotation.models.triggers import install_import_triggers, install_triggers
from annotation.models.work_triggers import install_work_triggers
from workspace.append_only import append_only, refuse_truncate


class Migration(migrations.Migration):
    replaces = [
        ("annotation", "0001_initial"),
        ("annotation", "0002_triggers"),
        ("annotation", "0003_plain_names"),
        ("annotation", "0004_imports"),
        ("annotation", "0005_earlier_imports"),
        ("annotation", "0006_response_turns"),
        ("annotation", "0007_texts"),
        ("annotation", "0008_response_ended"),
        ("annotation", "0009_assignments_taken_back"),
        ("annotation", "0010_task_counts"),
        ("annotation", "0011_rendered_text"),
        ("annotation", "0012_no_truncate"),
        ("annotation", "0013_dataset_versions"),
        ("annotation", "0014_uploads"),
        ("annotation", "0015_prompt_groups"),
        ("annotation", "0016_what_is_asked"),
        ("annotation", "0017_evidence"),
        ("annotation", "0018_task_questions"),
        ("annotation", "0019_own_required"),
        ("annotation", "0020_content_warnings"),
        ("annotation", "0021_quality"),
        ("annotation", "0022_own_time"),
        ("annotation", "0023_prompt_groups_in_order"),
        ("annotation", "0024_adjudication"),
        ("annotation", "0025_qualification"),
        ("annotation", "0026_assigning"),
        ("annotation", "0027_work_counts"),
        ("annotation", "0028_live_conversations"),
        ("annotation", "0029_pay_rate"),
        ("annotation", "0030_one_more_rule"),
        ("annotation", "0031_written_texts"),
        ("annotation", "0032_turn_answer_length"),
        ("annotation", "0033_fewer_indexes"),
        ("annotation", "0034_quarters_of_work"),
        ("annotation", "0035_batch_made_by_run"),
        ("annotation", "0036_uploads_of_several_files"),
        ("annotation", "0037_own_work"),
        ("annotation", "0038_ai_judging"),
    ]

    initial = True

    dependencies = [
        ("runs", "0006_paused"),
        ("workspace", "0015_language"),
        ("workspace", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="Import",
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
                        related_name="imports",
                        to="workspace.project",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("comparisons", "Comparisons"),
                            ("prompts", "Prompts"),
                            ("demonstrations", "Demonstrations"),
                            ("tasks", "Tasks to judge"),
                            ("texts", "Texts"),
                        ],
                        max_length=20,
                    ),
                ),
                ("format", models.CharField(blank=True, max_length=40)),
                ("files", models.JSONField(default=list, help_text="[{name, bytes, sha256}, ...]")),
                ("counts", models.JSONField(default=dict)),
                (
                    "notes",
                    models.JSONField(default=list, help_text="Sentences for whoever looks at it later."),
                ),
                ("rows", models.PositiveBigIntegerField(blank=True, null=True)),
                ("bad_rows", models.PositiveBigIntegerField(blank=True, null=True)),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        help_text="That brought it in.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="imports",
                        to="runs.run",
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "Running"), ("done", "Done"), ("taken_back", "Taken back")],
                        default="running",
                        max_length=12,
                    ),
                ),
                ("process", models.JSONField(blank=True, default=dict)),
                ("heartbeat_at", models.DateTimeField(auto_now_add=True)),
                (
                    "used_for",
                    models.CharField(
                        blank=True,
                        help_text="The first run or round that read it; then it stays.",
                        max_length=200,
                    ),
                ),
                ("taken_back_at", models.DateTimeField(blank=True, null=True)),
                (
                    "taken_back_by",
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
                "indexes": [models.Index(fields=["project", "-id"], name="import_newest_first")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["running", "done", "taken_back"])),
                        name="import_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("state", "taken_back"),
                                ("taken_back_at__isnull", False),
                                ("taken_back_by__isnull", False),
                            ),
                            models.Q(
                                models.Q(("state", "taken_back"), _negated=True),
                                ("taken_back_at__isnull", True),
                                ("taken_back_by__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="import_taken_back_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Prompt",
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
                        related_name="prompts",
                        to="workspace.project",
                    ),
                ),
                ("external_id", models.CharField(help_text="`prompt_id` in files.", max_length=200)),
                (
                    "messages",
                    models.JSONField(help_text="A conversation that ends with a user or tool turn."),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("plain", "Plain"), ("few-shot", "Few-shot"), ("user-based", "User-based")],
                        default="plain",
                        max_length=12,
                    ),
                ),
                ("tags", models.JSONField(blank=True, default=list)),
                (
                    "split",
                    models.CharField(
                        choices=[("train", "Train"), ("validation", "Validation"), ("test", "Test")],
                        editable=False,
                        max_length=10,
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("content_hash", models.CharField(editable=False, max_length=64)),
                ("first_turn_hash", models.CharField(default="", editable=False, max_length=64)),
                ("group_hash", models.CharField(editable=False, max_length=64, null=True)),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prompts",
                        to="annotation.import",
                    ),
                ),
                ("taken_back", models.BooleanField(default=False, editable=False)),
                (
                    "source_id",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="What the row is called in the file it came from.",
                        max_length=200,
                        null=True,
                    ),
                ),
                (
                    "metadata",
                    models.JSONField(
                        blank=True, help_text="Further columns of the file it came from.", null=True
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["project", "content_hash"], name="prompt_by_content"),
                    models.Index(fields=["project", "first_turn_hash"], name="prompt_by_first_turn"),
                    models.Index(fields=["project", "group_hash", "id"], name="prompt_by_group_in_order"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("taken_back", False)),
                        fields=("project", "external_id"),
                        name="unique_prompt_id_per_project",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("split__in", ["train", "validation", "test"])),
                        name="prompt_split_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["plain", "few-shot", "user-based"])),
                        name="prompt_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("external_id", ""), _negated=True), name="prompt_id_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PromptGroupKey",
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
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspace.project",
                    ),
                ),
                ("key", models.BigIntegerField()),
                (
                    "prompt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotation.prompt"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("project", "key", "prompt"), name="unique_key_per_prompt")
                ],
            },
        ),
        migrations.CreateModel(
            name="PromptSet",
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
                        related_name="prompt_sets",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("sft", "Supervised fine-tuning"),
                            ("reward", "Reward model"),
                            ("policy", "Policy training"),
                            ("evaluation", "Evaluation"),
                            ("anchor", "Anchor"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prompt_sets",
                        to="annotation.import",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_prompt_set_name_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("purpose__in", ["sft", "reward", "policy", "evaluation", "anchor"])
                        ),
                        name="prompt_set_purpose_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PromptSetMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "prompt_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="annotation.promptset",
                    ),
                ),
                (
                    "prompt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to="annotation.prompt",
                    ),
                ),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to="annotation.import",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("prompt_set", "prompt"), name="unique_prompt_per_prompt_set"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Source",
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
                        related_name="sources",
                        to="workspace.project",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("policy", "Policy"),
                            ("person", "Person"),
                            ("reference", "Reference"),
                            ("import", "Import"),
                        ],
                        max_length=10,
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "kind", "name"), name="unique_source_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["policy", "person", "reference", "import"])),
                        name="source_kind_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Response",
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
                        related_name="responses",
                        to="workspace.project",
                    ),
                ),
                (
                    "external_id",
                    models.CharField(
                        default=annotation.models.prompts.new_external_id,
                        help_text="`response_id` in files.",
                        max_length=200,
                    ),
                ),
                (
                    "prompt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="responses",
                        to="annotation.prompt",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="responses",
                        to="annotation.source",
                    ),
                ),
                ("text", models.TextField()),
                (
                    "turns",
                    models.JSONField(
                        blank=True,
                        help_text="A response with tool calls or several turns; empty where its text says all.",
                        null=True,
                    ),
                ),
                (
                    "sampling",
                    models.JSONField(blank=True, help_text="temperature, top_p, seed, ...", null=True),
                ),
                ("token_ids", models.JSONField(blank=True, help_text="When sampled here.", null=True)),
                ("logprobs", models.JSONField(blank=True, help_text="One for each token id.", null=True)),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="responses",
                        to="annotation.import",
                    ),
                ),
                ("taken_back", models.BooleanField(default=False, editable=False)),
                (
                    "ended",
                    models.BooleanField(
                        blank=True,
                        help_text="No: cut at the sampler's limit. Unknown counts as ended.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("taken_back", False)),
                        fields=("project", "external_id"),
                        name="unique_response_id_per_project",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("external_id", ""), _negated=True), name="response_id_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Demonstration",
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
                        related_name="demonstrations",
                        to="workspace.project",
                    ),
                ),
                (
                    "external_id",
                    models.CharField(default=annotation.models.prompts.new_external_id, max_length=200),
                ),
                (
                    "prompt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="demonstrations",
                        to="annotation.prompt",
                    ),
                ),
                ("response_text", models.TextField()),
                ("turns", models.JSONField(blank=True, help_text="As those of a response.", null=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="demonstrations",
                        to="annotation.import",
                    ),
                ),
                ("taken_back", models.BooleanField(default=False, editable=False)),
                (
                    "source_id",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="What the row is called in the file it came from.",
                        max_length=200,
                        null=True,
                    ),
                ),
                (
                    "metadata",
                    models.JSONField(
                        blank=True, help_text="Further columns of the file it came from.", null=True
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("taken_back", False)),
                        fields=("project", "external_id"),
                        name="unique_demonstration_id_per_project",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("response_text", ""), _negated=True),
                        name="demonstration_not_empty",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OneMoreRule",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="one_more_rule",
                        serialize=False,
                        to="workspace.project",
                    ),
                ),
                ("most", models.PositiveSmallIntegerField(help_text="People a task at most.")),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("applied_report", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("most__gte", 2), ("most__lte", 50)), name="one_more_rule_2_to_50"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MemberTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "membership",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tags",
                        to="workspace.membership",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("group", "Group"), ("skill", "Skill or language")], max_length=6
                    ),
                ),
                ("name", models.CharField(max_length=40)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("membership", "kind", "name"), name="unique_member_tag"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["group", "skill"])), name="member_tag_kind_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="member_tag_has_a_name"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DailyLimit",
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
                        related_name="daily_limits",
                        to="workspace.project",
                    ),
                ),
                (
                    "membership",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="daily_limit",
                        to="workspace.membership",
                    ),
                ),
                ("tasks", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("membership__isnull", True)),
                        fields=("project",),
                        name="unique_daily_limit_of_project",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("tasks__gte", 1)), name="daily_limit_is_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DayCount",
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
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="workspace.project"
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("day", models.DateField()),
                ("judged", models.PositiveIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("project", "annotator", "day"), name="unique_day_count")
                ],
            },
        ),
        migrations.CreateModel(
            name="ToAcknowledge",
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
                        related_name="to_acknowledge",
                        to="workspace.project",
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "version"), name="unique_version_to_acknowledge"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Acknowledgement",
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
                        related_name="acknowledgements",
                        to="workspace.project",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "person", "version"), name="unique_acknowledgement_per_person"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PreferenceDataset",
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
                        related_name="preference_datasets",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                ("version", models.PositiveIntegerField(default=1)),
                ("licence", models.CharField(blank=True, max_length=100)),
                ("description", models.TextField(blank=True)),
                (
                    "criterion",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="preference_datasets",
                        to="workspace.criterion",
                    ),
                ),
                ("directory", models.CharField(help_text="Below DATA_DIR.", max_length=300)),
                ("manifest_sha256", models.CharField(max_length=64)),
                ("filters", models.JSONField(default=dict)),
                ("counts", models.JSONField(default=dict)),
                ("statistics", models.JSONField(blank=True, editable=False, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("imports", models.ManyToManyField(related_name="datasets", to="annotation.import")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "name", "version"), name="unique_preference_dataset_version"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("version__gte", 1)), name="preference_dataset_version_at_least_1"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ContentOptOut",
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
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="workspace.project"
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="content_opt_outs",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("name", models.CharField(max_length=30)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("annotator", "project", "name"), name="unique_content_opt_out_per_annotator"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PayRate",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="pay_rate",
                        serialize=False,
                        to="workspace.project",
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        choices=[("hour", "Active hour"), ("judgment", "Judgment")], max_length=8
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=4, max_digits=12)),
                ("currency", models.CharField(help_text="Its ISO 4217 code, for example EUR.", max_length=3)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("unit__in", ["hour", "judgment"])), name="pay_rate_unit_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0)), name="pay_rate_amount_is_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("currency", ""), _negated=True), name="pay_rate_has_a_currency"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="QualityReport",
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
                        related_name="quality_reports",
                        to="workspace.project",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="runs.run",
                    ),
                ),
                ("is_complete", models.BooleanField(default=False)),
                ("judgments", models.PositiveIntegerField()),
                ("newest_judgment", models.BigIntegerField(default=0)),
                (
                    "summaries",
                    models.JSONField(
                        default=dict, help_text="By the criterion's key: machines, bands, leaderboard."
                    ),
                ),
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
                "indexes": [models.Index(fields=["project", "-id"], name="quality_report_newest")],
            },
        ),
        migrations.CreateModel(
            name="QualityAnnotator",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="annotators",
                        to="annotation.qualityreport",
                    ),
                ),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspace.criterion",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("judgments", models.PositiveIntegerField()),
                ("figures", models.JSONField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["report", "criterion", "-judgments"], name="quality_annotator_most")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("report", "criterion", "annotator"), name="unique_quality_annotator"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="QualityAnnotatorPair",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="annotator_pairs",
                        to="annotation.qualityreport",
                    ),
                ),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspace.criterion",
                    ),
                ),
                (
                    "one",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "other",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("pairs", models.PositiveIntegerField()),
                ("same", models.PositiveIntegerField()),
                ("kappa", models.FloatField(blank=True, null=True)),
                ("kappa_error", models.FloatField(blank=True, null=True)),
                (
                    "apart",
                    models.JSONField(
                        default=list, help_text="[[batch, task], ...], the farthest apart first."
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("report", "criterion", "one", "other"), name="unique_quality_annotator_pair"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("same__lte", models.F("pairs"))),
                        name="quality_pair_same_at_most_pairs",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("one__lt", models.F("other"))), name="quality_pair_in_order"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RenderedText",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="SHA-256 of what is shown and of the rendering's version.",
                        max_length=64,
                        unique=True,
                    ),
                ),
                (
                    "version",
                    models.CharField(
                        help_text="Of the rendering and of the libraries it uses.", max_length=100
                    ),
                ),
                ("characters", models.PositiveIntegerField(help_text="Of the HTML.")),
                ("html", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["version", "characters"], name="rendered_text_by_version")],
            },
        ),
        migrations.CreateModel(
            name="Text",
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
                        related_name="texts",
                        to="workspace.project",
                    ),
                ),
                ("external_id", models.CharField(help_text="`text_id` in files.", max_length=200)),
                ("text", models.TextField()),
                (
                    "licence",
                    models.CharField(blank=True, help_text="Empty: the file did not say.", max_length=200),
                ),
                (
                    "split",
                    models.CharField(
                        choices=[("train", "Train"), ("validation", "Validation"), ("test", "Test")],
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("content_hash", models.CharField(editable=False, max_length=64)),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="texts",
                        to="annotation.import",
                    ),
                ),
                ("taken_back", models.BooleanField(default=False, editable=False)),
                (
                    "source_id",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="What the row is called in the file it came from.",
                        max_length=200,
                        null=True,
                    ),
                ),
                (
                    "metadata",
                    models.JSONField(
                        blank=True, help_text="Further columns of the file it came from.", null=True
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("taken_back", False)),
                        fields=("project", "external_id"),
                        name="unique_text_id_per_project",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("taken_back", False)),
                        fields=("project", "content_hash"),
                        name="unique_text_per_project",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("split__in", ["train", "validation", "test"])),
                        name="text_split_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("text", ""), _negated=True), name="text_not_empty"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("external_id", ""), _negated=True), name="text_id_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Upload",
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
                        related_name="uploads",
                        to="workspace.project",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("name", models.CharField(help_text="As its owner calls it.", max_length=200)),
                ("hub", models.JSONField(blank=True, null=True)),
                (
                    "part_of",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="annotation.upload",
                    ),
                ),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("received_bytes", models.PositiveBigIntegerField(default=0)),
                (
                    "sha256",
                    models.CharField(
                        blank=True, help_text="As the sender said, else of what arrived.", max_length=64
                    ),
                ),
                (
                    "fingerprint",
                    models.CharField(
                        blank=True,
                        help_text="By which a browser knows the same file again after a break.",
                        max_length=200,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("receiving", "Being sent"),
                            ("complete", "Ready to import"),
                            ("at_work", "Being imported"),
                            ("imported", "Imported"),
                        ],
                        default="receiving",
                        max_length=12,
                    ),
                ),
                (
                    "settings",
                    models.JSONField(default=dict, help_text="How it is to be read, as the form has it."),
                ),
                ("outcome", models.JSONField(default=dict)),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        help_text="The latest.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="uploads",
                        to="runs.run",
                    ),
                ),
                (
                    "imported",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="uploads",
                        to="annotation.import",
                    ),
                ),
                ("touched_at", models.DateTimeField(auto_now_add=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["project", "owner", "-id"], name="upload_newest_first")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["receiving", "complete", "at_work", "imported"])),
                        name="upload_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("received_bytes__lte", models.F("size_bytes"))),
                        name="upload_received_within_size",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("size_bytes__gte", 1)), name="upload_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingWork",
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
                        related_name="writing_works",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("answer", "Ideal answers to prompts"),
                            ("edit", "Answers to correct"),
                            ("dialogue", "Whole dialogues"),
                            ("prompt", "Prompts"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("closed", "Closed")], default="open", max_length=6
                    ),
                ),
                ("instruction", models.TextField(blank=True)),
                (
                    "prompt_kind",
                    models.CharField(
                        blank=True,
                        choices=[("plain", "Plain"), ("few-shot", "Few-shot"), ("user-based", "User-based")],
                        max_length=12,
                    ),
                ),
                (
                    "prompt_set",
                    models.ForeignKey(
                        blank=True,
                        help_text="Answers: whose prompts are answered. Prompts and dialogues: where accepted prompts go.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="annotation.promptset",
                    ),
                ),
                (
                    "min_words",
                    models.PositiveIntegerField(
                        default=1, help_text="Of what is written, a turn of a dialogue."
                    ),
                ),
                ("max_words", models.PositiveIntegerField(default=2000)),
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
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_writing_work_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["answer", "edit", "dialogue", "prompt"])),
                        name="writing_kind_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "closed"])), name="writing_work_state_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_words__gte", models.F("min_words")), ("min_words__gte", 1)),
                        name="writing_word_limits_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "prompt"), models.Q(("prompt_kind", ""), _negated=True)),
                            models.Q(models.Q(("kind", "prompt"), _negated=True), ("prompt_kind", "")),
                            _connector="OR",
                        ),
                        name="writing_prompt_kind_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "work",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="annotation.writingwork",
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "prompt",
                    models.ForeignKey(
                        blank=True,
                        help_text="To be answered.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="writing_items",
                        to="annotation.prompt",
                    ),
                ),
                (
                    "edited_response",
                    models.ForeignKey(
                        blank=True,
                        help_text="To be corrected.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="writing_items",
                        to="annotation.response",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting for a writer"),
                            ("writing", "Being written"),
                            ("checking", "Waiting to be checked"),
                            ("returned", "Sent back"),
                            ("accepted", "Accepted"),
                        ],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                (
                    "writer",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="writing_items",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("draft", models.JSONField(blank=True, null=True)),
                ("draft_number", models.PositiveIntegerField(default=0)),
                ("is_late", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["work", "state", "id"], name="writing_item_by_state"),
                    models.Index(fields=["writer", "state"], name="writing_item_by_writer"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("leased_until__isnull", True), ("state", "waiting"), ("writer__isnull", True)
                            ),
                            models.Q(
                                ("leased_until__isnull", False),
                                ("state", "writing"),
                                ("writer__isnull", False),
                            ),
                            models.Q(
                                ("leased_until__isnull", True),
                                ("state__in", ["checking", "returned", "accepted"]),
                                ("writer__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="writing_item_state_valid",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="annotation.writingitem",
                    ),
                ),
                ("number", models.PositiveSmallIntegerField(help_text="From 1.")),
                (
                    "turns",
                    models.JSONField(
                        help_text="The texts in their order: one, or those of a dialogue, the user's first."
                    ),
                ),
                (
                    "written_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("key", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(fields=("item", "number"), name="unique_writing_version_number"),
                    models.UniqueConstraint(fields=("written_by", "key"), name="unique_writing_version_key"),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1)), name="writing_version_number_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("key", ""), _negated=True), name="writing_version_key_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingReview",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="review",
                        to="annotation.writingversion",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "writer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("accept", "Accepted"),
                            ("edit", "Corrected and accepted"),
                            ("send_back", "Sent back"),
                        ],
                        max_length=9,
                    ),
                ),
                ("remark", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reviewer", models.F("writer")), _negated=True),
                        name="writing_checked_by_another",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__in", ["accept", "edit"]),
                            models.Q(("outcome", "send_back"), models.Q(("remark", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="writing_review_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="results",
                        to="annotation.writingversion",
                    ),
                ),
                (
                    "demonstration",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="written",
                        to="annotation.demonstration",
                    ),
                ),
                (
                    "prompt",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="written",
                        to="annotation.prompt",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("demonstration__isnull", False), ("prompt__isnull", True)),
                            models.Q(("demonstration__isnull", True), ("prompt__isnull", False)),
                            _connector="OR",
                        ),
                        name="writing_result_is_one",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingSkip",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="skips",
                        to="annotation.writingitem",
                    ),
                ),
                (
                    "writer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("reason", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("item", "writer"), name="unique_writing_skip"),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="writing_skip_has_reason"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Batch",
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
                        related_name="batches",
                        to="workspace.project",
                    ),
                ),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batches",
                        to="workspace.criterion",
                    ),
                ),
                ("name", models.CharField(max_length=120)),
                (
                    "kind",
                    models.CharField(
                        choices=[("pairwise", "Pairwise"), ("ranking", "Ranking"), ("rating", "Rating")],
                        max_length=10,
                    ),
                ),
                (
                    "responses_per_task",
                    models.PositiveSmallIntegerField(
                        help_text="Responses a task; at most so many in a ranking."
                    ),
                ),
                ("overlap", models.PositiveSmallIntegerField(help_text="How many people judge each task.")),
                (
                    "quota",
                    models.PositiveIntegerField(
                        help_text="Counted judgments that fill the batch.", null=True
                    ),
                ),
                ("priority", models.IntegerField(default=0)),
                ("round_number", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("open", "Open"), ("closed", "Closed")],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("visible", models.BooleanField(default=True)),
                (
                    "excluded",
                    models.BooleanField(default=False, help_text="Left out of datasets from now on."),
                ),
                ("for_some", models.BooleanField(blank=True, null=True)),
                (
                    "skills_asked",
                    models.CharField(
                        blank=True,
                        choices=[("any", "Any of them"), ("all", "All of them")],
                        max_length=3,
                        null=True,
                    ),
                ),
                (
                    "person_quota",
                    models.PositiveIntegerField(
                        blank=True, help_text="Tasks that one person judges of it at most.", null=True
                    ),
                ),
                ("content_warnings", models.TextField(blank=True, null=True)),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batches",
                        to="annotation.import",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batches",
                        to="runs.run",
                    ),
                ),
                ("queue_version", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name_plural": "batches",
                "indexes": [
                    models.Index(fields=["project", "state", "-priority", "id"], name="batch_by_priority")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "name"), name="unique_batch_name_per_project"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "pairwise"), ("responses_per_task", 2)),
                            models.Q(
                                ("kind", "ranking"),
                                ("responses_per_task__gte", 3),
                                ("responses_per_task__lte", 9),
                            ),
                            models.Q(("kind", "rating"), ("responses_per_task", 1)),
                            _connector="OR",
                        ),
                        name="batch_responses_per_task_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("overlap__gte", 1), ("overlap__lte", 50)),
                        name="batch_overlap_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["draft", "open", "closed"])),
                        name="batch_state_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Task",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tasks",
                        to="annotation.batch",
                    ),
                ),
                (
                    "prompt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tasks",
                        to="annotation.prompt",
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("normal", "Normal"),
                            ("gold", "Gold"),
                            ("repeat", "Repeat"),
                            ("practice", "Practice"),
                            ("adjudication", "Adjudication"),
                            ("head_to_head", "Head to head"),
                        ],
                        default="normal",
                        max_length=14,
                    ),
                ),
                (
                    "reserved_for",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "copy_of",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="copies",
                        to="annotation.task",
                    ),
                ),
                ("priority", models.IntegerField(default=0)),
                ("required_judgments", models.PositiveSmallIntegerField()),
                ("own_required", models.BooleanField(editable=False, null=True)),
                ("open_slots", models.SmallIntegerField()),
                ("counted_judgments", models.SmallIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("batch"),
                        models.OrderBy(models.F("priority"), descending=True),
                        models.F("id"),
                        condition=models.Q(("open_slots__gt", 0)),
                        name="task_open_by_priority",
                    ),
                    models.Index(
                        condition=models.Q(("reserved_for__isnull", False)),
                        fields=["reserved_for", "batch"],
                        name="task_reserved",
                    ),
                    models.Index(
                        condition=models.Q(("purpose", "gold")), fields=["batch", "id"], name="task_gold"
                    ),
                    models.Index(
                        condition=models.Q(("copy_of__isnull", False)),
                        fields=["copy_of", "purpose"],
                        name="task_copies",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("open_slots__gte", 0)), name="task_open_slots_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("counted_judgments__gte", 0)), name="task_counted_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "required_judgments__gte",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("open_slots"), "+", models.F("counted_judgments")
                                ),
                            )
                        ),
                        name="task_slots_add_up",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("purpose__in", ("normal", "head_to_head")), ("required_judgments__gte", 1)
                            ),
                            models.Q(
                                models.Q(("purpose__in", ("normal", "head_to_head")), _negated=True),
                                ("required_judgments", 0),
                            ),
                            _connector="OR",
                        ),
                        name="task_required_judgments_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "purpose__in",
                                ["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"],
                            )
                        ),
                        name="task_purpose_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("purpose__in", ["repeat", "adjudication"]), _negated=True),
                            ("reserved_for__isnull", False),
                            _connector="OR",
                        ),
                        name="task_reserved_for_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskResponse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="task_responses",
                        to="annotation.task",
                    ),
                ),
                (
                    "response",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="task_responses",
                        to="annotation.response",
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(fields=("task", "response"), name="unique_response_per_task"),
                    models.UniqueConstraint(fields=("task", "position"), name="unique_position_per_task"),
                    models.CheckConstraint(
                        condition=models.Q(("position__lte", 8)), name="task_response_position_valid"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Assignment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="assignments",
                        to="annotation.task",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="assignments",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("leased", "Leased"),
                            ("submitted", "Submitted"),
                            ("skipped", "Skipped"),
                            ("expired", "Expired"),
                            ("taken_back", "Taken back"),
                            ("own", "Own work"),
                        ],
                        default="leased",
                        max_length=10,
                    ),
                ),
                ("leased_until", models.DateTimeField()),
                ("shuffle_seed", models.BigIntegerField()),
                (
                    "order_shown",
                    models.JSONField(
                        help_text="Response keys in the order shown; labels A, B, ... follow it."
                    ),
                ),
                (
                    "settings_version",
                    models.PositiveIntegerField(help_text="Of the question as it was shown."),
                ),
                (
                    "guideline_version",
                    models.PositiveIntegerField(help_text="As it was shown; 0 when there was none."),
                ),
                ("draft", models.JSONField(blank=True, default=dict)),
                ("skip_reason", models.TextField(blank=True, default="")),
                ("submitted_at", models.DateTimeField(blank=True, null=True)),
                ("submitted_day", models.DateField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "leased")),
                        fields=["leased_until"],
                        name="assignment_live_leases",
                    ),
                    models.Index(
                        condition=models.Q(("state", "leased")),
                        fields=["annotator", "id"],
                        name="assignment_own_lease",
                    ),
                    models.Index(
                        condition=models.Q(("state", "expired")),
                        fields=["annotator", "id"],
                        name="assignment_own_expired",
                    ),
                    models.Index(fields=["annotator", "-submitted_at"], name="assignment_own_history"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "taken_back"), _negated=True),
                        fields=("task", "annotator"),
                        name="unique_assignment_per_task_and_annotator",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["leased", "submitted", "skipped", "expired", "taken_back", "own"])
                        ),
                        name="assignment_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "submitted"), ("submitted_at__isnull", False)),
                            models.Q(
                                models.Q(("state", "submitted"), _negated=True),
                                ("submitted_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="assignment_submitted_at_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="QueueCursor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotation.batch"
                    ),
                ),
                ("queue_version", models.PositiveIntegerField()),
                ("priority", models.IntegerField()),
                ("task_id", models.BigIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("annotator", "batch"), name="unique_queue_cursor_per_annotator_and_batch"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Judgment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "assignment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="judgments",
                        to="annotation.assignment",
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="judgments",
                        to="annotation.task",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="judgments",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "supersedes",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="superseded_by",
                        to="annotation.judgment",
                    ),
                ),
                ("order_shown", models.JSONField()),
                ("tiers", models.JSONField()),
                ("strengths", models.JSONField(default=list)),
                ("confidence", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("marks", models.JSONField(blank=True, default=dict)),
                ("rationale", models.TextField(blank=True)),
                ("flags", models.JSONField(blank=True, default=list)),
                (
                    "seconds",
                    models.FloatField(
                        default=0.0, help_text="Active seconds: the page visible, the person not idle."
                    ),
                ),
                ("evidence", models.JSONField(blank=True, help_text="What the page saw of it.", null=True)),
                ("settings_version", models.PositiveIntegerField()),
                ("guideline_version", models.PositiveIntegerField()),
                (
                    "surplus",
                    models.BooleanField(
                        default=False, help_text="Came when no slot was open: kept, not counted."
                    ),
                ),
                (
                    "withdrawn",
                    models.BooleanField(
                        default=False, help_text="This row takes back the one it supersedes."
                    ),
                ),
                ("idempotency_key", models.CharField(max_length=100)),
                (
                    "from_import",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="judgments",
                        to="annotation.import",
                    ),
                ),
                (
                    "source_id",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="What the row is called in the file it came from.",
                        max_length=200,
                        null=True,
                    ),
                ),
                (
                    "metadata",
                    models.JSONField(
                        blank=True, help_text="Further columns of the file it came from.", null=True
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["task", "annotator"], name="judgment_by_task"),
                    models.Index(fields=["annotator", "created_at"], name="judgment_own_time"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("supersedes",), name="unique_successor_per_judgment"),
                    models.UniqueConstraint(
                        fields=("annotator", "idempotency_key"), name="unique_idempotency_key_per_annotator"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("supersedes__isnull", True)),
                        fields=("assignment",),
                        name="unique_first_judgment_per_assignment",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("seconds__gte", 0)), name="judgment_seconds_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("idempotency_key", ""), _negated=True),
                        name="judgment_idempotency_key_not_empty",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("withdrawn", False), ("supersedes__isnull", False), _connector="OR"
                        ),
                        name="judgment_withdrawn_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CurrentJudgment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="current_judgments",
                        to="annotation.task",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "judgment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="current_pointer",
                        to="annotation.judgment",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["annotator", "-judgment"], name="current_judgment_latest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("task", "annotator"), name="unique_current_judgment_per_task_and_annotator"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GoldJudgment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="gold_judgment",
                        to="annotation.task",
                    ),
                ),
                ("tiers", models.JSONField()),
                ("strengths", models.JSONField(default=list)),
                ("also_right", models.JSONField(blank=True, default=list)),
                ("tolerance", models.PositiveSmallIntegerField(blank=True, null=True)),
                (
                    "least_pairs",
                    models.FloatField(
                        default=1.0, help_text="Share of its pairs that must be right, 0 to 1."
                    ),
                ),
                ("explanation", models.TextField(blank=True)),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("least_pairs__gt", 0), ("least_pairs__lte", 1)),
                        name="gold_least_pairs_valid",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Adjudication",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjudications",
                        to="annotation.task",
                    ),
                ),
                (
                    "decision_task",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decides",
                        to="annotation.task",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("underspecified", "The prompt can be read in several ways"),
                            ("style", "A matter of style or taste"),
                            ("factual", "A fact: somebody did not check, or could not"),
                            ("refusal", "Whether to refuse"),
                            ("safety", "Safety against helpfulness"),
                            ("slip", "A slip: wrong key, misread"),
                        ],
                        max_length=14,
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "supersedes",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="superseded_by",
                        to="annotation.adjudication",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("supersedes__isnull", True)),
                        fields=("task",),
                        name="unique_first_adjudication",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["underspecified", "style", "factual", "refusal", "safety", "slip"])
                        ),
                        name="adjudication_kind_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReturnedJudgment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "judgment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="returned",
                        to="annotation.judgment",
                    ),
                ),
                ("remark", models.TextField()),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "kept_at",
                    models.DateTimeField(blank=True, help_text="When its annotator stood by it.", null=True),
                ),
                ("reason", models.TextField(blank=True, default="", help_text="Why they stood by it.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("remark", ""), _negated=True),
                        name="returned_judgment_remark_not_empty",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AIJudging",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ai_judgings",
                        to="annotation.batch",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ai_judgings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="ai_judging", to="runs.run"
                    ),
                ),
                ("takes_slots", models.BooleanField(default=False)),
                ("judgments", models.PositiveIntegerField()),
                ("report", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="BatchAudience",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="audience",
                        to="annotation.batch",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("person", "Person"), ("group", "Group"), ("skill", "Skill or language")],
                        max_length=6,
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=40)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "person")),
                        fields=("batch", "person"),
                        name="unique_person_of_batch",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "person"), _negated=True),
                        fields=("batch", "kind", "name"),
                        name="unique_tag_of_batch",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "person"), ("name", ""), ("person__isnull", False)),
                            models.Q(
                                ("kind__in", ["group", "skill"]),
                                ("person__isnull", True),
                                models.Q(("name", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="batch_audience_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LiveBatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "batch",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="live",
                        to="annotation.batch",
                    ),
                ),
                (
                    "system_prompt",
                    models.TextField(
                        blank=True, help_text="What both policies are told before the conversation."
                    ),
                ),
                (
                    "instruction",
                    models.TextField(blank=True, help_text="What the annotator is asked to talk about."),
                ),
                (
                    "openers",
                    models.JSONField(blank=True, default=list, help_text="First messages to choose from."),
                ),
                (
                    "first_source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotation.source"
                    ),
                ),
                ("first_temperature", models.FloatField(default=1.0)),
                (
                    "second_source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotation.source"
                    ),
                ),
                ("second_temperature", models.FloatField(default=1.0)),
                ("top_p", models.FloatField(default=1.0)),
                ("max_turns", models.PositiveSmallIntegerField(default=10)),
                ("max_response_tokens", models.PositiveIntegerField(default=256)),
                ("max_message_characters", models.PositiveIntegerField(default=4000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("first_temperature__gt", 0), ("second_temperature__gt", 0)),
                        name="live_batch_temperatures_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("top_p__gt", 0), ("top_p__lte", 1)), name="live_batch_top_p_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_message_characters__gte", 1),
                            ("max_response_tokens__gte", 1),
                            ("max_turns__gte", 1),
                        ),
                        name="live_batch_limits_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Conversation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "live",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conversations",
                        to="annotation.livebatch",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="conversations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("live", "annotator"),
                        name="unique_open_conversation_per_person_and_batch",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ConversationTurn",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="turns",
                        to="annotation.conversation",
                    ),
                ),
                ("number", models.PositiveSmallIntegerField(help_text="From 1.")),
                ("message", models.TextField()),
                ("shown_first", models.PositiveSmallIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("judged", "Judged"),
                            ("skipped", "Not judged"),
                            ("one_answer", "One answer"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "task",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="conversation_turn",
                        to="annotation.task",
                    ),
                ),
                (
                    "chosen",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="annotation.response",
                    ),
                ),
                (
                    "chosen_at_random",
                    models.BooleanField(default=False, help_text="After a tie, or without a judgment."),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("conversation", "number"), name="unique_turn_number_per_conversation"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("chosen__isnull", True), ("outcome", "open")),
                            models.Q(
                                ("chosen__isnull", False),
                                ("outcome__in", ["judged", "skipped", "one_answer"]),
                            ),
                            _connector="OR",
                        ),
                        name="conversation_turn_chosen_when_over",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("shown_first__lte", 1)), name="conversation_turn_side_valid"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TurnAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "turn",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="answers",
                        to="annotation.conversationturn",
                    ),
                ),
                (
                    "side",
                    models.PositiveSmallIntegerField(
                        help_text="0 or 1: the first or second source of the batch."
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotation.source"
                    ),
                ),
                ("temperature", models.FloatField()),
                ("seed", models.CharField(max_length=40)),
                ("attempt", models.PositiveSmallIntegerField(default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[("writing", "Being written"), ("done", "Done"), ("failed", "Failed")],
                        default="writing",
                        max_length=8,
                    ),
                ),
                ("text", models.TextField(blank=True)),
                ("error", models.CharField(blank=True, max_length=1000)),
                ("token_ids", models.JSONField(blank=True, null=True)),
                ("logprobs", models.JSONField(blank=True, null=True)),
                ("ended", models.BooleanField(blank=True, null=True)),
                (
                    "max_tokens",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="How many it could have: less than the batch asks for in a small model.",
                        null=True,
                    ),
                ),
                (
                    "prompt_cut",
                    models.BooleanField(
                        blank=True,
                        help_text="The beginning of the conversation did not fit the model.",
                        null=True,
                    ),
                ),
                (
                    "response",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="turn_answer",
                        to="annotation.response",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["side"],
                "constraints": [
                    models.UniqueConstraint(fields=("turn", "side"), name="unique_answer_per_turn_and_side"),
                    models.CheckConstraint(
                        condition=models.Q(("side__lte", 1)), name="turn_answer_side_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["writing", "done", "failed"])),
                        name="turn_answer_state_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="annotation.batch",
                    ),
                ),
                ("annotator_id", models.BigIntegerField(help_text="0: for everybody.")),
                ("available", models.BigIntegerField(default=0)),
                ("submitted", models.BigIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["batch", "annotator_id"], name="task_count_by_batch")],
            },
        ),
        migrations.CreateModel(
            name="WorkCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="annotation.batch",
                    ),
                ),
                ("annotator_id", models.BigIntegerField()),
                ("quarter", models.DateTimeField(db_column="hour", help_text="When it began, in UTC.")),
                ("judgments", models.IntegerField(default=0, help_text="Tasks judged for the first time.")),
                ("counted", models.IntegerField(default=0, help_text="Of tasks that are for everybody.")),
                (
                    "counted_reserved",
                    models.IntegerField(default=0, help_text="Of tasks that are kept for one person."),
                ),
                (
                    "seconds",
                    models.FloatField(default=0.0, help_text="Active ones; those of changes included."),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["batch", "quarter"], name="work_count_by_batch"),
                    models.Index(fields=["annotator_id", "quarter"], name="work_count_by_person"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("batch", "annotator_id", "quarter"),
                        name="unique_work_count_per_person_and_hour",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskTrouble",
            fields=[
                (
                    "task",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="trouble",
                        serialize=False,
                        to="annotation.task",
                    ),
                ),
                ("skipped", models.IntegerField(default=0, help_text="People who have skipped it.")),
                (
                    "expired",
                    models.IntegerField(default=0, help_text="Leases that ended without a judgment."),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("skipped__gte", 2), ("expired__gte", 3), _connector="OR"),
                        fields=["task"],
                        name="task_trouble_stuck",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Training",
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
                        related_name="trainings",
                        to="workspace.project",
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                (
                    "batch",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training",
                        to="annotation.batch",
                    ),
                ),
                ("items", models.PositiveSmallIntegerField(help_text="Tasks of a try.")),
                ("needed", models.PositiveSmallIntegerField(help_text="So many of them right to pass.")),
                ("max_tries", models.PositiveSmallIntegerField(default=3)),
                ("is_on", models.BooleanField(default=False, help_text="Off: nobody is asked for it.")),
                (
                    "for_everybody",
                    models.BooleanField(
                        default=True,
                        help_text="Before any work of the project, not only of batches that require it.",
                    ),
                ),
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
                    models.UniqueConstraint(
                        fields=("project", "name"), name="unique_training_name_per_project"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("items__gte", 1),
                            ("max_tries__gte", 1),
                            ("needed__gte", 1),
                            ("needed__lte", models.F("items")),
                        ),
                        name="training_pass_mark_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="training_name_not_empty"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Qualification",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "training",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="qualifications",
                        to="annotation.training",
                    ),
                ),
                (
                    "annotator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="qualifications",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "In training"),
                            ("passed", "Passed"),
                            ("failed", "Not passed"),
                            ("let_through", "Let through"),
                        ],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("try_number", models.PositiveSmallIntegerField(default=1)),
                ("tries_allowed", models.PositiveSmallIntegerField()),
                ("answered", models.PositiveSmallIntegerField(default=0)),
                ("right", models.PositiveSmallIntegerField(default=0)),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "note",
                    models.CharField(
                        blank=True, help_text="Of the manager; only managers see it.", max_length=300
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("training", "annotator"), name="unique_qualification_per_annotator"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "passed", "failed", "let_through"])),
                        name="qualification_state_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("right__lte", models.F("answered")), ("try_number__gte", 1)),
                        name="qualification_counts_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state", "open"), ("decided_at__isnull", False), _connector="OR"),
                        name="qualification_decided_valid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TrainingAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "qualification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="answers",
                        to="annotation.qualification",
                    ),
                ),
                ("try_number", models.PositiveSmallIntegerField()),
                (
                    "assignment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training_answer",
                        to="annotation.assignment",
                    ),
                ),
                ("is_right", models.BooleanField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="QualityAgreement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agreement",
                        to="annotation.qualityreport",
                    ),
                ),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspace.criterion",
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="annotation.batch",
                    ),
                ),
                ("annotator_kind", models.CharField(max_length=10)),
                ("figures", models.JSONField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("batch__isnull", True)),
                        fields=("report", "criterion", "annotator_kind"),
                        name="unique_quality_of_a_criterion",
                    ),
                    models.UniqueConstraint(
                        fields=("report", "batch", "annotator_kind"), name="unique_quality_of_a_batch"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskConsensus",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consensus",
                        to="annotation.qualityreport",
                    ),
                ),
                (
                    "criterion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="workspace.criterion",
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotation.task"
                    ),
                ),
                ("annotators", models.PositiveSmallIntegerField()),
                ("certainty", models.FloatField(help_text="Of its least certain pair: 0 even, 1 no doubt.")),
                ("pairs", models.JSONField(help_text="[[response, response, preference, low, high], ...]")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["report", "criterion", "certainty"], name="consensus_least_certain")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("report", "task"), name="unique_task_consensus")
                ],
            },
        ),
        migrations.CreateModel(
            name="TaskQuestion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="annotation.task",
                    ),
                ),
                (
                    "assignment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="annotation.assignment",
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="task_questions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("text", models.TextField()),
                ("answer", models.TextField(blank=True, default="")),
                (
                    "answered_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["author", "-id"], name="task_question_by_author")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("assignment", "text"), name="unique_question_per_assignment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("text", ""), _negated=True), name="task_question_not_empty"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("answer", ""), ("answered_at__isnull", True), ("answered_by__isnull", True)
                            ),
                            models.Q(
                                models.Q(("answer", ""), _negated=True),
                                ("answered_at__isnull", False),
                                ("answered_by__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="task_question_answer_valid",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="promptset",
            name="prompts",
            field=models.ManyToManyField(
                related_name="prompt_sets", through="annotation.PromptSetMember", to="annotation.prompt"
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="required_training",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="required_by",
                to="annotation.training",
            ),
        ),
        append_only("annotation_judgment"),
        install_triggers(),
        # Takes the place of the trigger against deletion: an import that breaks off takes its judgments back.
        install_import_triggers(),
        refuse_truncate("annotation_judgment"),
        install_count_triggers(),
        install_work_triggers(),
        install_day_trigger(),
        append_only("annotation_writingversion"),
        refuse_truncate("annotation_writingversion"),
        append_only("annotation_writingreview"),
        refuse_truncate("annotation_writingreview"),
    ]
