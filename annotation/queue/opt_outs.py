"""What a batch warns of, and what a person does not want to see: who says so is not offered such tasks any more."""

from collections.abc import Iterable, Sequence

from django.db.models import Q
from django.utils.translation import gettext

from annotation.errors import InvalidBatch
from annotation.models import Assignment, Batch, ContentOptOut
from annotation.preferences.content_warnings import clean_warnings, join_warnings, split_warnings
from annotation.queue.actions import release_leases
from annotation.queue.search import lock_member
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.errors import StaleVersion
from workspace.models import Project, User


def known_warnings(project: Project) -> list[str]:
    """Those of the project's batches that can be seen."""
    stored = Batch.objects.filter(project=project, visible=True, content_warnings__isnull=False)
    texts = stored.values_list("content_warnings", flat=True).distinct()
    return sorted({name for text in texts for name in split_warnings(text)})


def own_opt_outs(actor: User, project: Project) -> list[str]:
    own = ContentOptOut.objects.filter(annotator=actor, project=project)
    return list(own.order_by("name").values_list("name", flat=True))


@write_transaction
def set_opt_outs(*, actor: User, project: Project, names: Iterable[str]) -> list[str]:
    """These and no others. The actor's tasks of batches that warn of them go to others; what is on the screen can still
    be submitted. Raises NotAMember, InvalidBatch.
    """
    wanted = clean_warnings(names)
    lock_member(actor, project)
    before = own_opt_outs(actor, project)
    if unknown := sorted(set(wanted) - set(before) - set(known_warnings(project))):
        raise InvalidBatch(
            gettext("No batch of the project warns of %(unknown)s.") % {"unknown": unknown[0]},
            code="warning_unknown",
        )
    if wanted == before:
        return before
    own = ContentOptOut.objects.filter(annotator=actor, project=project)
    own.exclude(name__in=wanted).delete()
    ContentOptOut.objects.bulk_create(
        [ContentOptOut(annotator=actor, project=project, name=name) for name in wanted if name not in before]
    )
    warned = Q()
    for name in set(wanted) - set(before):
        warned |= Q(task__batch__content_warnings__contains=f"|{name}|")
        warned |= Q(task__copy_of__batch__content_warnings__contains=f"|{name}|")
    own_leases = Assignment.objects.filter(annotator=actor, task__batch__project=project)
    released = release_leases(own_leases.filter(warned)) if warned else 0
    record_audit(
        actor=actor,
        action="content.opt_out",
        project=project,
        target=actor,
        before=before,
        now=wanted,
        released=released,
    )
    return wanted


@write_transaction
def set_content_warnings(
    *, actor: User, batch: Batch, names: Sequence[str], expected: Sequence[str] | None = None
) -> Batch:
    """What the batch warns of from now on: who does not want to see it is not offered its tasks, and those
    of them that such people hold go to others; what is on a screen can still be submitted.

    Raises InvalidBatch, and StaleVersion when it does not warn of what is `expected`.
    """
    wanted = clean_warnings(names)
    locked = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    before = split_warnings(locked.content_warnings)
    if before == wanted:
        return locked
    if expected is not None and sorted(expected) != before:
        now = ", ".join(before) or "nothing"
        raise StaleVersion(
            gettext("Somebody changed it meanwhile: the batch warns of %(now)s. Yours is not saved.")
            % {"now": now},
            current=0,
        )
    locked.content_warnings = join_warnings(wanted)
    locked.save(update_fields=["content_warnings"])
    added = set(wanted) - set(before)
    opted_out = ContentOptOut.objects.filter(project=batch.project_id, name__in=added).values("annotator")
    held = Assignment.objects.filter(task__batch=batch, annotator__in=opted_out)
    released = release_leases(held) if added else 0
    record_audit(
        actor=actor,
        action="batch.set_warnings",
        project=batch.project,
        target=batch,
        before=before,
        now=wanted,
        released=released,
    )
    return locked
