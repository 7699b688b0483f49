"""Who led a whole conversation is not asked to compare it: an assignment of its own state keeps the task from them.

SQLite builds the table anew, so its triggers are removed before and installed after. Tasks that are there already get
theirs at the end, for as far as their writers have not been given them.
"""

import uuid

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils import timezone

from annotation.models.count_triggers import install_count_triggers, remove_count_triggers
from annotation.models.day_triggers import install_day_trigger

PREFIX = "conversation-"
STATES = [
    ("leased", "Leased"),
    ("submitted", "Submitted"),
    ("skipped", "Skipped"),
    ("expired", "Expired"),
    ("taken_back", "Taken back"),
    ("own", "Own work"),
]


def _keep_from_writers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    assignments = apps.get_model("annotation", "Assignment").objects
    shown = apps.get_model("annotation", "TaskResponse").objects.filter(
        response__external_id__startswith=PREFIX,
        response__turns__isnull=False,
        task__purpose__in=["normal", "head_to_head", "gold"],
    )
    led = {
        (row["live__batch__project"], row["public_id"]): row["annotator"]
        for row in apps.get_model("annotation", "Conversation").objects.values(
            "live__batch__project", "public_id", "annotator"
        )
    }
    kept = {}
    for task, project, response_id in shown.values_list(
        "task", "task__batch__project", "response__external_id"
    ):
        try:
            key = uuid.UUID(response_id.removeprefix(PREFIX))
        except ValueError:
            continue
        writer = led.get((project, key))
        if (
            writer
            and not assignments.filter(task=task, annotator=writer).exclude(state="taken_back").exists()
        ):
            kept[task, writer] = assignments.model(
                task_id=task,
                annotator_id=writer,
                state="own",
                leased_until=timezone.now(),
                shuffle_seed=0,
                order_shown=[],
                settings_version=0,
                guideline_version=0,
            )
    assignments.bulk_create(kept.values(), batch_size=100)


def _forget(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("annotation", "Assignment").objects.filter(state="own").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0036_uploads_of_several_files"),
    ]

    operations = [
        remove_count_triggers(),
        migrations.RemoveConstraint(model_name="assignment", name="assignment_state_valid"),
        migrations.AlterField(
            model_name="assignment",
            name="state",
            field=models.CharField(choices=STATES, default="leased", max_length=10),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.CheckConstraint(
                condition=models.Q(state__in=[state for state, _ in STATES]),
                name="assignment_state_valid",
            ),
        ),
        install_count_triggers(),
        install_day_trigger(),
        migrations.RunPython(_keep_from_writers, _forget),
    ]
