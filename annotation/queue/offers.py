"""Whether a person may work on a batch now, for work that begins otherwise than by claiming a task.

What a claim decides by is read by its own statement: there is no second account of who gets what.
"""

from django.db.models import Model
from django.utils.translation import gettext, gettext_noop

from annotation.errors import BatchNotOpen
from annotation.models import Batch
from annotation.queue.eligibility import (
    ALIASES,
    HAS_OWN_QUOTA_LEFT,
    IS_FOR_ACTOR,
    IS_QUALIFIED,
    IS_WANTED,
)
from annotation.queue.search import TaskSearch, find_claim_options
from workspace.database import run_prepared
from workspace.errors import ActionError
from workspace.models import Project, User

_BATCH: type[Model] = ALIASES["b"]

# Read only to say what a claim has decided.
_WHY_NOT = f"""SELECT CASE WHEN NOT {IS_WANTED} THEN 'opt_out' WHEN NOT {IS_QUALIFIED} THEN 'training'
        WHEN NOT ({IS_FOR_ACTOR}) THEN 'audience' WHEN NOT {HAS_OWN_QUOTA_LEFT} THEN 'quota' END
    FROM {_BATCH._meta.db_table} b WHERE b.id = %(batch)s"""

_NOT_OPEN = gettext_noop("This work is not open to you now.")
_SENTENCES = {
    "audience": gettext_noop("This work is for other people of the project."),
    "opt_out": gettext_noop("You have said that you do not want to see what this work warns of."),
    "training": gettext_noop(
        "This work is for people who have passed its training: you find it on the project's first page."
    ),
    "quota": gettext_noop("You have judged as much of this work as one person may. Thank you."),
}


def require_guideline_confirmed(actor: User, project: Project) -> None:
    """Before work that is no task of a batch. Raises AcknowledgementNeeded."""
    search = TaskSearch(actor=actor, project=project, batch=None, waits=False)
    find_claim_options(search, after=None).standing.require_acknowledged()


def offered_batches(actor: User, project: Project) -> tuple[set[int], ActionError | None]:
    """Keys of the open batches that the actor is offered, and what keeps them from all new work at present, if
    anything does.
    """
    search = TaskSearch(actor=actor, project=project, batch=None, waits=False)
    found = find_claim_options(search, after=None)
    refused: ActionError | None = None
    try:
        found.standing.require_acknowledged()
        found.standing.require_more_today(project)
    except ActionError as error:
        refused = error
    return {row[0] for row in found.batches}, refused


# What does not keep somebody from a task that is reserved for them.
_NOT_OF_RESERVED = ("audience", "quota")


def require_offered(actor: User, batch: Batch, *, is_reserved: bool = False) -> None:
    """That the actor may begin new work of the batch now. Ask it under the lock on the member.

    `is_reserved`: the work is theirs whatever the batch says of who gets it.

    Raises AcknowledgementNeeded, DailyLimitReached, and BatchNotOpen for who is not offered the batch.
    """
    offered, refused = offered_batches(actor, batch.project)
    if refused is not None:
        raise refused
    if batch.pk not in offered:
        search = TaskSearch(actor=actor, project=batch.project, batch=batch, waits=False)
        [(why,)] = run_prepared(_WHY_NOT, {"actor": search.params["actor"], "batch": batch.pk})[0]
        if is_reserved and why in _NOT_OF_RESERVED:
            return
        raise BatchNotOpen(gettext(_SENTENCES.get(why, _NOT_OPEN)))
