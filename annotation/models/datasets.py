"""Judgments frozen for training and export."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.imports import Import
from workspace.models import Criterion, Project


class PreferenceDataset(models.Model):
    """Judgments frozen into Parquet files, written once. The row exists when the files are complete."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="preference_datasets")
    name = models.CharField(max_length=120)
    # Frozen again under the same name; the first of a name is 1.
    version = models.PositiveIntegerField(default=1)
    # What others are told of it; no part of its content.
    licence = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True)
    criterion = models.ForeignKey(
        Criterion, on_delete=models.PROTECT, null=True, blank=True, related_name="preference_datasets"
    )
    directory = models.CharField(max_length=300, help_text="Below DATA_DIR.")
    manifest_sha256 = models.CharField(max_length=64)
    filters: Any = models.JSONField(default=dict)
    counts: Any = models.JSONField(default=dict)
    # annotation.datasets.statistics of the files, once somebody has asked for them.
    statistics: Any = models.JSONField(null=True, blank=True, editable=False)
    # Whose judgments are in it: they stay as long as it does.
    imports: "models.ManyToManyField[Import, Any]" = models.ManyToManyField(Import, related_name="datasets")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name", "version"], name="unique_preference_dataset_version"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="preference_dataset_version_at_least_1"),
        ]

    @property
    def label(self) -> str:
        """Its name, and which version where there is more than the first."""
        return self.name if self.version == 1 else f"{self.name}, version {self.version}"

    def __str__(self) -> str:
        return self.label
