"""The audit trail as managers read it: who did what to what, when, found by each of these, and as a file.

A project's managers read their project's; operators read all, what belongs to no project among it.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db import connection
from django.db.models import QuerySet

from learning.interface.json_lines import json_line
from workspace.actions import record_audit
from workspace.csv_lines import csv_line
from workspace.models import AuditEvent, Project, User

CSV, JSON_LINES = "csv", "jsonl"
CONTENT_TYPES = {CSV: "text/csv; charset=utf-8", JSON_LINES: "application/x-ndjson"}
COLUMNS = ("id", "time", "project", "person", "action", "object_type", "object_id", "details")
ROWS_PER_READ = 1000
MAX_ACTIONS = 500
_TABLE = AuditEvent._meta.db_table


def audit_events(project: Project | None) -> QuerySet[AuditEvent]:
    """None: of the whole installation."""
    events = AuditEvent.objects.select_related("actor", "project")
    return events if project is None else events.filter(project=project)


def known_actions(project: Project | None) -> list[str]:
    """The actions that the trail has, sorted, MAX_ACTIONS at most; one step through the index for each of them, however
    many rows there are.
    """
    where, values = ("project_id = %s AND", [project.pk]) if project else ("", [])
    least = f"SELECT MIN(e.action) FROM {_TABLE} e WHERE {where}"
    statement = f"""WITH RECURSIVE known(action) AS ({least} e.action > '' UNION ALL
        SELECT ({least} e.action > known.action) FROM known WHERE known.action IS NOT NULL)
        SELECT action FROM known WHERE action IS NOT NULL LIMIT {MAX_ACTIONS}"""
    with connection.cursor() as cursor:
        cursor.execute(statement, values * 2)
        return [action for (action,) in cursor.fetchall()]


def types_called(name: str) -> list[str]:
    """ "batch" or "annotation.batch" -> ["annotation.batch"]; empty where nothing is called so."""
    labels = [model._meta.label_lower for model in apps.get_models()]
    asked = name.strip().lower()
    return [label for label in labels if asked in (label, label.partition(".")[2])]


def filter_audit(
    events: QuerySet[AuditEvent],
    *,
    person: str = "",
    action: str = "",
    types: Iterable[str] = (),
    key: str = "",
    since: date | None = None,
    until: date | None = None,
    zone: ZoneInfo,
) -> QuerySet[AuditEvent]:
    """`person`: a user name. `types`: model labels, `key`: a primary key of one. Days are whole ones of the zone."""
    if person:
        events = events.filter(actor__in=User.objects.filter(username=person).values("pk"))
    if action:
        events = events.filter(action=action)
    if types:
        events = events.filter(target_type__in=types)
    if key:
        events = events.filter(target_id=key)
    if since:
        events = events.filter(created_at__gte=datetime.combine(since, time(), tzinfo=zone))
    if until:
        events = events.filter(
            created_at__lt=datetime.combine(until + timedelta(days=1), time(), tzinfo=zone)
        )
    return events


def export_audit(
    *, actor: User, project: Project | None, events: QuerySet[AuditEvent], kind: str, filters: dict[str, str]
) -> Iterator[bytes]:
    """`events`, the oldest first, as `kind`, in constant memory. What is recorded while it is sent is left out."""
    last = events.order_by("-pk").values_list("pk", flat=True).first() or 0
    record_audit(actor=actor, action="audit.export", project=project, format=kind, filters=filters)
    return _lines(events.filter(pk__lte=last).order_by("pk"), kind)


def _lines(events: QuerySet[AuditEvent], kind: str) -> Iterator[bytes]:
    if kind == CSV:
        yield csv_line(COLUMNS)
    after = 0
    while page := list(events.filter(pk__gt=after)[:ROWS_PER_READ]):
        rows = [audit_row(event) for event in page]
        if kind == CSV:
            yield b"".join(
                csv_line([*list(row.values())[:-1], json.dumps(row["details"], ensure_ascii=False)])
                for row in rows
            )
        else:
            yield b"".join(map(json_line, rows))
        after = page[-1].pk


def audit_row(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "time": event.created_at.isoformat(),
        "project": event.project.slug if event.project else "",
        "person": event.actor.username,
        "action": event.action,
        "object_type": event.target_type,
        "object_id": event.target_id,
        "details": event.details,
    }
