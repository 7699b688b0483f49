"""How a judgment came about. The column may be empty: it is there at once, on a table of any size."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from annotation.models.triggers import install_import_triggers, install_triggers
from workspace.append_only import append_only


def restore_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite removes a column by building its table anew, which drops its triggers."""
    for operation in (append_only("annotation_judgment"), install_triggers(), install_import_triggers()):
        operation.code(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0016_what_is_asked")]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, restore_triggers),
        migrations.AddField(
            model_name="judgment",
            name="evidence",
            field=models.JSONField(blank=True, help_text="What the page saw of it.", null=True),
        ),
    ]
