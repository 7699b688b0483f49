"""Versions say which question they ask and who made them; a project counts its corrections; members can be paused.

Its tables are small.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

MADE_BY = {
    "blank": True,
    "null": True,
    "on_delete": django.db.models.deletion.PROTECT,
    "related_name": "+",
    "to": settings.AUTH_USER_MODEL,
}


class Migration(migrations.Migration):
    dependencies = [
        ("workspace", "0008_near_duplicates_together"),
    ]

    operations = [
        migrations.AddField(model_name="guideline", name="created_by", field=models.ForeignKey(**MADE_BY)),
        migrations.AddField(
            model_name="membership",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="project",
            name="version",
            field=models.PositiveIntegerField(default=1, editable=False),
        ),
        migrations.AddField(
            model_name="questionsettings", name="created_by", field=models.ForeignKey(**MADE_BY)
        ),
        migrations.AddField(
            model_name="questionsettings",
            name="questions",
            field=models.JSONField(default=dict, help_text="{name of a criterion: its question}"),
        ),
    ]
