from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0002_kind_label"),
    ]

    operations = [
        migrations.RenameField(model_name="run", old_name="process_start", new_name="process_identity"),
        migrations.RenameField(model_name="artifact", old_name="made_by", new_name="produced_by"),
        migrations.AlterField(
            model_name="run",
            name="parameters",
            field=models.JSONField(
                blank=True, default=dict, help_text="What building inputs and saving the result need to know."
            ),
        ),
        migrations.RemoveConstraint(
            model_name="artifact",
            name="artifact_once_a_path",
        ),
        migrations.RemoveConstraint(
            model_name="artifact",
            name="artifact_kind_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="run",
            name="run_state_is_known",
        ),
        migrations.AlterField(
            model_name="artifact",
            name="kind",
            field=models.CharField(
                choices=[
                    ("policy", "Policy"),
                    ("reward_model", "Reward model"),
                    ("critic", "Critic"),
                    ("responses", "Responses"),
                    ("scores", "Scores"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="artifact",
            constraint=models.UniqueConstraint(
                fields=("project", "kind", "path"), name="unique_artifact_path_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="artifact",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["policy", "reward_model", "critic", "responses", "scores"])),
                name="artifact_kind_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["queued", "running", "done", "failed", "user_error", "cancelled"])
                ),
                name="run_state_valid",
            ),
        ),
    ]
