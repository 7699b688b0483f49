"""Texts as safe HTML, kept so that a page need not make it again."""

from django.db import models


class RenderedText(models.Model):
    """HTML of one text. What it was made of is known by `key` alone; a row that is missing is made again."""

    key = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of what is shown and of the rendering's version."
    )
    version = models.CharField(max_length=100, help_text="Of the rendering and of the libraries it uses.")
    characters = models.PositiveIntegerField(help_text="Of the HTML.")
    html = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # How much there is of each version is read from the index alone.
        indexes = [models.Index(fields=["version", "characters"], name="rendered_text_by_version")]

    def __str__(self) -> str:
        return self.key
