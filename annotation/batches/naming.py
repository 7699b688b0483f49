"""What a batch is called where annotators read it: its own name may say whose answers it compares."""

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from annotation.models import Batch

KIND_WORDS = {
    Batch.Kind.PAIRWISE: gettext_noop("pairwise"),
    Batch.Kind.RANKING: gettext_noop("ranking"),
    Batch.Kind.RATING: gettext_noop("rating"),
}


def batch_words(batch: Batch) -> str:
    """By what it asks and since when, in the reader's language."""
    return gettext("%(criterion)s, %(kind)s, since %(date)s (no. %(number)d)") % {
        "criterion": batch.criterion.name,
        "kind": gettext(KIND_WORDS[Batch.Kind(batch.kind)]),
        "date": date_format(timezone.localtime(batch.created_at), gettext("j M Y")),
        "number": batch.pk,
    }
