"""What a card says of a policy: one column, empty at first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policy_training", "0005_report_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="policy",
            name="licence",
            field=models.CharField(blank=True, max_length=100),
        ),
    ]
