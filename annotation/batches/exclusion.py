"""Which batches datasets, exports and training take: those left out, and those that are named."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext

from annotation.errors import InvalidBatch
from annotation.models import Batch
from workspace.actions import record_audit
from workspace.models import Project, User


@transaction.atomic
def exclude_batch(*, actor: User, batch: Batch) -> Batch:
    """Leave its judgments out of datasets, exports and training from now on; those that are frozen stay as they are."""
    return _set_excluded(actor, batch, True)


@transaction.atomic
def include_batch(*, actor: User, batch: Batch) -> Batch:
    """Take its judgments into datasets again."""
    return _set_excluded(actor, batch, False)


def _set_excluded(actor: User, batch: Batch, excluded: bool) -> Batch:
    if Batch.objects.filter(pk=batch.pk, excluded=not excluded).update(excluded=excluded):
        action = "batch.exclude" if excluded else "batch.include"
        record_audit(actor=actor, action=action, project=batch.project, target=batch)
    batch.refresh_from_db()
    return batch


def find_batches(project: Project, names: Sequence[str] | None) -> list[Batch] | None:
    """The batches of these names, None without names. Raises InvalidBatch for one that is not there or is excluded."""
    if names is None:
        return None
    found = {batch.name: batch for batch in project.batches.filter(name__in=names, visible=True)}
    for name in names:
        if name not in found:
            raise InvalidBatch(
                gettext("The project %(slug)s has no batch named “%(name)s”.")
                % {"slug": project.slug, "name": name},
                code="no_batch",
            )
        if found[name].excluded:
            raise InvalidBatch(
                gettext(
                    "The batch “%(name)s” is excluded from datasets: take it in again with `manage.py "
                    "exclude_batch %(slug)s NAME --undo`, or leave it out."
                )
                % {"name": name, "slug": project.slug},
                code="batch_excluded",
            )
    return [found[name] for name in dict.fromkeys(names)]
