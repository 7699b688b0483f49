from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workspace", "0002_audit_append_only"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="criterion",
            name="criterion_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="guideline",
            name="guideline_version_once",
        ),
        migrations.RemoveConstraint(
            model_name="membership",
            name="one_role_a_person_and_project",
        ),
        migrations.RemoveConstraint(
            model_name="membership",
            name="membership_role_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="questionsettings",
            name="question_settings_version_once",
        ),
        migrations.RemoveConstraint(
            model_name="user",
            name="user_kind_is_known",
        ),
        migrations.AddConstraint(
            model_name="criterion",
            constraint=models.UniqueConstraint(
                fields=("project", "name"), name="unique_criterion_name_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="guideline",
            constraint=models.UniqueConstraint(
                fields=("project", "version"), name="unique_guideline_version_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("project", "user"), name="unique_membership_user_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["annotator", "reviewer", "manager"])),
                name="membership_role_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="questionsettings",
            constraint=models.UniqueConstraint(
                fields=("project", "version"), name="unique_question_settings_version_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["person", "simulated", "ai"])), name="user_kind_valid"
            ),
        ),
    ]
