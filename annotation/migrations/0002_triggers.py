from django.db import migrations

from annotation.models.triggers import install_triggers
from workspace.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_initial")]
    operations = [append_only("annotation_judgment"), install_triggers()]
