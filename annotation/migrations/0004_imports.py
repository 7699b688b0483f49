"""A record of each import, and whose rows are whose. 0005 fills it for what came in before."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from annotation.models.triggers import install_import_triggers, install_triggers
from workspace.append_only import append_only


def restore_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite changes a table by building it anew, which drops its triggers."""
    for operation in (append_only("annotation_judgment"), install_triggers()):
        operation.code(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0003_plain_names"),
        ("workspace", "0003_constraint_names"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, restore_triggers),
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
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="demonstration",
            name="unique_demonstration_id_per_project",
        ),
        migrations.RemoveConstraint(
            model_name="prompt",
            name="unique_prompt_id_per_project",
        ),
        migrations.RemoveConstraint(
            model_name="response",
            name="unique_response_id_per_project",
        ),
        migrations.AddField(
            model_name="batch",
            name="excluded",
            field=models.BooleanField(default=False, help_text="Left out of datasets from now on."),
        ),
        migrations.AddField(
            model_name="demonstration",
            name="metadata",
            field=models.JSONField(
                blank=True, help_text="Further columns of the file it came from.", null=True
            ),
        ),
        migrations.AddField(
            model_name="demonstration",
            name="source_id",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="What the row is called in the file it came from.",
                max_length=200,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="demonstration",
            name="taken_back",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="judgment",
            name="metadata",
            field=models.JSONField(
                blank=True, help_text="Further columns of the file it came from.", null=True
            ),
        ),
        migrations.AddField(
            model_name="judgment",
            name="source_id",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="What the row is called in the file it came from.",
                max_length=200,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="prompt",
            name="first_turn_hash",
            field=models.CharField(default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="prompt",
            name="metadata",
            field=models.JSONField(
                blank=True, help_text="Further columns of the file it came from.", null=True
            ),
        ),
        migrations.AddField(
            model_name="prompt",
            name="source_id",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="What the row is called in the file it came from.",
                max_length=200,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="prompt",
            name="taken_back",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="response",
            name="taken_back",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="import",
            name="actor",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="import",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="imports", to="workspace.project"
            ),
        ),
        migrations.AddField(
            model_name="import",
            name="taken_back_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="batches",
                to="annotation.import",
            ),
        ),
        migrations.AddField(
            model_name="demonstration",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="demonstrations",
                to="annotation.import",
            ),
        ),
        migrations.AddField(
            model_name="judgment",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="judgments",
                to="annotation.import",
            ),
        ),
        migrations.AddField(
            model_name="preferencedataset",
            name="imports",
            field=models.ManyToManyField(related_name="datasets", to="annotation.import"),
        ),
        migrations.AddField(
            model_name="prompt",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="prompts",
                to="annotation.import",
            ),
        ),
        migrations.AddField(
            model_name="promptset",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="prompt_sets",
                to="annotation.import",
            ),
        ),
        migrations.AddField(
            model_name="promptsetmember",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="memberships",
                to="annotation.import",
            ),
        ),
        migrations.AddField(
            model_name="response",
            name="from_import",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="responses",
                to="annotation.import",
            ),
        ),
        migrations.AddIndex(
            model_name="prompt",
            index=models.Index(fields=["project", "first_turn_hash"], name="prompt_by_first_turn"),
        ),
        migrations.AddConstraint(
            model_name="demonstration",
            constraint=models.UniqueConstraint(
                condition=models.Q(("taken_back", False)),
                fields=("project", "external_id"),
                name="unique_demonstration_id_per_project",
            ),
        ),
        migrations.AddConstraint(
            model_name="prompt",
            constraint=models.UniqueConstraint(
                condition=models.Q(("taken_back", False)),
                fields=("project", "external_id"),
                name="unique_prompt_id_per_project",
            ),
        ),
        migrations.AddConstraint(
            model_name="response",
            constraint=models.UniqueConstraint(
                condition=models.Q(("taken_back", False)),
                fields=("project", "external_id"),
                name="unique_response_id_per_project",
            ),
        ),
        migrations.AddIndex(
            model_name="import",
            index=models.Index(fields=["project", "-id"], name="import_newest_first"),
        ),
        migrations.AddConstraint(
            model_name="import",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["running", "done", "taken_back"])),
                name="import_state_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="import",
            constraint=models.CheckConstraint(
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
        ),
        migrations.RunPython(restore_triggers, migrations.RunPython.noop),
        install_import_triggers(),
    ]
