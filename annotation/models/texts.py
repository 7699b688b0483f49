"""Plain texts, for pretraining and for the language-model loss that PPO and fine-tuning mix in."""

from django.db import models
from django.db.models import Q

from annotation.models.imports import Arrived, import_field, source_id_field
from annotation.models.prompts import Prompt
from learning.interface import vocabulary
from workspace.models import Project


class Text(models.Model):
    """A document. Every token of it is learned; the same text is in a project once."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="texts")
    external_id = models.CharField(max_length=200, help_text="`text_id` in files.")
    text = models.TextField()
    licence = models.CharField(max_length=200, blank=True, help_text="Empty: the file did not say.")
    split = models.CharField(max_length=10, choices=Prompt.Split.choices, editable=False)
    content_hash = models.CharField(max_length=64, editable=False)
    from_import = import_field("texts")
    taken_back = models.BooleanField(default=False, editable=False)
    source_id = source_id_field()
    metadata = models.JSONField(null=True, blank=True, help_text="Further columns of the file it came from.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Arrived()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "external_id"],
                condition=Q(taken_back=False),
                name="unique_text_id_per_project",
            ),
            models.UniqueConstraint(
                fields=["project", "content_hash"],
                condition=Q(taken_back=False),
                name="unique_text_per_project",
            ),
            models.CheckConstraint(condition=Q(split__in=list(vocabulary.SPLITS)), name="text_split_valid"),
            models.CheckConstraint(condition=~Q(text=""), name="text_not_empty"),
            models.CheckConstraint(condition=~Q(external_id=""), name="text_id_not_empty"),
        ]

    def __str__(self) -> str:
        return self.external_id
