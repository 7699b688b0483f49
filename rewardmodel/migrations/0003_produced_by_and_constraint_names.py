from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rewardmodel", "0002_projects_are_kept")]

    operations = [
        migrations.RenameField(model_name="rewardmodel", old_name="made_by", new_name="produced_by"),
        migrations.RemoveConstraint(model_name="rewardmodel", name="reward_model_name_once_a_project"),
        migrations.AddConstraint(
            model_name="rewardmodel",
            constraint=models.UniqueConstraint(
                fields=("project", "name"), name="unique_reward_model_name_per_project"
            ),
        ),
        migrations.RemoveConstraint(model_name="responsescore", name="one_score_a_model_and_response"),
        migrations.AddConstraint(
            model_name="responsescore",
            constraint=models.UniqueConstraint(
                fields=("reward_model", "response"), name="unique_score_per_reward_model_and_response"
            ),
        ),
        migrations.RemoveConstraint(model_name="responsescore", name="score_is_finite"),
        migrations.AddConstraint(
            model_name="responsescore",
            constraint=models.CheckConstraint(
                condition=models.Q(("reward__gt", -1e30), ("reward__lt", 1e30)), name="score_finite"
            ),
        ),
    ]
