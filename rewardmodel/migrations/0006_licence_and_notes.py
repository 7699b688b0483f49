"""What a card says of a reward model: two columns, empty at first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rewardmodel", "0005_serving"),
    ]

    operations = [
        migrations.AddField(
            model_name="rewardmodel",
            name="licence",
            field=models.CharField(blank=True, max_length=100),
        ),
        migrations.AddField(
            model_name="rewardmodel",
            name="notes",
            field=models.TextField(blank=True),
        ),
    ]
