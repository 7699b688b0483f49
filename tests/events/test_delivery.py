"""Deliveries to real receivers: in order, at least once, retried, after a worker was killed too."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections

from events import delivery as delivering
from events.actions import change_webhook, create_webhook, remove_webhook, replace_secret, send_test
from events.delivery import MAX_ATTEMPTS, deliver_due, wait_before
from events.feed import read_feed
from events.models import Delivery, OutboxEntry, Webhook
from events.publishing import publish_events
from tests.events.deliveries import due_now, titles
from tests.events.receiver import serve
from workspace.database import database_now

pytestmark = [pytest.mark.db, pytest.mark.django_db]


ROOT = Path(__file__).resolve().parents[2]


def test_events_arrive_in_order_signed_and_once(webhook, receiver, happen, project):
    happen("first", "second", "third")
    assert deliver_due().sent == 3
    assert deliver_due().sent == 0
    assert titles(receiver) == ["first", "second", "third"]
    page = read_feed(project)
    assert receiver.ids == [event.name for event in page.events]
    for (headers, body), event in zip(receiver.requests, page.events, strict=True):
        key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
        signed = f"{event.name}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 600
    message = receiver.messages[0]
    assert set(message) == {"type", "timestamp", "project", "id", "cursor", "data"}
    assert (message["type"], message["project"], message["id"]) == (
        "run.queued",
        project.slug,
        receiver.ids[0],
    )
    assert set(webhook.deliveries.values_list("state", "attempts", "status")) == {("delivered", 1, 204)}


def test_a_judgment_arrives_whole_and_what_was_before_does_not(
    make_batch, judge, project, max_, receiver, program
):
    make_batch(tasks=2)
    judge()
    create_webhook(actor=max_, project=project, url=receiver.url, kinds=["judgment"])
    judgment = judge(rationale="“Crisp”, 好")
    publish_events()
    deliver_due()
    [message] = receiver.messages
    said = program(max_, project)("GET", f"projects/{project.slug}/judgments/{judgment.pk}").json()
    del said["is_current"]
    assert message["data"] == {"judgment": said.pop("id")} | said
    assert message["data"]["rationale"] == "“Crisp”, 好" and set(message["data"]["responses"]) == {"A", "B"}


def test_only_the_kinds_that_were_chosen_are_sent_and_others_are_looked_at_once(
    project, max_, receiver, happen
):
    webhook = create_webhook(actor=max_, project=project, url=receiver.url, kinds=["round", "run.done"])
    happen("a", kind="run.queued")
    happen("b", kind="round.policy")
    happen("c", kind="run.done")
    happen("d", kind="run.failed")
    deliver_due()
    assert titles(receiver) == ["b", "c"]
    webhook.refresh_from_db()
    assert webhook.position == project.events.order_by("pk").last().pk
    assert not delivering.due_webhooks().exists()


def test_an_event_that_fails_holds_up_those_behind_it_and_is_sent_again_with_the_same_id(
    webhook, receiver, happen
):
    receiver.answer = lambda number: 500 if number <= 2 else 200
    happen("first", "second")
    outcome = deliver_due()
    assert (outcome.sent, outcome.failed) == (0, 1)
    waiting = webhook.deliveries.get()
    assert (waiting.state, waiting.attempts, waiting.status, waiting.reason) == (
        "waiting", 1, 500, "It answered 500.",
    )  # fmt: skip
    assert 4 <= (waiting.next_attempt_at - database_now()).total_seconds() + 1 <= 7.1
    assert deliver_due().failed == 0  # its time has not come
    for _ in range(2):
        due_now(webhook)
        deliver_due()
    assert titles(receiver) == ["first", "first", "first", "second"]
    assert len(set(receiver.ids[:3])) == 1 and receiver.ids[3] != receiver.ids[0]
    assert len({body for _, body in receiver.requests[:3]}) == 1
    assert [(row.state, row.attempts) for row in webhook.deliveries.order_by("event")] == [
        ("delivered", 3),
        ("delivered", 1),
    ]


def test_the_attempts_of_an_event_are_spread_over_a_day():
    middle = [wait_before(attempt, lambda: 0.5) for attempt in range(1, MAX_ATTEMPTS)]
    assert middle == [5, 20, 80, 320, 1280, 5120, 20480, 28800, 28800]
    assert 23 * 3600 < sum(middle) < 25 * 3600
    assert [wait_before(1, lambda: 0.0), wait_before(1, lambda: 0.999999)] == pytest.approx([4, 6], abs=1e-4)


def test_a_test_goes_to_its_webhook_alone_whatever_that_is_told_of(project, max_, receiver, webhook):
    with serve() as other:
        second = create_webhook(actor=max_, project=project, url=other.url, kinds=["round.done"])
        send_test(actor=max_, webhook=second)
        publish_events()
        deliver_due()
        assert [message["type"] for message in other.messages] == ["webhook.test"]
        assert other.messages[0]["data"] == {"webhook": second.pk, "by": "max"}
    assert receiver.requests == []


def test_a_new_address_and_secret_count_from_the_next_attempt_on(webhook, receiver, happen, max_):
    receiver.answer = lambda number: 500
    happen("first")
    deliver_due()
    old = webhook.secret
    replaced = replace_secret(actor=max_, webhook=webhook)
    assert replaced.secret != old
    with serve() as other:
        change_webhook(actor=max_, webhook=webhook, url=other.url)
        due_now(webhook)
        deliver_due()
        [(headers, body)] = other.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = []
    for secret in (replaced.secret, old):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected.append("v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode())
    assert headers["webhook-signature"].split(" ") == expected
    assert delivering.secrets_of(replaced, database_now() + timedelta(hours=25)) == [replaced.secret]


def test_a_project_hears_nothing_of_another(webhook, receiver, olga):
    other = olga.memberships.get().project
    OutboxEntry.objects.create(kind="run.queued", project_id=other.pk, data={"title": "elsewhere"})
    publish_events()
    deliver_due()
    assert receiver.requests == []


def test_two_workers_do_not_send_to_one_receiver_at_once(webhook, happen, receiver):
    happen("first")
    claim = delivering._Claim.take(webhook.pk)
    assert delivering._Claim.take(webhook.pk) is None and deliver_due().sent == 0
    # The first is gone for good, and its claim has lapsed.
    Webhook.objects.update(claimed_until=database_now() - timedelta(seconds=1))
    assert deliver_due().sent == 1
    # It comes back: what it has to say of its attempt is not believed.
    event = webhook.deliveries.get().event
    assert not delivering._settle(claim, event, delivering.Answer(status=500, reason="No.", seconds=1.0))
    assert webhook.deliveries.get().state == "delivered"


def test_a_webhook_removed_during_an_attempt_leaves_nothing(webhook, happen, max_, project):
    happen("first")
    claim = delivering._Claim.take(webhook.pk)
    event = delivering._next(claim)
    remove_webhook(actor=max_, webhook=webhook)
    assert not delivering._settle(claim, event, delivering.Answer(status=200, reason="", seconds=1.0))
    assert not Delivery.objects.exists() and not Webhook.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle_of_a_delivery_loses_nothing(
    project, max_, receiver, happen, settings, tmp_path
):
    """The receiver has had the event, and the worker is killed before it hears of that."""
    webhook = create_webhook(actor=max_, project=project, url=receiver.url)
    arrived, killed = threading.Event(), threading.Event()

    def wait_for_the_kill(handler):
        arrived.set()
        killed.wait(150)

    receiver.answer = lambda number: wait_for_the_kill if number == 1 else 200
    happen("first", "second")
    with open(tmp_path / "worker.log", "wb") as log:
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.events.worker_process",
                str(connections["default"].settings_dict["NAME"]),
            ],
            cwd=ROOT,
            env={**os.environ, "ROUNDTABLE_WEBHOOKS_PRIVATE_ADDRESSES": "127.0.0.1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        assert arrived.wait(120), (tmp_path / "worker.log").read_text()
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
    finally:
        worker.kill()
        worker.wait()
        killed.set()
    assert not webhook.deliveries.exists() and deliver_due().sent == 0  # its claim holds for a while
    Webhook.objects.update(claimed_until=database_now())
    assert deliver_due().sent == 2
    assert titles(receiver) == ["first", "first", "second"]
    assert len(set(receiver.ids)) == 2 and json.loads(receiver.requests[1][1])["id"] == receiver.ids[0]
