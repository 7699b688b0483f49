"""What was judged when, and which tasks come back without a judgment; filled from the rows that are there.

Its cost is one walk over judgments and assignments, a few seconds a million.
"""

import django.db.models.deletion
from django.db import migrations, models

from annotation.models.work_triggers import fill_work_counts, install_work_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0026_assigning"),
    ]

    operations = [
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
            name="WorkCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("annotator_id", models.BigIntegerField()),
                ("hour", models.DateTimeField(help_text="When it began, in UTC.")),
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
            ],
            options={
                "indexes": [
                    models.Index(fields=["batch", "hour"], name="work_count_by_batch"),
                    models.Index(fields=["annotator_id", "hour"], name="work_count_by_person"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("batch", "annotator_id", "hour"), name="unique_work_count_per_person_and_hour"
                    )
                ],
            },
        ),
        install_work_triggers(),
        fill_work_counts(),
    ]
