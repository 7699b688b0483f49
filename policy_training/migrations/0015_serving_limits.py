from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policy_training", "0014_chained_trainings"),
    ]

    operations = [
        migrations.AddField(
            model_name="policyserving",
            name="max_waiting_requests",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="policyserving",
            name="abandoned_after_seconds",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="policyserving",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("max_waiting_requests", 0), _negated=True),
                    models.Q(("abandoned_after_seconds", 0), _negated=True),
                ),
                name="policyserving_limits_are_positive",
            ),
        ),
    ]
