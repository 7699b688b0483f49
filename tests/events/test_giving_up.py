"""Deliveries that are given up and webhooks that are turned off, and how both are taken up again."""

from datetime import timedelta

import pytest

from events import delivery as delivering
from events.actions import drop, forget_old_deliveries, give_up, resend, send_test, try_now, turn_off, turn_on
from events.delivery import MAX_ATTEMPTS, deliver_due
from events.errors import WebhookConflict
from events.feed import read_feed
from events.models import Delivery, Webhook
from tests.events.deliveries import due_now, fail_until_dead, titles
from workspace.database import database_now
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_what_is_given_up_is_a_dead_letter_and_the_next_has_its_turn(webhook, receiver, happen, max_):
    receiver.answer = lambda number: 503 if number <= MAX_ATTEMPTS else 200
    happen("poison", "second")
    fail_until_dead(webhook)
    assert titles(receiver) == ["poison"] * MAX_ATTEMPTS + ["second"]
    dead = webhook.deliveries.dead().get()
    assert (dead.attempts, dead.status, dead.reason) == (MAX_ATTEMPTS, 503, "It answered 503.")
    resend(actor=max_, delivery=dead)
    deliver_due()
    assert titles(receiver)[-1] == "poison" and receiver.ids[-1] == receiver.ids[0]
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == ("delivered", 1)
    with pytest.raises(WebhookConflict):
        resend(actor=max_, delivery=dead)


def test_what_is_sent_again_holds_up_nobody_and_can_be_dropped(webhook, receiver, happen, max_):
    happen("poison")
    receiver.answer = lambda number: 500
    fail_until_dead(webhook)
    dead = webhook.deliveries.get()
    resend(actor=max_, delivery=dead)
    deliver_due()
    receiver.answer = lambda number: 200
    happen("later")
    deliver_due()
    assert titles(receiver)[-1] == "later"
    dead.refresh_from_db()
    assert (dead.state, dead.is_resend, dead.attempts) == ("waiting", True, 1)
    give_up(actor=max_, delivery=dead)
    drop(actor=max_, delivery=dead)
    dead.refresh_from_db()
    assert dead.state == "dropped"


def test_a_manager_tries_now_or_gives_up_what_waits(webhook, receiver, happen, max_):
    receiver.answer = lambda number: 500 if number <= 2 else 200
    happen("poison", "second")
    deliver_due()
    try_now(actor=max_, delivery=webhook.deliveries.get())
    deliver_due()
    assert titles(receiver) == ["poison", "poison"]
    give_up(actor=max_, delivery=webhook.deliveries.get())
    deliver_due()
    assert titles(receiver) == ["poison", "poison", "second"]
    assert webhook.deliveries.dead().get().event.data == {"title": "poison"}
    with pytest.raises(WebhookConflict):
        give_up(actor=max_, delivery=webhook.deliveries.dead().get())


def test_what_a_manager_gives_up_during_an_attempt_stays_given_up(webhook, receiver, happen, max_):
    receiver.answer = lambda number: 500
    happen("poison", "second")
    deliver_due()
    due_now(webhook)
    [event] = [delivery.event for delivery in webhook.deliveries.all()]
    claim = delivering._Claim.take(webhook.pk)
    assert delivering._next(claim) == event
    give_up(actor=max_, delivery=webhook.deliveries.get())
    answer = delivering._attempt(claim.webhook, event)
    assert delivering._settle(claim, event, answer)
    assert (webhook.deliveries.get().state, webhook.deliveries.get().attempts) == ("dead", 2)


def test_a_receiver_that_fails_for_days_is_turned_off_with_a_notice_and_goes_on_where_it_stopped(
    webhook, receiver, happen, max_, project
):
    receiver.answer = lambda number: 500
    happen("first", "second", "third")
    fail_until_dead(webhook)
    webhook.refresh_from_db()
    assert webhook.is_on and webhook.deliveries.dead().count() == 3  # no five days yet
    happen("fourth", "fifth")
    deliver_due()
    Webhook.objects.update(failing_since=database_now() - timedelta(days=5, hours=1))
    while webhook.deliveries.dead().count() < 4:
        due_now(webhook)
        deliver_due()
    webhook.refresh_from_db()
    assert (webhook.is_on, webhook.off_reason) == (
        False, "Nothing was delivered for 5 days. The last reason: It answered 500.",
    )  # fmt: skip
    assert deliver_due().failed == 0
    happen("sixth")
    [event] = read_feed(project, kinds=["webhook.turned_off"]).events
    assert event.data["webhook"] == webhook.pk
    assert AuditEvent.objects.filter(action="webhook.turned_off", target_id=str(webhook.pk)).count() == 1
    n_before = len(receiver.requests)
    receiver.answer = lambda number: 200
    turn_on(actor=max_, webhook=webhook)
    deliver_due()
    sent = receiver.messages[n_before:]
    assert [message["data"].get("title", message["type"]) for message in sent] == [
        "fifth", "webhook.turned_off", "sixth",
    ]  # fmt: skip


def test_one_success_begins_the_days_anew(webhook, receiver, happen):
    happen("first")
    receiver.answer = lambda number: 500
    deliver_due()
    webhook.refresh_from_db()
    assert webhook.failing_since is not None
    receiver.answer = lambda number: 200
    due_now(webhook)
    deliver_due()
    webhook.refresh_from_db()
    assert webhook.failing_since is None


def test_a_receiver_that_wants_nothing_any_more_is_turned_off_and_loses_nothing(
    webhook, receiver, happen, max_
):
    receiver.answer = lambda number: 410
    happen("first", "second")
    deliver_due()
    webhook.refresh_from_db()
    assert not webhook.is_on and "410" in webhook.off_reason
    receiver.answer = lambda number: 200
    turn_on(actor=max_, webhook=webhook)
    deliver_due()
    assert titles(receiver)[:3] == ["first", "first", "second"]


def test_off_sends_nothing_and_on_sends_what_was_missed(webhook, receiver, happen, max_):
    turn_off(actor=max_, webhook=webhook)
    happen("meanwhile")
    assert deliver_due().sent == 0 and receiver.requests == []
    with pytest.raises(WebhookConflict):
        send_test(actor=max_, webhook=webhook)
    turn_on(actor=max_, webhook=webhook)
    deliver_due()
    assert titles(receiver) == ["meanwhile"]


def test_deliveries_of_a_month_ago_are_forgotten_and_dead_letters_stay(webhook, receiver, happen):
    receiver.answer = lambda number: 500 if number <= MAX_ATTEMPTS else 200
    happen("poison", "second", "third")
    fail_until_dead(webhook)
    old = database_now() - timedelta(days=31)
    Delivery.objects.filter(event__data={"title": "poison"}).update(settled_at=old)
    Delivery.objects.filter(event__data={"title": "second"}).update(settled_at=old)
    assert forget_old_deliveries() == 1
    left = webhook.deliveries.order_by("event").values_list("event__data", flat=True)
    assert [data["title"] for data in left] == ["poison", "third"]
