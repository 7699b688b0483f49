"""What a batch is called where annotators read it: its own name may say whose answers it compares."""

from django.utils import timezone
from django.utils.formats import date_format

from annotation.models import Batch


def batch_words(batch: Batch) -> str:
    """By what it asks and since when."""
    since = date_format(timezone.localtime(batch.created_at), "j M Y")
    return f"{batch.criterion.name}, {batch.get_kind_display().lower()}, since {since} (no. {batch.pk})"
