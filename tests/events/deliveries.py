"""What receivers have had, and deliveries whose time has come."""

from events.delivery import deliver_due
from workspace.database import database_now


def titles(receiver):
    return [message["data"]["title"] for message in receiver.messages]


def due_now(webhook):
    """As if the time of its next attempt had come."""
    assert webhook.deliveries.waiting().update(next_attempt_at=database_now())


def fail_until_dead(webhook):
    deliver_due()
    while webhook.deliveries.waiting().exists():
        due_now(webhook)
        deliver_due()
