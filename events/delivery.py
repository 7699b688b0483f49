"""Events are handed over to webhooks: in order, each at least once, until the receiver has it or it is given up.

A webhook has a place in the feed. One worker at a time holds it (`claim`), sends the event behind that place, and moves
the place on when the receiver has answered. A worker that is killed meanwhile has moved nothing: its claim lapses, and
the next one sends the event again, under the same webhook-id. An event that fails is a Delivery that waits, and those
behind it wait with it; after MAX_ATTEMPTS it is a dead letter, and the next one's turn comes.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder

from events.addresses import origin, parse_url
from events.errors import WebhookRefused
from events.feed import describe
from events.kinds import expand
from events.models import Delivery, Event, OutboxEntry, Webhook
from events.sending import Answer, send
from events.signing import signature_headers
from workspace.actions import record_audit
from workspace.database import database_now, write_transaction
from workspace.roles import Capability

logger = logging.getLogger(__name__)

# 5 s, 20 s, 80 s, ... up to eight hours between two: the tenth attempt comes a day after the first.
FIRST_WAIT_SECONDS = 5.0
WAIT_GROWS_BY = 4
LONGEST_WAIT_SECONDS = 8 * 3600.0
MAX_ATTEMPTS = 10
JITTER = 0.2  # of the wait, to either side: receivers that were away are not asked by all at once
TURNED_OFF_AFTER = timedelta(days=5)  # without one delivery
CLAIM_SECONDS = 90.0  # longer than an attempt and a slow look-up of its name
SENT_AT_ONCE = 100  # events of one webhook, before others have their turn
# One receiver is for the project's managers, who made it.
_SEES = frozenset(Capability)
TEST = "webhook.test"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    sent: int = 0
    failed: int = 0


def wait_before(attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds from failed attempt number `attempt` (1, 2, ...) to the next. `draw`: uniform in [0, 1)."""
    wait = min(FIRST_WAIT_SECONDS * WAIT_GROWS_BY ** (attempt - 1), LONGEST_WAIT_SECONDS)
    return wait * (1 + JITTER * (2 * draw() - 1))


def due_webhooks() -> QuerySet[Webhook]:
    """Those that have something to send now, and that nobody is sending to."""
    now = database_now()
    waiting = Delivery.objects.waiting().filter(webhook=OuterRef("pk"))
    ahead = Event.objects.filter(project=OuterRef("project"), pk__gt=OuterRef("position"))
    has_next = Exists(ahead) & ~Exists(waiting.filter(is_resend=False))
    return (
        Webhook.objects.on()
        .filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=now))
        .filter(Exists(waiting.filter(next_attempt_at__lte=now)) | has_next)
        .order_by("pk")
    )


def deliver_due(*, stop: Callable[[], bool] = lambda: False) -> Outcome:
    """Send what is due, to one webhook after another, until nothing is; `stop` is asked between two events."""
    sent = failed = 0
    for key in list(due_webhooks().values_list("pk", flat=True)):
        outcome = deliver_to(key, stop=stop)
        sent, failed = sent + outcome.sent, failed + outcome.failed
    return Outcome(sent=sent, failed=failed)


def deliver_to(key: int, *, stop: Callable[[], bool] = lambda: False) -> Outcome:
    """Send what is due to this webhook, if nobody else does."""
    claim = _Claim.take(key)
    if claim is None:
        return Outcome()
    sent = failed = 0
    try:
        while sent + failed < SENT_AT_ONCE and not stop() and (event := _next(claim)) is not None:
            answer = _attempt(claim.webhook, event)
            if not _settle(claim, event, answer):
                break  # somebody else has it by now
            sent, failed = (sent + 1, failed) if answer.is_delivered else (sent, failed + 1)
    finally:
        claim.release()
    return Outcome(sent=sent, failed=failed)


class _Claim:
    """A webhook that this worker alone sends to, until the claim lapses."""

    def __init__(self, webhook: Webhook) -> None:
        self.webhook = webhook

    @classmethod
    def take(cls, key: int) -> "_Claim | None":
        now, mark = database_now(), uuid.uuid4().hex
        free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
        taken = (
            Webhook.objects.on()
            .filter(free, pk=key)
            .update(claim=mark, claimed_until=now + timedelta(seconds=CLAIM_SECONDS))
        )
        return cls(Webhook.objects.select_related("project").get(pk=key)) if taken else None

    def renew(self) -> bool:
        """Reads the webhook anew, as it may have been changed; False where it is off, gone, or no longer ours."""
        found = (
            Webhook.objects.on()
            .select_related("project")
            .filter(pk=self.webhook.pk, claim=self.webhook.claim)
        )
        webhook = found.first()
        if webhook is not None:
            self.webhook = webhook
        return webhook is not None and self.change()

    def change(self, **fields: Any) -> bool:
        """Sets the fields and holds on to the claim; False where it is no longer ours."""
        until = database_now() + timedelta(seconds=CLAIM_SECONDS)
        mine = Webhook.objects.filter(pk=self.webhook.pk, claim=self.webhook.claim)
        if not mine.update(**{"claimed_until": until} | fields):
            return False
        for name, value in fields.items():
            setattr(self.webhook, name, value)
        return True

    def release(self) -> None:
        Webhook.objects.filter(pk=self.webhook.pk, claim=self.webhook.claim).update(
            claim="", claimed_until=None
        )


