"""Whether a live batch takes another turn, and of this person. A turn takes a place when its message is sent, not when
it is judged: what is open counts, so that people who write at the same moment do not pass the quota or a day's limit.
"""

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from annotation.batches.naming import batch_words
from annotation.errors import BatchNotOpen
from annotation.models import Assignment, Batch, ConversationTurn, LiveBatch, Task
from annotation.queue.offers import require_offered
from workspace.database import database_now_plus
from workspace.models import User

OPEN = ConversationTurn.Outcome.OPEN


def require_place(actor: User, live: LiveBatch) -> None:
    """Asked under the lock on the member; holds the batch's row from here on, so that no two count the same place.

    Raises BatchNotOpen, DailyLimitReached, AcknowledgementNeeded.
    """
    batches = Batch.objects.select_for_update(no_key=True, of=("self",))
    batch = batches.select_related("criterion", "project").get(pk=live.batch_id)
    words = {"batch": batch_words(batch)}
    if batch.state != Batch.State.OPEN:
        raise BatchNotOpen(gettext("“%(batch)s” is closed: its conversations have ended.") % words)
    quota = batch.quota or 0
    judged = Task.objects.filter(batch=batch, counted_judgments__gt=0).count()
    if quota <= judged:
        raise BatchNotOpen(gettext("“%(batch)s” has all the judgments it asks for. Thank you.") % words)
    if quota <= judged + _count_open_turns(batch):
        raise BatchNotOpen(
            gettext("Others are at work on all that “%(batch)s” still asks for: look again later.") % words
        )
    require_offered(actor, batch)


def _count_open_turns(batch: Batch) -> int:
    """Those that are being written or wait for their judgment. Each for as long as a task is lent: who goes away in the
    middle keeps nobody from the place for good, and what they judge later is kept all the same.
    """
    lent = Assignment.objects.filter(
        task=OuterRef("task"), state=Assignment.State.LEASED, leased_until__gt=Now()
    )
    written = Q(
        task__isnull=True,
        conversation__ended_at__isnull=True,
        created_at__gt=database_now_plus(-60.0 * batch.project.lease_minutes),
    )
    return (
        ConversationTurn.objects.filter(conversation__live__batch=batch, outcome=OPEN)
        .filter(written | Q(Exists(lent), task__counted_judgments=0))
        .count()
    )
