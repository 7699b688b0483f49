"""A trigger against TRUNCATE on PostgreSQL; done at once whatever the table holds."""

from django.db import migrations

from workspace.append_only import refuse_truncate


class Migration(migrations.Migration):
    dependencies = [("workspace", "0005_split_shares")]

    operations = [refuse_truncate("workspace_auditevent")]
