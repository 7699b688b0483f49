"""Judgments frozen for training and export."""

from typing import Any

from django.conf import settings
from django.db import models

from annotation.models.imports import Import
from workspace.models import Criterion, Project


class PreferenceDataset(models.Model):
    """Judgments frozen into Parquet files, written once. The row exists when the files are complete."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="preference_datasets")
    name = models.CharField(max_length=120)
    criterion = models.ForeignKey(
        Criterion, on_delete=models.PROTECT, null=True, blank=True, related_name="preference_datasets"
    )
    directory = models.CharField(max_length=300, help_text="Below DATA_DIR.")
    manifest_sha256 = models.CharField(max_length=64)
    filters: Any = models.JSONField(default=dict)
    counts: Any = models.JSONField(default=dict)
    # Whose judgments are in it: they stay as long as it does.
    imports: "models.ManyToManyField[Import, Any]" = models.ManyToManyField(Import, related_name="datasets")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="unique_preference_dataset_name_per_project"
            )
        ]

    def __str__(self) -> str:
        return self.name
