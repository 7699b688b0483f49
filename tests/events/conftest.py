"""Judgments to tell of, and what is said of them."""

from ipaddress import ip_network

import pytest

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from events.actions import create_webhook
from events.models import OutboxEntry
from events.publishing import publish_events
from tests.annotation.conftest import key, make_batch  # noqa: F401
from tests.events.receiver import serve


@pytest.fixture
def judge(ada, project, key):  # noqa: F811
    """Ada judges her next task; what is not said is that the second answer is better."""

    def submit(**changes):
        assignment = claim_task(actor=ada, project=project)
        content = JudgmentInput(**({"tiers": [["B"], ["A"]], "strengths": [2]} | changes))
        return submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key=key())

    return submit


@pytest.fixture
def receiver(settings):
    settings.WEBHOOKS_PRIVATE_ADDRESSES = [ip_network("127.0.0.0/8")]
    with serve() as receiver:
        yield receiver


@pytest.fixture
def webhook(project, max_, receiver):
    return create_webhook(actor=max_, project=project, url=receiver.url)


@pytest.fixture
def happen(project):
    """Events of a run, by title."""

    def write(*titles, kind="run.queued"):
        for title in titles:
            OutboxEntry.objects.create(kind=kind, project_id=project.pk, data={"title": title})
        publish_events()

    return write
