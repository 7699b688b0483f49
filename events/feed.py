"""A project's events in order, from a cursor on, as programs read them and webhooks are told them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from annotation.access import CHECKS, sees_checks
from annotation.api.judgments import JudgmentSerializer
from annotation.models import Judgment
from events.addresses import origin
from events.kinds import expand
from events.models import Event
from events.publishing import PUBLISHED_BY_A_READER, publish_events
from learning.interface.options import UserError
from workspace.models import Project
from workspace.roles import Capability

BEGINNING = "0"  # the cursor before the first event
NOW = "now"  # asks for the cursor after the last
MAX_KEY = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class FeedPage:
    events: list[Event]
    cursor: str  # from which to go on
    more: bool  # there are further ones already


def read_feed(
    project: Project, *, after: str = BEGINNING, kinds: Sequence[str] = (), limit: int = 100
) -> FeedPage:
    """The events after the cursor, the oldest first, of these kinds (none: all). Raises UserError for a cursor that is
    none of this project's: a database that was restored from a backup gives the same keys to other events.
    """
    publish_events(at_most=PUBLISHED_BY_A_READER)
    events = project.events.order_by("pk")
    # Read before the events: what is published meanwhile comes with the next page.
    last = events.last()
    if after == NOW:
        return FeedPage(events=[], cursor=cursor_of(last), more=False)
    position = _position(project, after)
    if last is None or last.pk <= position:
        return FeedPage(events=[], cursor=after, more=False)
    chosen = events.filter(pk__gt=position, pk__lte=last.pk)
    if kinds:
        chosen = chosen.filter(kind__in=expand(kinds))
    found = list(chosen[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    # Without a further one of these kinds the next page begins after all that were looked at.
    return FeedPage(events=found, cursor=cursor_of(found[-1] if more else last), more=more)


def cursor_of(event: Event | None) -> str:
    return BEGINNING if event is None else f"{event.pk}-{event.public_id.hex[:8]}"


def _position(project: Project, cursor: str) -> int:
    if cursor == BEGINNING:
        return 0
    key, _, mark = cursor.partition("-")
    if key.isascii() and key.isdigit() and len(key) <= 19 and int(key) <= MAX_KEY:
        event = project.events.filter(pk=int(key)).first()
        if event is not None and event.public_id.hex[:8] == mark:
            return event.pk
    raise UserError(
        "This is no cursor of this project's events: begin with “0” (all of them) or “now”. A cursor is lost where "
        "the site was restored from a backup that is older than it."
    )


def describe(events: Iterable[Event], capabilities: frozenset[Capability]) -> list[dict[str, Any]]:
    """Each event with all that belongs to it, as far as these capabilities reach; without those of judgments that they
    do not reach. Judgments never change, so that an event reads the same whenever it is read.
    """
    events = without_hidden_checks(events, capabilities)
    judgments = _judgments(
        [event.data["judgment"] for event in events if "judgment" in event.data], capabilities
    )
    return [
        {
            "id": event.name,
            "cursor": cursor_of(event),
            "type": event.kind,
            "timestamp": event.created_at,
            "data": judgments.get(event.data.get("judgment")) or public_data(event),
        }
        for event in events
    ]


def without_hidden_checks(events: Iterable[Event], capabilities: frozenset[Capability]) -> list[Event]:
    """Events tell of judgments of known answers and repeats only who may know of these (annotation.access)."""
    events = list(events)
    if sees_checks(capabilities):
        return events
    keys = [event.data["judgment"] for event in events if "judgment" in event.data]
    checks = Judgment.objects.filter(pk__in=keys, task__purpose__in=CHECKS)
    hidden = set(checks.values_list("pk", flat=True))
    return [event for event in events if event.data.get("judgment") not in hidden]


def public_data(event: Event) -> dict[str, Any]:
    """What an event says to whoever reads the feed. Events of a webhook that were stored by earlier versions have its
    whole address and a reason, which are for its managers.
    """
    data: dict[str, Any] = event.data
    if event.kind != "webhook.turned_off":
        return data
    return {"webhook": data.get("webhook"), "url": origin(data.get("url", ""))}


def _judgments(keys: list[int], capabilities: frozenset[Capability]) -> dict[Any, dict[str, Any]]:
    """By key, as the API lists them (whose the answers are is for managers), but whether it is the current one."""
    if not keys:
        return {}
    rows = Judgment.objects.filter(pk__in=keys).select_related(
        "annotator", "task__prompt", "task__batch__criterion"
    )
    rows = rows.defer("task__prompt__messages", "task__prompt__metadata")
    if Capability.MANAGE in capabilities:
        rows = rows.prefetch_related("task__task_responses__response")
    serializer = JudgmentSerializer(context={"view": SimpleNamespace(capabilities=capabilities)})
    described = {}
    for judgment in rows:
        judgment.is_current = False  # type: ignore[attr-defined]  # it changes: left out
        shown = dict(serializer.to_representation(judgment))
        del shown["is_current"]
        described[judgment.pk] = {"judgment": shown.pop("id")} | shown
    return described
