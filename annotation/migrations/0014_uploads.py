"""Uploads, and what an import says of its rows: columns that may be empty, added at once whatever the tables hold."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from annotation.models.triggers import install_import_triggers


def remove_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite takes a column away by building annotation_import anew, of which a trigger of judgments speaks."""
    reverse = install_import_triggers().reverse_code
    assert reverse is not None
    reverse(apps, schema_editor)


def restore_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    install_import_triggers().code(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0013_dataset_versions"),
        ("runs", "0004_relative_paths"),
        ("workspace", "0006_no_truncate"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, restore_triggers),
        migrations.AddField(
            model_name="import",
            name="bad_rows",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="import",
            name="rows",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="import",
            name="run",
            field=models.ForeignKey(
                blank=True,
                help_text="That brought it in.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="imports",
                to="runs.run",
            ),
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
                ("name", models.CharField(help_text="As its owner calls it.", max_length=200)),
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
                ("touched_at", models.DateTimeField(auto_now_add=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
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
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="uploads",
                        to="workspace.project",
                    ),
                ),
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
        migrations.RunPython(migrations.RunPython.noop, remove_triggers),
    ]
