"""Counts of what is left and what was judged, filled from the rows that are there.

Its cost is a walk over tasks and assignments, a few seconds a million of each, and an index over current judgments.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from annotation.models.count_triggers import install_count_triggers

FILL = """
INSERT INTO annotation_taskcount (batch_id, annotator_id, available, submitted)
SELECT t.batch_id, COALESCE(t.reserved_for_id, 0), COUNT(*), 0
FROM annotation_task t WHERE t.open_slots > 0 AND (t.reserved_for_id IS NULL OR NOT EXISTS (
    SELECT 1 FROM annotation_assignment a WHERE a.task_id = t.id AND a.annotator_id = t.reserved_for_id
    AND a.state NOT IN ('expired', 'taken_back')))
GROUP BY t.batch_id, COALESCE(t.reserved_for_id, 0)
UNION ALL
SELECT t.batch_id, a.annotator_id,
    -SUM(CASE WHEN t.open_slots > 0 AND t.reserved_for_id IS NULL AND a.state NOT IN ('expired', 'taken_back')
        THEN 1 ELSE 0 END),
    SUM(CASE WHEN a.state = 'submitted' THEN 1 ELSE 0 END)
FROM annotation_assignment a JOIN annotation_task t ON t.id = a.task_id
GROUP BY t.batch_id, a.annotator_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0009_assignments_taken_back"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
        migrations.AddIndex(
            model_name="currentjudgment",
            index=models.Index(fields=["annotator", "-judgment"], name="current_judgment_latest"),
        ),
        install_count_triggers(),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
