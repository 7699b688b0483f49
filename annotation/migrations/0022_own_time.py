"""An index for what somebody worked today and this week. It reads all judgments, once: seconds a million of them."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0021_quality"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="judgment",
            index=models.Index(fields=["annotator", "created_at"], name="judgment_own_time"),
        ),
    ]
