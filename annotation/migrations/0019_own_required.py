"""Which tasks ask for a number of people of their own. The column may be empty and is there at once.

Earlier rows are told by their numbers: one that differs from the batch's, unless all of it may be judgments of a file
or what a smaller overlap could not cut.
"""

from django.db import migrations, models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Cast


def mark_earlier_tasks(apps, schema_editor):
    task = apps.get_model("annotation", "Task")
    changes = apps.get_model("workspace", "AuditEvent").objects.filter(
        action="batch.change_overlap", target_id=Cast(OuterRef("batch_id"), models.CharField())
    )
    never_cut = Q(batch__from_import__isnull=True) & ~Exists(changes)
    own = task.objects.filter(
        Q(open_slots__gt=0) | never_cut, reserved_for__isnull=True, required_judgments__gt=0
    ).exclude(required_judgments=F("batch__overlap"))
    keys = list(own.values_list("pk", flat=True))
    for start in range(0, len(keys), 500):
        task.objects.filter(pk__in=keys[start : start + 500]).update(own_required=True)


class Migration(migrations.Migration):
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
