"""Which tasks ask for a number of people of their own. The column may be empty and is there at once.

Earlier rows are told by their numbers: one that differs from the batch's, unless all of it may be judgments of a file.
(The people of a batch's tasks could not be changed before.) Tasks are read once; nobody waits meanwhile.
"""

from django.db import migrations, models
from django.db.models import F, Q


def mark_earlier_tasks(apps, schema_editor):
    task = apps.get_model("annotation", "Task")
    own = task.objects.filter(
        Q(open_slots__gt=0) | Q(batch__from_import__isnull=True),
        reserved_for__isnull=True,
        required_judgments__gt=0,
    ).exclude(required_judgments=F("batch__overlap"))
    keys = list(own.values_list("pk", flat=True))
    for start in range(0, len(keys), 500):
        task.objects.filter(pk__in=keys[start : start + 500]).update(own_required=True)


class Migration(migrations.Migration):
    atomic = False  # the column's lock is not held while tasks are read
    dependencies = [
        ("annotation", "0018_task_questions"),
        ("workspace", "0011_tokens_that_only_score"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="own_required",
            field=models.BooleanField(editable=False, null=True),
        ),
        migrations.RunPython(mark_earlier_tasks, migrations.RunPython.noop),
    ]
