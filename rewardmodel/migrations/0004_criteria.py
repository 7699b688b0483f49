"""A reward model may judge several criteria; those there are keep their one."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def copy_criterion(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    rows = apps.get_model("rewardmodel", "RewardModel").objects.using(schema_editor.connection.alias)
    for row in rows.exclude(criterion=None):
        row.criteria.add(row.criterion_id)


def copy_first_criterion_back(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    rows = apps.get_model("rewardmodel", "RewardModel").objects.using(schema_editor.connection.alias)
    for row in rows.all():
        row.criterion_id = row.criteria.order_by("pk").values_list("pk", flat=True).first()
        row.save(update_fields=["criterion"])


def foreign_key(*, null: bool) -> models.ForeignKey:
    return models.ForeignKey(
        null=null,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="reward_models_before" if null else "reward_models",
        to="workspace.criterion",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("rewardmodel", "0003_produced_by_and_constraint_names"),
        ("workspace", "0003_constraint_names"),
    ]

    operations = [
        migrations.AlterField("rewardmodel", "criterion", foreign_key(null=True)),
        migrations.AddField(
            "rewardmodel",
            "criteria",
            models.ManyToManyField(related_name="reward_models", to="workspace.criterion"),
        ),
        migrations.RunPython(copy_criterion, copy_first_criterion_back),
        migrations.RemoveField("rewardmodel", "criterion"),
    ]
