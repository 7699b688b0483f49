"""What batches of ratings need of their project."""

from django.utils.translation import gettext as _

from annotation.errors import InvalidBatch
from annotation.models import Batch, Import


def require_something_asked(batch: Batch) -> None:
    """Raises InvalidBatch for a batch of ratings while the project asks nothing of an answer alone."""
    settings = batch.project.question_settings.latest_version()
    # What an import of comparisons brings is judged already.
    is_judged = batch.from_import is not None and batch.from_import.kind == Import.Kind.COMPARISONS
    is_asked = settings is not None and settings.asks.marks_of(1, batch.criterion.name)
    if batch.kind == Batch.Kind.RATING and not (is_judged or is_asked):
        raise InvalidBatch(
            _(
                "A rating is made of marks, and this project asks none of an answer alone on %(name)s: say which under "
                "Settings, What else is asked (or manage.py ask)."
            )
            % {"name": batch.criterion.name},
            code="nothing_asked",
        )
