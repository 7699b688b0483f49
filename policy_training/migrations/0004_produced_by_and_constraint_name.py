from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("policy_training", "0003_projects_are_kept")]

    operations = [
        migrations.RenameField(model_name="policy", old_name="made_by", new_name="produced_by"),
        migrations.RemoveConstraint(model_name="policy", name="policy_name_once_a_project"),
        migrations.AddConstraint(
            model_name="policy",
            constraint=models.UniqueConstraint(
                fields=("project", "name"), name="unique_policy_name_per_project"
            ),
        ),
    ]
