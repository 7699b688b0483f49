"""Groups of prompts that are almost the same. The column may be empty and is there at once; its index reads all prompts:
2 s a million of them, nobody writes prompts meanwhile."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0014_uploads"),
        ("workspace", "0007_api_tokens"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PromptGroupKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name="prompt",
            name="group_hash",
            field=models.CharField(editable=False, max_length=64, null=True),
        ),
        migrations.AddIndex(
            model_name="prompt",
            index=models.Index(fields=["project", "group_hash"], name="prompt_by_group"),
        ),
        migrations.AddField(
            model_name="promptgroupkey",
            name="project",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="workspace.project",
            ),
        ),
        migrations.AddField(
            model_name="promptgroupkey",
            name="prompt",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotation.prompt"
            ),
        ),
        migrations.AddConstraint(
            model_name="promptgroupkey",
            constraint=models.UniqueConstraint(
                fields=("project", "key", "prompt"), name="unique_key_per_prompt"
            ),
        ),
    ]
