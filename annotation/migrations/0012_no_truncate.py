"""A trigger against TRUNCATE on PostgreSQL; done at once whatever the table holds."""

from django.db import migrations

from workspace.append_only import refuse_truncate


class Migration(migrations.Migration):
    dependencies = [("annotation", "0011_rendered_text")]

    operations = [refuse_truncate("annotation_judgment")]
