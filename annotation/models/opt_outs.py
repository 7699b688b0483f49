"""What a person does not want to see in a project: batches with such a content warning are not offered to them."""

from django.conf import settings
from django.db import models

from workspace.models import Project


class ContentOptOut(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="content_opt_outs"
    )
    name = models.CharField(max_length=30)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["annotator", "project", "name"], name="unique_content_opt_out_per_annotator"
            )
        ]

    def __str__(self) -> str:
        return self.name