def _next(claim: _Claim) -> Event | None:
    """What is to be sent now: what is to be sent again, else the event whose turn it is. None: nothing yet."""
    if not claim.renew():
        return None
    webhook = claim.webhook
    waiting = webhook.deliveries.waiting().select_related("event")
    due = waiting.filter(next_attempt_at__lte=database_now()).order_by("-is_resend", "event_id").first()
    if due is not None:
        return due.event
    if waiting.filter(is_resend=False).exists():
        return None
    last = webhook.project.events.order_by("pk").last()
    if last is None or last.pk <= webhook.position:
        return None
    kinds = [kind for kind in expand(webhook.kinds) if kind != TEST]
    meant = Q(kind__in=kinds) | Q(kind=TEST, data__webhook=webhook.pk)
    ahead = webhook.project.events.filter(meant, pk__gt=webhook.position, pk__lte=last.pk)
    event = ahead.order_by("pk").first()
    if event is None:
        # None of these is for it: they are not looked at again.
        claim.change(position=last.pk)
    return event


def _attempt(webhook: Webhook, event: Event) -> Answer:
    body = message_body(event)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Roundtable-Webhooks/1",
        **signature_headers(secrets_of(webhook, timezone.now()), event.name, int(time.time()), body),
    }
    try:
        url = parse_url(webhook.url)
    except WebhookRefused as error:
        return Answer(status=None, reason=error.message, seconds=0.0)
    return send(url, headers, body)


def message_body(event: Event) -> bytes:
    """The same bytes at each attempt."""
    with timezone.override(UTC):
        [said] = describe([event], _SEES)
    message = {
        "type": said["type"],
        "timestamp": said["timestamp"],
        "project": event.project.slug,
        "id": said["id"],
        "cursor": said["cursor"],
        "data": said["data"],
    }
    return JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode(message).encode()


def secrets_of(webhook: Webhook, now: datetime) -> list[str]:
    until = webhook.previous_secret_until
    return [webhook.secret, *([webhook.previous_secret] if until is not None and now < until else [])]


@write_transaction
def _settle(claim: _Claim, event: Event, answer: Answer) -> bool:
    """Store what became of an attempt; False where the claim was lost and nothing is stored."""
    webhook, now = claim.webhook, database_now()
    # Under the lock of the webhook's row from here on, as the managers' actions.
    if not claim.change(**({"failing_since": None} if answer.is_delivered else {})):
        return False
    delivery = webhook.deliveries.filter(event=event).first() or Delivery(
        webhook=webhook, event=event, state=Delivery.State.WAITING
    )
    if not delivery.is_resend:
        changes: dict[str, Any] = {"position": max(webhook.position, event.pk)}
        if not answer.is_delivered and webhook.failing_since is None:
            changes["failing_since"] = now
        claim.change(**changes)
    delivery.attempts += 1
    delivery.status, delivery.reason, delivery.seconds = answer.status, answer.reason, answer.seconds
    if answer.is_delivered:
        delivery.state = Delivery.State.DELIVERED
    elif (
        delivery.state == Delivery.State.WAITING and delivery.attempts >= MAX_ATTEMPTS and not answer.is_gone
    ):
        delivery.state = Delivery.State.DEAD
    # A manager may have given it up meanwhile: then it stays so.
    is_waiting = delivery.state == Delivery.State.WAITING
    delivery.next_attempt_at = now + timedelta(seconds=wait_before(delivery.attempts)) if is_waiting else None
    delivery.settled_at = None if is_waiting else now
    delivery.save()
    if answer.is_gone:
        _turn_off(claim, f"The receiver has answered 410 to {event.name}: it wants nothing any more.")
    elif (
        delivery.state == Delivery.State.DEAD
        and webhook.failing_since is not None
        and webhook.failing_since <= now - TURNED_OFF_AFTER
    ):
        _turn_off(
            claim, f"Nothing was delivered for {TURNED_OFF_AFTER.days} days. The last reason: {answer.reason}"
        )
    return True


def _turn_off(claim: _Claim, reason: str) -> None:
    """The site does it, in the name of who made the webhook; it is an event, so that others may tell of it.

    Reviewers and other receivers read that event: the whole address and the reason stay with the webhook, which
    managers alone see.
    """
    webhook = claim.webhook
    claim.change(is_on=False, off_reason=reason[:300])
    said = {"webhook": webhook.pk, "url": origin(webhook.url)}
    OutboxEntry.objects.create(kind="webhook.turned_off", project_id=webhook.project_id, data=said)
    record_audit(
        actor=webhook.created_by,
        action="webhook.turned_off",
        project=webhook.project,
        target=webhook,
        url=origin(webhook.url),
    )
    logger.warning("webhook %s of %s is off: %s", webhook.pk, webhook.project.slug, reason)
