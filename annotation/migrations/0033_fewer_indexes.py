"""Foreign keys whose column another index begins with lose the index of their own: a judgment wrote six too many.

The database only drops them: Django would copy SQLite's tables row by row, without their triggers.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FIELDS = [
    ("currentjudgment", "annotator"),
    ("currentjudgment", "task"),
    ("judgment", "supersedes"),
    ("judgment", "task"),
    ("taskresponse", "task"),
]


def drop_indexes(apps, schema_editor):
    connection = schema_editor.connection
    for model_name, name in FIELDS:
        model = apps.get_model("annotation", model_name)
        table, column = model._meta.db_table, model._meta.get_field(name).column
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, table)
        for index, described in found.items():
            plain = described["index"] and not (described["unique"] or described["primary_key"])
            if plain and described["columns"] == [column]:
                schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(index)}")


def create_indexes(apps, schema_editor):
    for model_name, name in FIELDS:
        model = apps.get_model("annotation", model_name)
        schema_editor.execute(schema_editor._create_index_sql(model, fields=[model._meta.get_field(name)]))


def foreign_key(to, related_name, **options):
    return models.ForeignKey(
        db_index=False,
        on_delete=options.pop("on_delete", django.db.models.deletion.PROTECT),
        related_name=related_name,
        to=to,
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0032_turn_answer_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_indexes, create_indexes)],
            state_operations=[
                migrations.AlterField(
                    "currentjudgment", "annotator", foreign_key(settings.AUTH_USER_MODEL, "+")
                ),
                migrations.AlterField(
                    "currentjudgment", "task", foreign_key("annotation.task", "current_judgments")
                ),
                migrations.AlterField(
                    "judgment",
                    "supersedes",
                    foreign_key("annotation.judgment", "superseded_by", blank=True, null=True),
                ),
                migrations.AlterField("judgment", "task", foreign_key("annotation.task", "judgments")),
                migrations.AlterField(
                    "taskresponse",
                    "task",
                    foreign_key(
                        "annotation.task", "task_responses", on_delete=django.db.models.deletion.CASCADE
                    ),
                ),
            ],
        )
    ]
