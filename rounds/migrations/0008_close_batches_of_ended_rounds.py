"""Rounds that were over before they closed their batches: nobody is handed their tasks any more.

As when a round ends today: what people have on their screens still comes in, and nothing that was judged changes.
"""

from django.db import migrations


def close_batches(apps, schema_editor):
    batches = apps.get_model("annotation", "Batch").objects.using(schema_editor.connection.alias)
    rounds = apps.get_model("rounds", "Round").objects.using(schema_editor.connection.alias)
    for project_id, number in rounds.filter(stage__in=["done", "cancelled"]).values_list(
        "project_id", "number"
    ):
        batches.filter(project_id=project_id, round_number=number, state="open").update(state="closed")


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0004_imports"),
        ("rounds", "0007_head_to_head_runs"),
    ]

    operations = [migrations.RunPython(close_batches, migrations.RunPython.noop)]
