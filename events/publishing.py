"""Events get their place in the order, one publisher after another.

Whoever writes an event gets its key from a sequence before its transaction commits: a reader who has seen key 7 may
find 6 only later, and would miss it by asking for what comes after 7. So nobody reads the outbox but the publisher. It
takes what is committed and gives it new keys, one publisher at a time: a key that can be seen is larger than all that
could be seen before it. An event that was committed before another began comes before it.

The worker publishes at each tick, and whoever reads the feed publishes first (some, where a great many have piled up):
nothing waits for a worker.
"""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from annotation.models import Judgment
from events.models import Event, OutboxEntry
from workspace.database import write_transaction

PUBLISHED_AT_ONCE = 1000
PUBLISHED_BY_A_READER = 3000
_LOCK = 7_294_113_508  # any number, for this alone


def record_event(project_id: int, kind: str, data: Mapping[str, Any]) -> None:
    """One that no trigger writes; call it inside the transaction of what happened."""
    OutboxEntry.objects.create(kind=kind, project_id=project_id, data=dict(data))


def publish_events(*, at_most: int | None = None) -> int:
    """How many events were published; 0 also where another process is at it."""
    n_published = 0
    while (at_most is None or n_published < at_most) and OutboxEntry.objects.exists():
        n = _publish_some()
        n_published += n
        if n < PUBLISHED_AT_ONCE:
            break
    return n_published


@write_transaction
def _publish_some() -> int:
    if not _only_publisher():
        return 0
    entries = list(OutboxEntry.objects.order_by("pk")[:PUBLISHED_AT_ONCE])
    judgments = [entry.data["judgment"] for entry in entries if entry.project_id is None]
    projects = dict(
        Judgment.objects.filter(pk__in=judgments).values_list("pk", "task__batch__project_id")
        if judgments
        else []
    )
    Event.objects.bulk_create(
        Event(
            project_id=projects[entry.data["judgment"]] if entry.project_id is None else entry.project_id,
            kind=entry.kind,
            data=entry.data,
            created_at=entry.created_at,
        )
        for entry in entries
    )
    OutboxEntry.objects.filter(pk__in=[entry.pk for entry in entries]).delete()
    return len(entries)


def _only_publisher() -> bool:
    """Whether this transaction may publish; until it ends nobody else may. SQLite has one writer anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])
