"""Deliveries beside the worker's loop."""

import threading
import time
from ipaddress import ip_network

import pytest

from events import background
from events.actions import create_webhook
from events.models import OutboxEntry
from events.publishing import publish_events
from rounds.worker_tasks import periodic_tasks
from tests.events.receiver import serve

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def wait_for_the_end():
    yield
    if background._running is not None:
        background._running.join()


def test_the_tick_does_not_wait_for_a_receiver_and_one_that_is_slow_holds_up_no_other(
    project, max_, settings
):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = [ip_network("127.0.0.0/8")]
    go = threading.Event()

    def wait(handler):
        assert go.wait(150)
        handler.send_response(204)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve() as slow, serve() as quick:
        slow.answer = lambda number: wait
        webhooks = [create_webhook(actor=max_, project=project, url=one.url) for one in (slow, quick)]
        OutboxEntry.objects.create(kind="run.done", project_id=project.pk, data={"run": 1})
        periodic_tasks()  # publishes, and sends in the background
        first = background._running
        while len(quick.requests) < 1 or len(slow.requests) < 1:
            time.sleep(0.01)
        periodic_tasks()
        assert background._running is first and first.is_alive()  # one at a time
        go.set()
        first.join()
    assert [webhook.deliveries.get().state for webhook in webhooks] == ["delivered", "delivered"]


def test_what_a_reader_publishes_is_bounded_and_the_rest_is_the_workers(project, monkeypatch):
    monkeypatch.setattr("events.publishing.PUBLISHED_AT_ONCE", 2)
    for number in range(7):
        OutboxEntry.objects.create(kind="run.done", project_id=project.pk, data={"run": number})
    assert publish_events(at_most=3) == 4 and OutboxEntry.objects.count() == 3
    assert publish_events() == 3
    assert [event.data["run"] for event in project.events.order_by("pk")] == list(range(7))
