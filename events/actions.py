"""What a manager does to webhooks and to what could not be delivered."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext

from events.addresses import origin, parse_url
from events.errors import WebhookConflict, WebhookRefused
from events.kinds import require_known
from events.models import Delivery, OutboxEntry, Webhook
from events.publishing import PUBLISHED_BY_A_READER, publish_events
from events.signing import new_secret
from learning.interface.options import UserError
from workspace.actions import record_audit
from workspace.database import database_now, write_transaction
from workspace.models import Project, User
from workspace.shown_values import Shown, require_shown, values_of

MAX_WEBHOOKS = 20  # of a project
MAX_DESCRIPTION = 120
CHANGEABLE = ("url", "kinds", "description")
OLD_SECRET_LIVES = timedelta(hours=24)
KEEP_SETTLED = timedelta(days=30)


@transaction.atomic
def create_webhook(
    *, actor: User, project: Project, url: str, kinds: Sequence[str] = (), description: str = ""
) -> Webhook:
    """An address that is told of the project's events from now on: of these kinds, or (none) of all.

    Its `secret` is to be shown once. Raises WebhookRefused.
    """
    url, description = url.strip(), description.strip()
    kinds = _checked(url, kinds, description)
    Project.objects.select_for_update(no_key=True).get(
        pk=project.pk
    )  # nobody makes two at once past the limit
    if project.webhooks.count() >= MAX_WEBHOOKS:
        raise WebhookRefused(
            gettext("The project has %(max_webhooks)s webhooks: remove one that is not needed.")
            % {"max_webhooks": MAX_WEBHOOKS}
        )
    # What has happened before is none of its business, also where it is not published yet.
    publish_events(at_most=PUBLISHED_BY_A_READER)
    last = project.events.order_by("pk").last()
    webhook = Webhook.objects.create(
        project=project,
        url=url,
        kinds=kinds,
        description=description,
        secret=new_secret(),
        position=last.pk if last else 0,
        created_by=actor,
    )
    record_audit(
        actor=actor, action="webhook.create", project=project, target=webhook, url=origin(url), kinds=kinds
    )
    return webhook


def _checked(url: str, kinds: Sequence[str], description: str) -> list[str]:
    """The kinds, each once. Raises WebhookRefused for what cannot be."""
    parse_url(url)
    try:
        require_known(kinds)
    except UserError as error:
        raise WebhookRefused(str(error), fields={"kinds": str(error)}) from error
    if len(description) > MAX_DESCRIPTION:
        message = f"At most {MAX_DESCRIPTION} characters."
        raise WebhookRefused(message, fields={"description": message})
    return list(dict.fromkeys(kinds))


@transaction.atomic
def change_webhook(
    *,
    actor: User,
    webhook: Webhook,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
    description: str | None = None,
    shown: Shown = None,
) -> Webhook:
    """Its address, kinds or description, as given. What waits goes to the new address. Raises WebhookRefused,
    ChangedMeanwhile.
    """
    locked = _lock(webhook)
    before = values_of(locked, CHANGEABLE)
    require_shown(shown, before)
    after: dict[str, Any] = {
        "url": locked.url if url is None else url.strip(),
        "kinds": locked.kinds if kinds is None else list(kinds),
        "description": locked.description if description is None else description.strip(),
    }
    # A kind that it has and that this version does not know may stay; to take it away would be to change what it hears.
    _checked(
        after["url"], [kind for kind in after["kinds"] if kind not in locked.kinds], after["description"]
    )
    after["kinds"] = list(dict.fromkeys(after["kinds"]))
    if changes := {name: value for name, value in after.items() if value != before[name]}:
        for name, value in changes.items():
            setattr(locked, name, value)
        locked.save(update_fields=[*changes])
        # An audit row stays for good and is read by operators: a secret in the address is none of its business.
        audited = changes | ({"url": origin(locked.url)} if "url" in changes else {})
        record_audit(actor=actor, action="webhook.change", project=locked.project, target=locked, **audited)
    return locked


@transaction.atomic
def turn_on(*, actor: User, webhook: Webhook) -> Webhook:
    """It goes on where it stopped: what happened meanwhile is delivered, the oldest first, beginning now."""
    locked = _lock(webhook)
    if not locked.is_on:
        locked.is_on, locked.off_reason, locked.failing_since = True, "", None
        locked.save(update_fields=["is_on", "off_reason", "failing_since"])
        locked.deliveries.waiting().update(attempts=0, next_attempt_at=database_now())
        record_audit(actor=actor, action="webhook.turn_on", project=locked.project, target=locked)
    return locked


@transaction.atomic
def turn_off(*, actor: User, webhook: Webhook) -> Webhook:
    """Nothing is sent until it is on again; nothing is lost."""
    locked = _lock(webhook)
    if locked.is_on:
        locked.is_on = False
        locked.save(update_fields=["is_on"])
        record_audit(actor=actor, action="webhook.turn_off", project=locked.project, target=locked)
    return locked


@transaction.atomic
def remove_webhook(*, actor: User, webhook: Webhook) -> None:
    """With its deliveries and dead letters."""
    locked = _lock(webhook)
    record_audit(
        actor=actor, action="webhook.remove", project=locked.project, target=locked, url=origin(locked.url)
    )
    locked.delete()


@transaction.atomic
def replace_secret(*, actor: User, webhook: Webhook) -> Webhook:
    """A new secret, to be shown once. For a day messages carry a signature of the old one too."""
    locked = _lock(webhook)
    locked.previous_secret, locked.secret = locked.secret, new_secret()
    locked.previous_secret_until = database_now() + OLD_SECRET_LIVES
    locked.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
    record_audit(actor=actor, action="webhook.replace_secret", project=locked.project, target=locked)
    return locked


@transaction.atomic
def send_test(*, actor: User, webhook: Webhook) -> None:
    """An event for this webhook alone, whatever it is told of; it waits its turn as every other.

    Raises WebhookConflict where the webhook is off.
    """
    locked = _lock(webhook)
    if not locked.is_on:
        raise WebhookConflict(gettext("The webhook is off: turn it on to try it out."), code="webhook_off")
    OutboxEntry.objects.create(
        kind="webhook.test", project_id=locked.project_id, data={"webhook": locked.pk, "by": actor.username}
    )
    record_audit(actor=actor, action="webhook.test", project=locked.project, target=locked)


@transaction.atomic
def try_now(*, actor: User, delivery: Delivery) -> Delivery:
    """Do not wait for the time of its next attempt. Raises WebhookConflict."""
    locked = _lock_delivery(
        delivery, Delivery.State.WAITING, gettext("It does not wait any more: reload the page.")
    )
    locked.next_attempt_at = database_now()
    locked.save(update_fields=["next_attempt_at"])
    _record(actor, "webhook.try_now", locked)
    return locked


@transaction.atomic
def give_up(*, actor: User, delivery: Delivery) -> Delivery:
    """A delivery that waits becomes a dead letter now, and the events behind it have their turn. Raises
    WebhookConflict.
    """
    locked = _lock_delivery(
        delivery, Delivery.State.WAITING, gettext("It does not wait any more: reload the page.")
    )
    _settle(locked, Delivery.State.DEAD)
    _record(actor, "webhook.give_up", locked)
    return locked


@transaction.atomic
def resend(*, actor: User, delivery: Delivery) -> Delivery:
    """A dead letter is sent again, from now on as often as an event is; others do not wait for it. Raises
    WebhookConflict.
    """
    locked = _lock_delivery(
        delivery, Delivery.State.DEAD, gettext("It is no dead letter any more: reload the page.")
    )
    if not locked.webhook.is_on:
        raise WebhookConflict(
            gettext("The webhook is off: turn it on before you send anything again."), code="webhook_off"
        )
    locked.state, locked.is_resend, locked.attempts = Delivery.State.WAITING, True, 0
    locked.next_attempt_at, locked.settled_at = database_now(), None
    locked.save(update_fields=["state", "is_resend", "attempts", "next_attempt_at", "settled_at"])
    _record(actor, "webhook.resend", locked)
    return locked


@transaction.atomic
def resend_all(*, actor: User, webhook: Webhook) -> int:
    """All dead letters of a webhook, the oldest first. Returns how many. Raises WebhookConflict where it is off."""
    locked = _lock(webhook)
    if not locked.is_on:
        raise WebhookConflict(
            gettext("The webhook is off: turn it on before you send anything again."), code="webhook_off"
        )
    n = locked.deliveries.dead().update(
        state=Delivery.State.WAITING,
        is_resend=True,
        attempts=0,
        next_attempt_at=database_now(),
        settled_at=None,
    )
    record_audit(
        actor=actor, action="webhook.resend_all", project=locked.project, target=locked, deliveries=n
    )
    return n


@transaction.atomic
def drop(*, actor: User, delivery: Delivery) -> Delivery:
    """A dead letter that nobody needs. Raises WebhookConflict."""
    locked = _lock_delivery(
        delivery, Delivery.State.DEAD, gettext("It is no dead letter any more: reload the page.")
    )
    _settle(locked, Delivery.State.DROPPED)
    _record(actor, "webhook.drop", locked)
    return locked


@write_transaction
def forget_old_deliveries() -> int:
    """What was delivered or dropped a month ago is forgotten; dead letters stay. Returns how many went."""
    settled = Q(state__in=[Delivery.State.DELIVERED, Delivery.State.DROPPED])
    old = Delivery.objects.filter(settled, settled_at__lt=database_now() - KEEP_SETTLED)
    return old.delete()[0]


def _settle(delivery: Delivery, state: str) -> None:
    delivery.state, delivery.next_attempt_at, delivery.settled_at = state, None, database_now()
    delivery.save(update_fields=["state", "next_attempt_at", "settled_at"])


def _record(actor: User, action: str, delivery: Delivery) -> None:
    webhook = delivery.webhook
    record_audit(
        actor=actor, action=action, project=webhook.project, target=webhook, event=delivery.event.name
    )


def _lock(webhook: Webhook) -> Webhook:
    locked = (
        Webhook.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project")
        .filter(pk=webhook.pk)
        .first()
    )
    if locked is None:
        raise WebhookConflict(gettext("This webhook was removed meanwhile: reload the page."))
    return locked


def _lock_delivery(delivery: Delivery, state: str, otherwise: str) -> Delivery:
    webhook = _lock(delivery.webhook)
    locked = (
        webhook.deliveries.select_for_update(no_key=True, of=("self",))
        .select_related("event")
        .get(pk=delivery.pk)
    )
    locked.webhook = webhook
    if locked.state != state:
        raise WebhookConflict(otherwise, code="delivery_settled")
    return locked
